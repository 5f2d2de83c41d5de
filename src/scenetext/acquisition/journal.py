"""The file that stores what an engine has read: OCR of an image is done once, for any later selection of words.

The first line names the engine, every other one an image:

    {"journal": 1, "engine": "rapidocr 3.10.0"}
    {"path": "a/1.jpg", "bytes": 81234, "width": 960, "height": 640, "texts": [{"text": ..., "confidence": ...}, ...]}
    {"path": "a/2.jpg", "bytes": 12, "error": "image is truncated ..."}

`path` is relative to the folder of the images, with "/". Lines are only ever added, and the last line of an image
counts; a line that was cut short when the machine went down is removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from scenetext.acquisition.engine import OcrText, format_text, parse_texts
from scenetext.data.records.format import RecordError, parse_json
from scenetext.errors import DataError

_VERSION = 1
_READ_KEYS = {"path", "bytes", "width", "height", "texts"}
_FAILED_KEYS = {"path", "bytes", "error"}


@dataclass(frozen=True, slots=True)
class Recognition:
    """The result of reading an image.

    Attributes:
        name: its path relative to the folder of the images, with "/".
        size: of the file, bytes; an image whose size has changed counts as another one.
        width, height: pixels of the stored image; 0 where it could not be used.
        texts: what the engine has read; none is fine.
        error: why it could not be used; None = it could.
    """

    name: str
    size: int
    width: int = 0
    height: int = 0
    texts: tuple[OcrText, ...] = ()
    error: str | None = None


class Journal:
    """A journal, open for reading and adding; a context manager, and a collection of the names of images.

    Args:
        path: the file, made if missing.
        engine: name and version of the engine; the texts of two engines do not mix.

    Raises:
        DataError: the file is no journal, is of another engine, or has a broken line (which is named).
    """

    def __init__(self, path: Path, engine: str) -> None:
        self._path = path
        self._lines: dict[str, tuple[int, int, int]] = {}
        """Name of an image to its size, and to the first byte and the number of its line."""
        self._count = 0
        """Lines of the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise DataError(f"the journal cannot be opened ({error.strerror})", path) from None
        try:
            self._load(engine)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._lines))

    def knows(self, name: str, size: int) -> bool:
        """Whether the image, with this size in bytes, is in the journal."""
        line = self._lines.get(name)
        return line is not None and line[0] == size

    def find(self, name: str) -> Recognition:
        """The result of an image that is in the journal.

        Raises:
            DataError: another run has written to the file meanwhile.
        """
        _, start, number = self._lines[name]
        self._file.seek(start)
        recognition = self._parse(self._file.readline(), number)
        if recognition.name != name:
            raise DataError("another run has written to the journal; end it, and start again", self._path)
        return recognition

    def add(self, recognition: Recognition) -> None:
        """Adds a line, which is with the operating system when this returns."""
        line: dict[str, Any] = {"path": recognition.name, "bytes": recognition.size}
        if recognition.error is None:
            texts = [format_text(text) for text in recognition.texts]
            line |= {"width": recognition.width, "height": recognition.height, "texts": texts}
        else:
            line["error"] = recognition.error
        self._lines[recognition.name] = (recognition.size, self._append(_line(line)), self._count)

    def _load(self, engine: str) -> None:
        """Reads all lines, and removes the end of a line that was cut short."""
        header = _line({"journal": _VERSION, "engine": engine})
        self._file.seek(0)
        if not header.startswith(self._file.readline()):
            self._check_replaceable(engine)
            self._file.truncate(0)
        self._file.seek(0)
        start = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                self._file.truncate(start)
                break
            if number > 1:
                recognition = self._parse(line, number)
                self._lines[recognition.name] = (recognition.size, start, number)
            start += len(line)
            self._count = number
        if start == 0:
            self._append(header)

    def _check_replaceable(self, engine: str) -> None:
        """The journal of another engine may be replaced as long as no image is in it."""
        self._file.seek(0)
        first, more = self._file.readline(), self._file.readline()
        try:
            header = parse_json(first)
        except RecordError:
            header = None
        if not isinstance(header, dict) or header.keys() != {"journal", "engine"} or header["journal"] != _VERSION:
            raise DataError("is not a journal of recognised texts; choose another file", self._path, 1)
        if more:
            raise DataError(
                f"is the journal of the engine {header['engine']!r:.200}, not of {engine!r:.200}; choose another file, "
                "or remove this one to have all images read again",
                self._path,
            )

    def _append(self, line: bytes) -> int:
        """Writes a line; returns its first byte."""
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(line)
        self._file.flush()
        self._count += 1
        return start

    def _parse(self, line: bytes, number: int) -> Recognition:
        try:
            return parse_recognition(line)
        except RecordError as fault:
            raise DataError(f"{fault}; remove the line, and its image is read again", self._path, number) from None


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode("ascii") + b"\n"


def parse_recognition(content: bytes) -> Recognition:
    """The result that a line of the journal describes.

    Raises:
        RecordError: says what is wrong with the line.
    """
    line = parse_json(content)
    if not isinstance(line, dict) or line.keys() not in (_READ_KEYS, _FAILED_KEYS):
        raise RecordError(f"is no line of a journal: {line!r:.100}")
    if type(line["path"]) is not str or type(line.get("error", "")) is not str:
        raise RecordError("path and error must be strings")
    for key, least in (("bytes", 0), ("width", 1), ("height", 1)):
        if type(line.get(key, 1)) is not int or line.get(key, 1) < least:
            raise RecordError(f"{key} must be a whole number from {least}, got {line[key]!r:.60}")
    if "error" in line:
        return Recognition(line["path"], line["bytes"], error=line["error"])
    return Recognition(line["path"], line["bytes"], line["width"], line["height"], parse_texts(line["texts"]))
