"""Results as they are sent to the Robust Reading competitions: a folder or zip of `res_<image>.txt`, one line a text.

A line holds the coordinates x1,y1,x2,y2,... of a polygon, or left,top,right,bottom of a box, then the score where there
is one, then the text where there is one: which of them there are (`columns`) is the same in all files. Without
`columns`, lines of numbers alone are understood: an even count is a polygon, an odd one ends with a score. Texts may be
numbers and hold commas, so they need `columns`, and then the polygon is a quadrangle of 8 numbers.
"""

from __future__ import annotations

import lzma
import math
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal
from zipfile import BadZipFile, ZipFile

import numpy as np

from scenetext.errors import DataError
from scenetext.evaluation.files.values import PredictionError, check_score, polygon_of, shown
from scenetext.structures import Detection

Columns = Literal["polygon", "polygon,score", "polygon,text", "polygon,score,text"]
PREFIX = "res_"
_QUADRANGLE = 8
_LARGEST_FILE = 1 << 26
"""Bytes of one unpacked file of a zip; the results of one image are a few thousand."""
_DAMAGED = (BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error, lzma.LZMAError)
"""What `zipfile` raises on archives that are damaged, encrypted or packed in an unknown way."""


def is_icdar_result(path: Path) -> bool:
    """Whether this is a zip, or a folder with text files."""
    return path.suffix.lower() == ".zip" or (path.is_dir() and any(path.glob("*.txt")))


def read_icdar_results(path: Path, columns: Columns | None = None) -> list[tuple[str, list[Detection]]]:
    """Name (without prefix and suffix) and detections of every image of a folder or zip.

    Args:
        columns: what a line holds; None: numbers only, the score where their count is odd.

    Raises:
        DataError: no such files, or a broken line (file and line are named).
    """
    parsed = []
    first: tuple[Columns, str] | None = None
    for name, content in _files(path):
        file = f"{path}/{name}"
        lines = _lines(content, file)
        if columns is None and lines:
            detected = _columns_of(*lines[0], file)
            first = first or (detected, file)
            if detected != first[0]:
                raise DataError(f"holds {detected}, but {first[1]} {first[0]}; all results need the same columns", file)
        layout = columns or (first[0] if first else "polygon")
        found = []
        for number, line in lines:
            try:
                found.append(_parse_line(line, layout))
            except PredictionError as fault:
                raise DataError(str(fault), file, number) from None
        parsed.append((PurePosixPath(name).stem.removeprefix(PREFIX), found))
    if not parsed:
        raise DataError("holds no .txt files with results", path)
    return parsed


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of the text files of a folder or zip, in the order of their names."""
    try:
        if path.is_dir():
            for file in sorted(path.glob("*.txt")):
                yield file.name, file.read_bytes()
            return
        with ZipFile(path) as archive:
            for member in sorted(archive.infolist(), key=lambda member: member.filename):
                name = PurePosixPath(member.filename)
                if name.suffix.lower() != ".txt" or name.name.startswith("."):
                    continue
                if member.file_size > _LARGEST_FILE:
                    raise DataError(f"{name} unpacks to {member.file_size} bytes, too many for one image", path)
                yield member.filename, archive.read(member)
    except OSError as error:
        raise DataError(f"results cannot be read ({error.strerror})", path) from None
    except _DAMAGED as error:
        raise DataError(f"is not a zip that can be read: {error}", path) from None


def _lines(content: bytes, file: str) -> list[tuple[int, str]]:
    """1-based number and text of the lines that are not blank."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise DataError("results are not UTF-8", file, number) from None
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _columns_of(number: int, line: str, file: str) -> Columns:
    """What a line of numbers holds."""
    fields = line.split(",")
    if any(_number(field) is None for field in fields):
        raise DataError(
            f"is not a line of numbers: {shown(line)}; where results hold texts, name their columns "
            "(polygon,text or polygon,score,text)",
            file,
            number,
        )
    return "polygon,score" if len(fields) % 2 else "polygon"


def _parse_line(line: str, columns: Columns) -> Detection:
    text: str | None = None
    if columns.endswith("text"):
        fields = line.split(",", _QUADRANGLE + columns.count("score"))
        if len(fields) <= _QUADRANGLE + columns.count("score"):
            raise PredictionError(f"expected x1,y1,...,x4,y4,{columns.partition(',')[2]}, got {shown(line)}")
        *fields, text = fields
    else:
        fields = line.split(",")
    numbers = [_number(field) for field in fields]
    if None in numbers:
        raise PredictionError(f"{shown(fields[numbers.index(None)])} is not a number, in {shown(line)}")
    score = check_score(numbers.pop()) if "score" in columns else 1.0
    return Detection(_outline(numbers), score, text)


def _outline(numbers: list[float | None]) -> np.ndarray:
    """(V, 2) float32 of a polygon, or of a box given by its left, top, right and bottom."""
    if len(numbers) == 4:
        left, top, right, bottom = numbers
        return polygon_of([left, top, right, top, right, bottom, left, bottom])
    return polygon_of(numbers)


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
