"""The training table of the published oCLIP code: tab-separated, a header, one image a line.

The columns `filepath` and `title` are read, others are ignored. A title is the image's words, joined by single blanks.
There is no quoting: a quotation mark is a character of a word. Nothing is a number: the captions `NA` and `2020` are
words (pandas, with which the published code reads the table, made them numbers and failed).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scenetext.data.readers.files import UNREADABLE, with_headers
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord, TextInstance

WORDLESS = "images with an empty caption"
BLANKS = "captions with blanks at an end, or more than one between words"


def read_oclip_table(
    images: Path, table: Path, image_column: str, caption_column: str, report: ReadReport
) -> Iterator[ImageRecord]:
    """Reads the table, in its order.

    Args:
        images: what the paths in the table are relative to; absolute ones are taken as they are.
        table: the file (train_char.csv).
        image_column, caption_column: names in the header.

    Raises:
        DataError: a column is missing, a line is broken (named by number), or none of the images can be read.
    """
    rows = list(_rows(table, image_column, caption_column))
    read = 0
    first_error: ImageError | None = None
    for (path, caption), header in with_headers(rows, lambda row: images / row[0], len(rows)):
        words = caption.split()
        if not words:
            report.drop(WORDLESS, path)
            continue
        if isinstance(header, ImageError):
            report.drop(UNREADABLE, path)
            first_error = first_error or header
            continue
        if caption != " ".join(words):
            report.note(BLANKS, f"{caption!r:.60}")
        read += 1
        height, width = header.size
        yield ImageRecord(images / path, width, height, tuple(TextInstance(None, word) for word in words))
    if not read:
        hint = "; paths in it are relative to --images" if first_error else ""
        raise DataError(f"none of its {len(rows)} images can be used ({first_error or 'no captions'}){hint}", table)


def _rows(table: Path, image_column: str, caption_column: str) -> Iterator[tuple[str, str]]:
    """(path of the image, caption) of every line but the header; blank lines are skipped."""
    try:
        content = table.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", table) from None
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    header = _fields(table, *next(lines))
    columns = [_column(table, header, name) for name in (image_column, caption_column)]
    for number, line in lines:
        if not line.strip(b"\r"):
            continue
        fields = _fields(table, number, line)
        if len(fields) != len(header):
            problem = f"has {len(fields)} fields, the header has {len(header)}: {'|'.join(fields)!r:.80}"
            raise DataError(f"{problem} (a tab within a text?)", table, number)
        path, caption = (fields[column] for column in columns)
        if not path or "\0" in path:
            raise DataError(f"names no image: {path!r:.80}", table, number)
        yield path, caption


def _fields(table: Path, number: int, line: bytes) -> list[str]:
    try:
        return line.removesuffix(b"\r").decode("utf-8").split("\t")
    except UnicodeDecodeError as error:
        raise DataError(f"is not UTF-8 (byte {error.start + 1} of the line)", table, number) from None


def _column(table: Path, header: list[str], name: str) -> int:
    if header.count(name) != 1:
        problem = "is missing from" if name not in header else "is more than once in"
        columns = ", ".join(repr(column)[:40] for column in header[:10])
        raise DataError(f"the column {name!r} {problem} the header, which has {columns} (separated by tabs)", table, 1)
    return header.index(name)


READER = Reader(
    title="the training table of the published oCLIP code: image paths and captions, separated by tabs",
    source="it is made by tools/convert_*_csv.py of https://github.com/bytedance/oclip",
    files="a table with the columns filepath and title (train_char.csv), and the images that it names",
    arguments=(
        Argument("table", "file", "the table (train_char.csv)"),
        Argument("images", "folder", "what the paths in the table are relative to", default="."),
        Argument("image_column", "text", "name of the column of image paths", default="filepath"),
        Argument("caption_column", "text", "name of the column of captions", default="title"),
    ),
    function=read_oclip_table,
)
