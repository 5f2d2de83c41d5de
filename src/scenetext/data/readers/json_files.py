"""JSON files whose faults are named by file and location, such as `anns.1234.points[3]`.

A file is loaded whole: one of 72 MB, in TextOCR's form, took 390 MB of memory for as long as it was read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from scenetext.data.readers.instances import points_of
from scenetext.data.readers.lines import read_text
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import UnclearReferenceError
from scenetext.data.records.references import UnclearNameError, is_absolute, is_name
from scenetext.errors import DataError

_NUMBERS = (int, float)


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a JSON file, which knows its location; what is not as expected raises a DataError that names it.

    Attributes:
        value: as `json.loads` gives it.
        path: the file.
        line: of a file with one JSON text a line, from 1; None = the file is a single JSON text.
        parent, key: how it is reached; no parent = it is the whole.
    """

    value: Any
    path: Path
    line: int | None = None
    parent: Node | None = None
    key: str | int = ""

    @property
    def location(self) -> str:
        """As in `anns.1234.points[3]`; empty for the whole."""
        if self.parent is None:
            return ""
        before = self.parent.location
        if isinstance(self.key, int):
            return f"{before}[{self.key}]"
        return f"{before}.{self.key:.60}" if before else f"{self.key:.60}"

    def fail(self, expected: str) -> NoReturn:
        """Raises the DataError that says what was expected here."""
        raise DataError(f"{self._position}expected {expected}, got {_shown(self.value)}", self.path, self.line)

    @property
    def _position(self) -> str:
        """In front of a message."""
        return f"{self.location}: " if self.parent else ""

    def child(self, key: str | int, value: Any) -> Node:
        """A value inside this one."""
        return Node(value, self.path, self.line, self, key)

    def __getitem__(self, key: str) -> Node:
        """A value of an object that must be there."""
        if key not in self.mapping():
            self.fail(f"the key {key!r}")
        return self.child(key, self.value[key])

    def get(self, *keys: str) -> Node | None:
        """The first of some values of an object that is there and is not null."""
        mapping = self.mapping()
        return next((self.child(key, mapping[key]) for key in keys if mapping.get(key) is not None), None)

    def mapping(self) -> dict[str, Any]:
        """The value, if it is an object."""
        if type(self.value) is not dict:
            self.fail("an object")
        return self.value

    def items(self) -> Iterator[tuple[str, Node]]:
        """Key and value of all in an object."""
        for key, value in self.mapping().items():
            yield key, self.child(key, value)

    def elements(self) -> Iterator[Node]:
        """All in a list."""
        if type(self.value) is not list:
            self.fail("a list")
        for index, value in enumerate(self.value):
            yield self.child(index, value)

    def text(self) -> str:
        """The value, if it is a string."""
        if type(self.value) is not str:
            self.fail("a string")
        return self.value

    def identifier(self) -> str:
        """A number or string that names something; some files write the same one both ways."""
        if type(self.value) not in (int, str):
            self.fail("a number or string that names something")
        return str(self.value)

    def number(self) -> float:
        """The value, if it is a finite number."""
        if type(self.value) not in _NUMBERS or not abs(self.value) < math.inf:
            self.fail("a number")
        return float(self.value)

    def whole_number(self) -> int:
        """The value, if it is an integer; 640.0 is one."""
        if type(self.value) not in _NUMBERS or self.value != self.value // 1:
            self.fail("a whole number")
        return int(self.value)

    def flag(self) -> bool:
        """The value, if it is true or false, which some files write as 1 or 0."""
        if type(self.value) not in (bool, int) or self.value not in (0, 1):
            self.fail("true or false")
        return bool(self.value)

    def is_set(self, *keys: str) -> bool:
        """Whether one of some flags of an object is true; those that are not there are not."""
        return any(self.child(key, self.value[key]).flag() for key in keys if self.mapping().get(key) is not None)

    def points(self) -> np.ndarray:
        """(V, 2) float32 of [[x, y], ...] or [x, y, x, y, ...]."""
        if type(self.value) is not list:
            self.fail("a list of points")
        in_pairs = all(type(point) is list and len(point) == 2 for point in self.value)
        flat: list[Any] = [number for point in self.value for number in point] if in_pairs else self.value
        if not all(type(number) in _NUMBERS for number in flat):
            self.fail("points [[x, y], ...] or [x, y, x, y, ...]")
        try:
            return points_of(flat)
        except ValueError as problem:
            self.fail(f"points ({problem})")

    def image(self, images: ImageReferences, folder: str | None = None) -> Path:
        """The image that the value names; whether it is there shows when it is read.

        Args:
            folder: what the name is relative to, if it is relative: a path in the folders of the images; None = these.
        """
        if not is_name(self.text()):
            self.fail("the name of an image in its folder")
        try:
            is_whole = folder is None or is_absolute(self.value)
            return images.find(self.value if is_whole else f"{folder}/{self.value}")
        except UnclearNameError as fault:
            raise UnclearReferenceError(f"{self._position}{fault}", self.path, self.line) from None

    def corners(self, count: int = 4) -> list[float]:
        """As many numbers of pixels."""
        numbers = self.points().ravel().tolist()
        if len(numbers) != count:
            self.fail(f"{count} numbers")
        return numbers


def read_json(path: Path) -> Node:
    """The content of a file.

    Raises:
        DataError: it cannot be read, is no JSON (the line is named), or has a key twice.
    """
    return parse_json(read_text(path), path)


def parse_json(content: str, path: Path, line: int | None = None) -> Node:
    """A JSON text of a file.

    Args:
        line: where the text is in the file, if that has one a line.

    Raises:
        DataError: it is no JSON, or has a key twice.
    """
    try:
        return Node(json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse_constant), path, line)
    except json.JSONDecodeError as error:
        raise DataError(f"is not valid JSON: {error.msg} at column {error.colno}", path, line or error.lineno) from None
    except (ValueError, RecursionError) as problem:
        raise DataError(f"is no JSON that can be used: {problem}", path, line) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r:.60} is there twice")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _shown(value: Any) -> str:
    if type(value) is dict:
        return f"an object with the keys {', '.join(map(repr, list(value)[:8]))}" if value else "an empty object"
    return f"{value!r:.80}"
