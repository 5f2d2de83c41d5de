"""Total-Text's ground truth as text: what Python 2 printed of arrays and lists of strings.

    x: [[153 161 179 195]], y: [[347 323 305 315]], ornt: [u'c'], transcriptions: [u'the']

A record may go over several lines, where numpy broke a long array. Strings are in either sort of quotes, with or
without `u`, may hold commas and quotes, and escape what is not ASCII.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from scenetext.data.readers.instances import Label, points_of
from scenetext.data.readers.lines import read_text, to_numbers
from scenetext.errors import DataError

IGNORED = "#"
"""As text or orientation: neither learnt nor scored, by one of the dataset's two flags or by both."""
BY_ORIENTATION = "orientation"

_START = re.compile(r"^[ \t]*x:", re.MULTILINE)
_RECORD = re.compile(
    r"x:\s*\[\[([^\]]*)\]\]\s*,\s*y:\s*\[\[([^\]]*)\]\]\s*"
    r"(?:,\s*ornt:\s*\[([^\]\n]*)\]\s*)?(?:,\s*transcriptions:\s*\[([^\n]*)\]\s*)?"
)
"""Only arrays are broken into lines: a text that goes over the end of one would swallow a record of damaged start."""
_STRING = re.compile(r"""u?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""", re.DOTALL)
_QUOTED = re.compile(r"""u?(['"])(.*)\1""", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\\'\"nrt]))")
_PLAIN_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_HIGHEST = 0x10FFFF


def read_text_file(path: Path) -> list[Label]:
    """The words of one image.

    Raises:
        DataError: a record is broken; the file and its first line are named.
    """
    content = read_text(path)
    starts = [match.start() for match in _START.finditer(content)]
    before = content[: starts[0]] if starts else content
    if before.strip():
        raise DataError(f"expected x: [[...]], y: [[...]], ..., got {before.strip()!r:.80}", path, 1)
    labels = []
    for start, end in zip(starts, [*starts, len(content)][1:], strict=True):
        try:
            labels.append(_parse_record(content[start:end].strip()))
        except ValueError as problem:
            raise DataError(str(problem), path, content.count("\n", 0, start) + 1) from None
    return labels


def _parse_record(record: str) -> Label:
    match = _RECORD.fullmatch(record)
    if match is None:
        form = "x: [[...]], y: [[...]], ornt: [u'...'], transcriptions: [u'...']"
        raise ValueError(f"expected {form}, got {record!r:.100}")
    x, y = (to_numbers(numbers.replace(",", " ").split(), record) for numbers in match.groups()[:2])
    if len(x) != len(y):
        raise ValueError(f"has {len(x)} x for {len(y)} y: {record!r:.80}")
    orientation, text = (_string(part or "") for part in match.groups()[2:])
    points = points_of([number for point in zip(x, y, strict=True) for number in point])
    return flagged_label(points, text, orientation)


def flagged_label(points: np.ndarray, text: str, orientation: str) -> Label:
    """What is ignored by its orientation alone says so; what has `#` as text is ignored by either flag."""
    by_orientation = orientation == IGNORED and text != IGNORED
    return Label(points, text, IGNORED in (text, orientation), BY_ORIENTATION if by_orientation else None)


def _string(printed: str) -> str:
    """The text in a printed list of one string; several strings are parts of a text that had commas."""
    rest, parts = printed.strip(), []
    if not rest:
        return ""
    position = 0
    while match := _STRING.match(rest, position):
        parts.append(match[1] or match[2] or "")
        comma = re.compile(r"\s*,\s*").match(rest, match.end())
        if match.end() == len(rest):
            return ",".join(map(_unescaped, parts)).strip()
        if comma is None:
            break
        position = comma.end()
    whole = _QUOTED.fullmatch(rest)  # quotes within, which were not escaped
    if whole is None:
        raise ValueError(f"expected a string in quotes, got {printed!r:.80}")
    return _unescaped(whole[2]).strip()


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code is None:
            return _PLAIN_ESCAPES.get(match[4], match[4])
        return chr(int(code, 16)) if int(code, 16) <= _HIGHEST else match[0]

    return " ".join(_ESCAPE.sub(character, text).split("\n"))
