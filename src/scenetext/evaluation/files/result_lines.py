"""A line of a result file: the coordinates of an outline, then its score and its text, where the system gives them.

`x1,y1,...,xn,yn[,score][,text]`, or left,top,right,bottom of a box instead of points where there is no text. Which
columns there are is the same in all lines. Without `columns`, lines of numbers alone are understood: an even count is a
polygon, an odd one ends with a score. How many points an outline has may differ from line to line, and a text may be a
number or hold commas; so what belongs to the outline is decided with a look at all lines.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scenetext.evaluation.files.values import PredictionError, check_score, polygon_of, shown
from scenetext.structures import Detection
from scenetext.text.quoting import unquoted

Columns = Literal["polygon", "polygon,score", "polygon,text", "polygon,score,text"]
_LEAST = 8
"""Coordinates of an outline that has a text behind it."""
_COORDINATE = re.compile(r"\s*[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*")
"""A coordinate is not written `000`, as the end of `100,000` is."""
_USUAL_SHARE = 0.9
"""Of lines with equally many coordinates, from which on that number is the usual one."""
_REACH = 2
"""Times the diagonal of an outline: how far another point of it may be from the one before."""
_MARK = "####"
"""Before every text in the files of ABCNet and its kin."""


@dataclass(frozen=True, slots=True)
class LineLayout:
    """What the lines of a set hold.

    Attributes:
        columns: in this order.
        coordinates: how many most lines have before score and text; None = it differs, or there are no texts.
        has_mark: whether every text begins with `####`, which is no part of it.
    """

    columns: Columns
    coordinates: int | None = None
    has_mark: bool = False

    def parse(self, line: str) -> Detection:
        """The detection of a line.

        Raises:
            PredictionError: says what is wrong with the line.
        """
        fields = line.split(",")
        text: str | None = None
        if self.columns.endswith("text"):
            end = self.outline_end(fields) + self.columns.count("score")
            text = _text(",".join(fields[end:]), self.has_mark)
            fields = fields[:end]
        numbers = [_number(field) for field in fields]
        if None in numbers:
            raise PredictionError(f"{shown(fields[numbers.index(None)])} is not a number, in {shown(line)}")
        score = check_score(numbers.pop()) if "score" in self.columns else 1.0
        return Detection(_outline(numbers), score, text)

    def outline_end(self, fields: Sequence[str]) -> int:
        """How many of the fields are coordinates, where a text is among them.

        Raises:
            PredictionError: too few of them.
        """
        found = next((index for index, field in enumerate(fields) if not _COORDINATE.fullmatch(field)), len(fields))
        # The text has at least one field, be it a number.
        most = min(found, len(fields) - 1) - self.columns.count("score")
        most -= most % 2
        if most < _LEAST:
            line = ",".join(fields)
            if found < len(fields) and found < _LEAST:
                raise PredictionError(f"{shown(fields[found])} is not a number, in {shown(line)}")
            raise PredictionError(
                f"expected x1,y1,...,x4,y4,{self.columns.partition(',')[2]}, or more points, got {shown(line)}"
            )
        usual = self.coordinates
        if usual is None or most <= usual or _goes_on([float(field) for field in fields[:most]], usual):
            return most
        return usual


def find_layout(lines: Iterable[str], columns: Columns) -> LineLayout:
    """What all lines of a set with these columns have in common; broken lines have no say, and are reported later.

    Raises:
        PredictionError: every line has a score where the columns have none.
    """
    if not columns.endswith("text"):
        return LineLayout(columns)
    plain, is_whole = LineLayout(columns), True
    ends: list[int] = []
    texts: list[str] = []
    for line in lines:
        fields = line.split(",")
        try:
            end = plain.outline_end(fields)
        except PredictionError:
            is_whole = False
            continue
        ends.append(end)
        texts.append(",".join(fields[end + columns.count("score") :]))
    if not ends:
        return plain
    if columns == "polygon,text" and is_whole and all(_begins_with_score(text) for text in texts):
        raise PredictionError(
            f"every line has a number between 0 and 1 after its points, as in {shown(texts[0])}: a score? "
            "Then the columns are polygon,score,text, or polygon,score where no text follows"
        )
    usual, times = Counter(ends).most_common(1)[0]
    return LineLayout(
        columns,
        usual if times >= _USUAL_SHARE * len(ends) else None,
        all(text.startswith(_MARK) for text in texts),
    )


def columns_of_numbers(line: str) -> Columns:
    """What a line of numbers holds.

    Raises:
        PredictionError: something in it is no number.
    """
    fields = line.split(",")
    if any(_number(field) is None for field in fields):
        raise PredictionError(
            f"is not a line of numbers: {shown(line)}; where results hold texts, name their columns "
            "(polygon,text or polygon,score,text)"
        )
    return "polygon,score" if len(fields) % 2 else "polygon"


def _outline(numbers: Sequence[float | None]) -> np.ndarray:
    """(V, 2) float32 of a polygon, or of a box given by its left, top, right and bottom."""
    if len(numbers) == 4:
        left, top, right, bottom = numbers
        return polygon_of([left, top, right, top, right, bottom, left, bottom])
    return polygon_of(numbers)


def _text(written: str, has_mark: bool) -> str:
    """A text without its mark and its quotes."""
    return unquoted(written.removeprefix(_MARK) if has_mark else written)


def _goes_on(numbers: Sequence[float], usual: int) -> bool:
    """Whether the numbers after the usual ones are further points of the outline, by where they are."""
    points = np.array(numbers).reshape(-1, 2)
    extent = np.linalg.norm(np.ptp(points[: usual // 2], axis=0))
    steps = np.linalg.norm(np.diff(points[usual // 2 - 1 :], axis=0), axis=1)
    return bool((steps <= _REACH * extent).all())


def _begins_with_score(text: str) -> bool:
    first = text.split(",")[0]
    value = _number(first)
    return value is not None and "." in first and 0 <= value <= 1


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
