"""The characters that a model knows and their ids."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scenetext.errors import CharacterError, DataError

PAD = 0
"""Id of an empty character slot, in every character set."""


class CharacterSet:
    """An ordered set of C characters. Ids: 0 pads, 1..C are the characters in order, C+1 is the mask, C+2 ends a word.

    The layout is that of the published oCLIP models. Immutable; equal sets compare equal; cheap to send to loader
    processes.

    Args:
        characters: single code points, none of them blank, none of them twice.
        source: the file they come from, for error messages.

    Raises:
        DataError: no character at all, or one that is blank, repeated or not a single code point; the 1-based position
            is reported as the line of `source`.
    """

    def __init__(self, characters: Iterable[str], source: Path | None = None) -> None:
        ids: dict[str, int] = {}
        for position, character in enumerate(characters, start=1):
            if character == "" or character.isspace():
                problem = "is blank; a dictionary holds one character a line and nothing else"
            elif len(character) > 1:
                problem = f"holds {character!r}, expected a single character; a dictionary holds one character a line"
            elif character in ids:
                problem = f"repeats {describe(character)} of line {ids[character]}; remove one of them"
            else:
                ids[character] = position
                continue
            raise DataError(f"line {position} {problem}" if source is None else problem, source, position)
        if not ids:
            raise DataError("the dictionary is empty; it needs one character a line", source)
        self._ids = ids
        self._characters = ("", *ids)

    @classmethod
    def english(cls) -> CharacterSet:
        """The printable ASCII characters 33 to 126, without the blank: the published English models."""
        return cls(map(chr, range(33, 127)))

    @classmethod
    def from_file(cls, path: Path) -> CharacterSet:
        """Reads a dictionary: plain UTF-8 text, one character a line, in the order of their ids.

        Raises:
            DataError: the file cannot be read, is not UTF-8, or a line is not one new character (file and line named).
        """
        try:
            # Not str.splitlines: it would also cut at characters that a dictionary may hold, such as U+2028.
            lines = path.read_bytes().decode("utf-8-sig").split("\n")
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", path) from None
        except UnicodeDecodeError as error:
            raise DataError(f"is not UTF-8 text ({error.reason} at byte {error.start})", path) from None
        if lines[-1] == "":
            lines.pop()
        return cls((line.removesuffix("\r") for line in lines), path)

    def write(self, path: Path) -> None:
        """Writes the file that `from_file` reads back to an equal set."""
        content = "".join(f"{character}\n" for character in self._ids)
        # A reader takes U+FEFF at the start of a file for a byte order mark; where it is meant, one is put before it.
        path.write_bytes(content.encode("utf-8-sig" if content.startswith("\ufeff") else "utf-8"))

    @property
    def characters(self) -> tuple[str, ...]:
        """The C characters; that of id i is at i - 1."""
        return self._characters[1:]

    @property
    def mask(self) -> int:
        """Id that stands for a hidden character."""
        return len(self._ids) + 1

    @property
    def end(self) -> int:
        """Id of the mark after the last character of a word; the largest id."""
        return len(self._ids) + 2

    @property
    def vocabulary_size(self) -> int:
        """C + 3: the least number of rows of an embedding or a classifier over these ids."""
        return len(self._ids) + 3

    def knows(self, word: str) -> bool:
        """Whether every character of the word has an id; true for the empty word."""
        return self._ids.keys() >= set(word)

    def unknown_characters(self, word: str) -> tuple[str, ...]:
        """The characters of the word that have no id, each once, in order of appearance; blanks are among them."""
        return tuple(dict.fromkeys(character for character in word if character not in self._ids))

    def encode(self, word: str) -> list[int]:
        """Ids of the characters of a word, without end mark or padding.

        Raises:
            CharacterError: the first character without an id, and the word it is in.
        """
        try:
            return [self._ids[character] for character in word]
        except KeyError as error:
            raise CharacterError(self.explain_unknown(error.args[0], word)) from None

    def known_ids(self, word: str, fold_case: bool) -> list[int] | None:
        """Ids of the characters of a word, of capital letters those of small ones where case is folded; None where it
        is empty or has a character without an id."""
        folded = word.lower() if fold_case else word
        return self.encode(folded) if folded and self.knows(folded) else None

    def decode(self, identity: int) -> str:
        """The character of an id; what is not a character is shown in brackets: [pad], [mask], [end] or the id."""
        if 1 <= identity < self.mask:
            return self._characters[identity]
        special = {PAD: "[pad]", self.mask: "[mask]", self.end: "[end]"}
        return special.get(identity, f"[{identity}]")

    def explain_unknown(self, character: str, word: str) -> str:
        """The text of a `CharacterError`: what is unknown, where, and the two remedies."""
        return (
            f"{describe(character)} of the word {word!r} is not among the {len(self)} known characters; "
            "use a dictionary that has it (`characters`), or skip such words (`unknown_characters: skip`)"
        )

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharacterSet) and self._characters == other._characters

    def __hash__(self) -> int:
        return hash(self._characters)

    def __repr__(self) -> str:
        return f"CharacterSet({len(self)} characters)"


def describe(character: str) -> str:
    """A character as a person can find it: 'é' (U+00E9)."""
    return f"{character!r} (U+{ord(character):04X})"
