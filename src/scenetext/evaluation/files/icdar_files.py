"""Results as they are sent to the Robust Reading competitions: a folder or zip of `res_<image>.txt`, one line a text.

What a line holds: `result_lines.py`.
"""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from scenetext.errors import DataError
from scenetext.evaluation.files.result_lines import Columns, columns_of_numbers, find_layout
from scenetext.evaluation.files.values import PredictionError
from scenetext.structures import Detection

PREFIX = "res_"
_LINE_END = re.compile(r"\r\n|\r|\n")
"""Files of old Macs end lines with a carriage return alone."""
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
    files = [(name, f"{path}/{name}", _lines(content, f"{path}/{name}")) for name, content in _files(path)]
    if not files:
        raise DataError("holds no .txt files with results", path)
    try:
        layout = find_layout((line for _, _, lines in files for _, line in lines), columns or _columns_of(files))
    except PredictionError as fault:
        raise DataError(str(fault), path) from None
    parsed = []
    for name, file, lines in files:
        found = []
        for number, line in lines:
            try:
                found.append(layout.parse(line))
            except PredictionError as fault:
                raise DataError(str(fault), file, number) from None
        parsed.append((PurePosixPath(name).stem.removeprefix(PREFIX), found))
    return parsed


def _columns_of(files: Sequence[tuple[str, str, list[tuple[int, str]]]]) -> Columns:
    """What lines of numbers hold, by the first line of every file.

    Raises:
        DataError: a line that is none of numbers, or files that differ.
    """
    first: tuple[Columns, str] | None = None
    for _, file, lines in files:
        if not lines:
            continue
        number, line = lines[0]
        try:
            columns = columns_of_numbers(line)
        except PredictionError as fault:
            raise DataError(str(fault), file, number) from None
        first = first or (columns, file)
        if columns != first[0]:
            raise DataError(f"holds {columns}, but {first[1]} {first[0]}; all results need the same columns", file)
    return first[0] if first else "polygon"


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
    lines = _LINE_END.split(text)
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
