"""Lines of coordinates and what follows them, `x1,y1,...,xn,yn[,text][,flag]`, in many files of one form.

No file says how many points its lines have, and a text may be a number or hold commas: `...,100,105,100,000` is a
quadrilateral with the text `100,000` in ICDAR 2015, and five points in a set of polygons. So the form is found from all
lines of a set together, and lines that do not follow it are looked at one by one. A user who knows better names the
number of points.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenetext.data.readers.instances import IGNORED_TEXT, Label, points_of
from scenetext.data.readers.lines import read_label_lines, text_lines, to_numbers
from scenetext.data.readers.mlt2017 import SCRIPTS
from scenetext.data.readers.reader import Argument
from scenetext.data.readers.report import ReadReport
from scenetext.errors import DataError
from scenetext.geometry.polygon import is_valid

ANY_POINTS, FIND_POINTS = "any", "auto"
POINTS = Argument(
    "points",
    "text",
    "how many points each line has: a number, any (all numbers are points, but for a text at the end), or auto",
    default=FIND_POINTS,
)
FLAGS = "lines whose last field, 0 or 1, is taken for a flag: 1 = difficult, ignored"
POLYGONS = "lines with another number of points than four"
_QUADRILATERAL = 4
_IGNORED_TEXTS = (IGNORED_TEXT, "*")
_NUMBER = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
"""A coordinate is not written `000`, as the end of `100,000` is."""
_USUAL_SHARE = 0.9
"""Of lines with the same number of points, from which it is the usual one. Of the lines of ICDAR 2015's training set,
0.06 % look longer than they are."""
_REACH = 2
"""Times the extent of the usual points: how far the next point of an outline may be from the one before it."""


@dataclass(frozen=True, slots=True)
class LineForm:
    """What the lines of a set look like.

    Attributes:
        points: of a line; None = that differs from line to line.
        is_certain: whether the number of points was given, so that what follows them is text whatever it looks like.
        has_flag: whether the last field of every line is 0 or 1, which says whether it is difficult.
    """

    points: int | None = _QUADRILATERAL
    is_certain: bool = False
    has_flag: bool = False

    def parse(self, line: str) -> Label:
        """The word of a line; ValueError says what is wrong with it."""
        fields = line.split(",")
        is_difficult = self.has_flag and fields.pop().strip() == "1"
        count = self._coordinates(fields, line)
        numbers = to_numbers(fields[:count], line)
        text = ",".join(fields[count:]).strip() if len(fields) > count else None
        return Label(points_of(numbers), text, ignore=is_difficult or text in _IGNORED_TEXTS)

    def _coordinates(self, fields: list[str], line: str) -> int:
        """How many of the fields are coordinates."""
        found = _leading_numbers(fields)
        least = 2 * min(self.points or _QUADRILATERAL, _QUADRILATERAL)
        if len(fields) < least or (self.is_certain and self.points and len(fields) < 2 * self.points):
            raise ValueError(f"expected {self}, got {len(fields)} fields: {line!r:.80}")
        if self.points is None:
            return max(_all_but_text(fields, found), least)
        usual = 2 * self.points
        if self.is_certain or found < usual + 2:
            return usual if self.is_certain or found >= usual else max(found - found % 2, least)
        longer = _all_but_text(fields, found)
        numbers = to_numbers(fields[:longer], line)
        if not _goes_on(numbers, usual):
            return usual
        if longer == usual + 2 or not is_valid(points_of(numbers)):
            raise ValueError(
                f"could be {longer // 2} points, or {self.points} and the text {','.join(fields[usual:])!r:.40}; "
                f"--points {self.points} or --points {ANY_POINTS} says which: {line!r:.120}"
            )
        return longer

    def __str__(self) -> str:
        end = "and 0 or 1" if self.has_flag else "and, if it is known, ,text"
        if self.points is None:
            return f"x1,y1,...,xn,yn of at least {_QUADRILATERAL} points {end}"
        return f"{','.join(f'x{number},y{number}' for number in range(1, self.points + 1))} {end}"


def line_parser(paths: Iterable[Path], points: str, report: ReadReport) -> Callable[[Path], list[Label]]:
    """What reads the words of each of these files; what is unusual about their form is counted.

    Args:
        paths: the files of one set.
        points: as `POINTS` describes it.

    Raises:
        DataError: a file cannot be read, `points` is no number of points, or the lines have scores or scripts.
    """
    form = _given_form(points)
    lines = [line.split(",") for path in paths for line in _readable_lines(path)] if form is None else []
    _refuse_other_columns(lines)
    form = form or find_form(lines)
    report.note(FLAGS, count=len(lines) * form.has_flag)
    if form.points != _QUADRILATERAL:
        report.note(POLYGONS, count=sum(_leading_numbers(fields) // 2 != _QUADRILATERAL for fields in lines))
    return lambda path: read_label_lines(path, form.parse)


def _readable_lines(path: Path) -> list[str]:
    """The lines of a file; none where it cannot be read, which is reported when its own words are read."""
    try:
        return [line for _, line in text_lines(path)]
    except DataError:
        return []


def refuse_other_forms(paths: Iterable[Path]) -> None:
    """Refuses a set whose lines are no quadrilaterals with texts.

    Raises:
        DataError: names the first line that is none, and what the lines look like.
    """
    lines = [(path, number, line.split(",")) for path in paths for number, line in text_lines(path)]
    form = find_form(fields for _, _, fields in lines)
    for path, number, fields in lines:
        if form.has_flag or (form != LineForm() and _leading_numbers(fields) >= 2 * _QUADRILATERAL + 2):
            message = f"expected {LineForm()}, but the lines seem to be {form}: {','.join(fields)!r:.80}"
            raise DataError(f"{message}; `prepare icdar-folder` reads them", path, number)


def find_form(lines: Iterable[list[str]]) -> LineForm:
    """The form of lines, each split at its commas; broken ones have no say."""
    counted = [(_leading_numbers(fields), fields) for fields in lines]
    has_flag = bool(counted) and _end_in_flags(counted)
    points = (found // 2 for found, _ in counted)
    counts = Counter(count for count in points if _is_outline(count))
    if not counts:
        return LineForm(has_flag=has_flag)
    usual, occurrences = counts.most_common(1)[0]
    return LineForm(usual if occurrences >= _USUAL_SHARE * counts.total() else None, has_flag=has_flag)


def _refuse_other_columns(lines: list[list[str]]) -> None:
    """Refuses lines with a column that is neither text nor flag."""
    counts = [_leading_numbers(fields) for fields in lines]
    if lines and all(count % 2 and _is_score(fields[count - 1 :]) for count, fields in zip(counts, lines, strict=True)):
        message = (
            "every line ends in a number between 0 and 1, as detections do that have a score: remove it, or, if it is"
        )
        raise DataError(f"{message} a text, say how many --points there are: {','.join(lines[0])!r:.80}")
    if lines and all(
        count < len(fields) - 1 and fields[count].strip() in SCRIPTS
        for count, fields in zip(counts, lines, strict=True)
    ):
        raise DataError(f"every line has a script before its text; `prepare mlt2017` reads {','.join(lines[0])!r:.80}")


def _is_score(fields: list[str]) -> bool:
    return len(fields) == 1 and "." in fields[0] and 0 <= float(fields[0]) <= 1


def is_label_line(line: str) -> bool:
    """Whether a line starts with the coordinates of an outline, and does not go on as those of CTW1500 or MLT do."""
    fields = line.split(",")
    found = _leading_numbers(fields)
    after = fields[found].strip() if found < len(fields) else ""
    return _is_outline(found // 2) and not after.startswith("####") and not (found == 8 and after in SCRIPTS)


def _given_form(points: str) -> LineForm | None:
    if points == FIND_POINTS:
        return None
    if points == ANY_POINTS:
        return LineForm(None, is_certain=True)
    if not points.isdecimal() or int(points) < 2:
        raise DataError(f"--points {points!r}: expected a number of points from 2, {ANY_POINTS} or {FIND_POINTS}")
    return LineForm(int(points), is_certain=True)


def _end_in_flags(counted: list[tuple[int, list[str]]]) -> bool:
    """Whether the last field of all lines is 0 or 1 and no coordinate; after texts, more than one line must have it."""
    if any(fields[-1].strip() not in ("0", "1") for _, fields in counted):
        return False
    if all(number == len(fields) and number % 2 and _is_outline(number // 2) for number, fields in counted):
        return True
    return len(counted) > 1 and all(_is_outline(number // 2) and number < len(fields) - 1 for number, fields in counted)


def _is_outline(points: int) -> bool:
    """Whether texts are outlined with so many points: two corners, or four and more."""
    return points == 2 or points >= _QUADRILATERAL


def _leading_numbers(fields: list[str]) -> int:
    """How many fields are numbers, up to the first that is none."""
    return next((index for index, field in enumerate(fields) if not _NUMBER.fullmatch(field.strip())), len(fields))


def _all_but_text(fields: list[str], found: int) -> int:
    """The most coordinates that a line can have, its text being what is no number, or the last number of an odd count.

    Where there are only numbers, an even count of them, the last two are a text such as `1,000` unless they go on with
    the outline.
    """
    most = found - found % 2
    if found < len(fields) or found % 2 or most <= 2 * _QUADRILATERAL:
        return most
    return most if _goes_on([float(field) for field in fields], most - 2) else most - 2


def _goes_on(numbers: list[float], usual: int) -> bool:
    """Whether the numbers after the usual ones are further points of the outline, by where they are."""
    points = np.array(numbers).reshape(-1, 2)
    extent = np.linalg.norm(np.ptp(points[: usual // 2], axis=0))
    steps = np.linalg.norm(np.diff(points[usual // 2 - 1 :], axis=0), axis=1)
    return bool((steps <= _REACH * extent).all())
