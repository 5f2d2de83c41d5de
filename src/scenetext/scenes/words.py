"""The words of signs: listed words, numbers as they stand on signs, random strings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scenetext.errors import DataError
from scenetext.scenes.settings import TextSettings

CASES = ("upper", "title", "lower", "unchanged")


def read_words(path: Path) -> tuple[str, ...]:
    """Words of a UTF-8 text file, separated by blanks or line ends, in order, without repetitions.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or holds no word.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"the word list cannot be read ({error.strerror})", path) from None
    except UnicodeDecodeError as error:
        raise DataError(f"the word list is not UTF-8 (byte {error.start}); save it as UTF-8", path) from None
    words = tuple(dict.fromkeys(word for word in text.split() if word.isprintable()))
    if not words:
        raise DataError("the word list is empty; write one word on each line", path)
    return words


class WordSource:
    """Samples the words of signs.

    Args:
        settings: shares, lengths and cases.
        words: the list to draw from; may be empty where `settings.listed` is 0.

    Raises:
        DataError: listed words are asked for and none has an allowed length.
    """

    def __init__(self, settings: TextSettings, words: Sequence[str]) -> None:
        shortest, longest = settings.list_length
        self._settings = settings
        self._words = tuple(word for word in words if shortest <= len(word) <= longest)
        if settings.listed > 0 and not self._words:
            raise DataError(
                f"none of the {len(words)} listed words has {shortest} to {longest} characters; "
                "give another word list, change text.list_length or set text.listed=0"
            )
        self._kinds = _cumulative([settings.listed, settings.numbers, settings.random])
        self._cases = _cumulative([settings.upper, settings.title, settings.lower, settings.unchanged])

    def sample_case(self, generator: np.random.Generator) -> str:
        """The case of the words of one sign: one of CASES."""
        return CASES[int(np.searchsorted(self._cases, generator.random(), side="right"))]

    def sample(self, generator: np.random.Generator, case: str) -> str:
        """One word, without blanks, never empty."""
        kind = int(np.searchsorted(self._kinds, generator.random(), side="right"))
        if kind == 0:
            return set_case(self._words[generator.integers(len(self._words))], case)
        if kind == 1:
            return set_case(sample_number(generator), case)
        return set_case(self._sample_random(generator), case)

    def _sample_random(self, generator: np.random.Generator) -> str:
        length = int(generator.integers(*self._settings.random_length, endpoint=True))
        characters = self._settings.random_characters
        return "".join(characters[index] for index in generator.integers(len(characters), size=length))


def set_case(word: str, case: str) -> str:
    """The word in one of CASES; `title` changes the first character alone, so that "don't" stays "Don't"."""
    if case == "upper":
        return word.upper()
    if case == "lower":
        return word.lower()
    return word[:1].upper() + word[1:] if case == "title" else word


def sample_number(generator: np.random.Generator) -> str:
    """A number as it stands on signs: price, telephone, time, year, house number, percentage, distance, plate."""

    def digits(count: int) -> str:
        return "".join(map(str, generator.integers(10, size=count)))

    def upto(limit: int) -> int:
        return int(generator.integers(1, limit))

    letters = "".join(chr(65 + index) for index in generator.integers(26, size=3))
    kinds = (
        lambda: f"${upto(100)}.{('00', '50', '99', '95', digits(2))[upto(5)]}",
        lambda: f"{upto(20)}.{digits(2)}",
        lambda: f"{digits(3)}-{digits(4)}",
        lambda: f"0{digits(3)}-{digits(6)}",
        lambda: f"{upto(13)}:{('00', '15', '30', '45')[upto(4)]}",
        lambda: f"{upto(12)}{'am' if upto(3) == 1 else 'pm'}",
        lambda: f"{upto(11)}am-{upto(11)}pm",
        lambda: str(1850 + upto(176)),
        lambda: f"{upto(500)}{'ABC'[upto(3)] if upto(6) == 1 else ''}",
        lambda: f"{5 * upto(16)}%",
        lambda: f"{upto(60)}{('km', 'm', 'mph', 'kg')[upto(4)]}",
        lambda: f"{letters[:2]}{digits(2)}-{letters}",
        lambda: f"#{upto(100)}",
        lambda: "24/7",
    )
    return kinds[generator.integers(len(kinds))]()


def _cumulative(weights: Sequence[float]) -> np.ndarray:
    """Upper ends, below the last, of the parts of [0, 1) that belong to the weights."""
    total = np.cumsum(weights)
    return (total / total[-1])[:-1]
