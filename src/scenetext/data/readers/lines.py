"""Text files with one word or line of text a line: decoding, splitting, and errors that name the line."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from scenetext.data.readers.instances import Label, points_of
from scenetext.errors import DataError

_BYTE_ORDER_MARK = "\ufeff"


def read_text(path: Path) -> str:
    """A file in UTF-8, or in UTF-16 with a byte order mark as Windows' editors write it, without the mark.

    Lines end in LF, as which CRLF and CR come back: `str.splitlines` would also split at characters inside texts.

    Raises:
        DataError: it cannot be read, or is of another encoding (the line is named).
    """
    try:
        content = path.read_bytes()
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if is_utf16 else "utf-8").removeprefix(_BYTE_ORDER_MARK)
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from None
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", path, error.object[: error.start].count(b"\n") + 1) from None


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and content of every line that is not blank, without blanks and byte order marks at its ends.

    Raises:
        DataError: as from `read_text`.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if stripped := line.strip().lstrip(_BYTE_ORDER_MARK):
            yield number, stripped


def read_label_lines(path: Path, parse_line: Callable[[str], Label]) -> list[Label]:
    """The labels of a file, one a line; blank lines are skipped.

    Args:
        parse_line: gets a line without blanks at its ends; a ValueError says what is wrong with it.

    Raises:
        DataError: names the file and the line.
    """
    labels = []
    for number, line in text_lines(path):
        try:
            labels.append(parse_line(line))
        except ValueError as problem:
            raise DataError(str(problem), path, number) from None
    return labels


def split_coordinates(line: str, count: int, form: str, has_rest: bool = True) -> tuple[np.ndarray, str]:
    """The points at the start of a line, (count / 2, 2) float32, and what follows them, stripped.

    Args:
        count: numbers at the start, between commas; commas after them belong to the rest.
        form: what a line should look like, for the message.
        has_rest: whether something must follow, if only an empty field.

    Raises:
        ValueError: says what is wrong with the line.
    """
    fields = line.split(",", count)
    if len(fields) < count + has_rest:
        raise ValueError(f"expected {form}, got {len(fields)} fields: {line!r:.80}")
    return points_of(to_numbers(fields[:count], line)), "".join(fields[count:]).strip()


def to_numbers(fields: list[str], line: str) -> list[float]:
    """Finite numbers.

    Raises:
        ValueError: one of the fields is none; `line` is shown.
    """
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"the first {len(fields)} fields must be numbers: {line!r:.80}")
    return numbers
