"""Character dictionaries: built from the words of a dataset, checked against them, read from the published pickle."""

from __future__ import annotations

import os
import pickle
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenetext.errors import DataError
from scenetext.structures import ImageRecord
from scenetext.text.charset import CharacterSet
from scenetext.weights.unpickling import DataUnpickler, UnsafePickleError

_EXAMPLES = 3
_LARGEST_PICKLE = 1 << 24
"""Bytes; a dictionary of every character there is takes a third of that."""


@dataclass(frozen=True, slots=True)
class UnknownCharacter:
    """A character of the data that a dictionary lacks.

    Attributes:
        character: a single code point.
        count: how often it occurs.
        words: the first words that it occurs in.
    """

    character: str
    count: int
    words: tuple[str, ...]


class CharacterCounts:
    """The characters of the words that can be learnt from, counted one record after the other.

    Words are what blanks separate; texts to be ignored do not count.

    Args:
        known: a dictionary to check against.

    Attributes:
        words: words seen.
        unknown_words: those with a character that `known` lacks.
    """

    def __init__(self, known: CharacterSet | None = None) -> None:
        self.words = 0
        self.unknown_words = 0
        self._known = known
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def watch(self, records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
        """Passes the records through unchanged and counts their characters."""
        for record in records:
            for instance in record.instances:
                if instance.text is not None and not instance.ignore:
                    for word in instance.text.split():
                        self._add_word(word)
            yield record

    def characters(self) -> CharacterSet:
        """A dictionary of all characters found, in the order of their code points.

        Raises:
            DataError: there are none.
        """
        if not self._counts:
            raise DataError("no characters to make a dictionary of: the data have no words")
        return CharacterSet(sorted(self._counts))

    def unknown(self) -> list[UnknownCharacter]:
        """The characters that the dictionary lacks, the most frequent first; none where there is no dictionary."""
        unknown = [UnknownCharacter(one, self._counts[one], tuple(words)) for one, words in self._examples.items()]
        return sorted(unknown, key=lambda one: (-one.count, one.character))

    def __len__(self) -> int:
        return len(self._counts)

    def _add_word(self, word: str) -> None:
        self.words += 1
        self._counts.update(word)
        if self._known is None or self._known.knows(word):
            return
        self.unknown_words += 1
        for character in self._known.unknown_characters(word):
            examples = self._examples.setdefault(character, [])
            if len(examples) < _EXAMPLES and word not in examples:
                examples.append(word)


def read_dictionary(path: Path) -> CharacterSet:
    """A dictionary of either kind, detected by its content: plain text, one character a line, or a published pickle.

    Raises:
        DataError: the file is missing, damaged, or no dictionary.
    """
    return read_pickled_dictionary(path) if _looks_pickled(path) else CharacterSet.from_file(path)


def read_pickled_dictionary(path: Path) -> CharacterSet:
    """The dictionary of a published oCLIP model: a pickled list of code points, in the order of their ids.

    Only the pickle instructions that write a plain list are followed, any other is refused before anything is read; so
    nothing in the file can be executed.

    Raises:
        DataError: the file is missing, damaged, holds anything but a list of characters, or one that is blank or
            repeated.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from None
    if len(data) > _LARGEST_PICKLE:
        raise DataError(f"has {len(data)} bytes, far too many for a list of characters", path)
    try:
        characters = [_character(value) for value in _unpickled_list(data)]
    except ValueError as problem:
        raise DataError(f"is no pickled list of characters: {problem}", path) from None
    return CharacterSet(characters, path)


_LIST_INSTRUCTIONS = (
    "PROTO FRAME STOP PUT BINPUT LONG_BINPUT MEMOIZE MARK EMPTY_LIST EMPTY_TUPLE LIST TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "APPEND APPENDS INT BININT BININT1 BININT2 LONG LONG1 UNICODE BINUNICODE SHORT_BINUNICODE"
)
"""What all protocols write for a list or tuple of numbers and texts; nothing names or calls, or refers back."""


def _looks_pickled(path: Path) -> bool:
    """Whether a file ends as pickles do, and its first line is not one character, as in text dictionaries."""
    try:
        with path.open("rb") as stream:
            first_line = stream.readline(_LARGEST_PICKLE).decode("utf-8-sig", "replace").rstrip("\r\n")
            stream.seek(-1, os.SEEK_END)
            return stream.read() == pickle.STOP and len(first_line) != 1
    except OSError:  # missing or empty; the reader reports it
        return False


def _unpickled_list(data: bytes) -> Sequence[Any]:
    """The list or tuple that a pickle holds; ValueError says why there is none."""
    try:
        content = DataUnpickler(data, _LIST_INSTRUCTIONS).load()
    except UnsafePickleError as error:
        raise ValueError(f"it {error}") from None
    except Exception as error:  # bytes from anywhere can raise anything
        raise ValueError(f"its instructions do not fit together ({error})") from None
    if not isinstance(content, (list, tuple)):
        raise ValueError("it holds something else than one list")
    return content


def _character(value: Any) -> str:
    """A code point, or a text of one character, as that character."""
    if isinstance(value, str):
        character = value
    elif type(value) is int and 0 <= value <= 0x10FFFF:
        character = chr(value)
    else:
        raise ValueError(f"{reprlib.repr(value)} is no character")
    if any(0xD800 <= ord(one) <= 0xDFFF for one in character):
        raise ValueError(f"{character!a} is half of a character (a lone surrogate)")
    return character
