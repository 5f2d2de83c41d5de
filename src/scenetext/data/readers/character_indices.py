"""Words spelled in indices of AdelaiDet's 95 characters, printable ASCII in its order, in files of several projects.

AdelaiDet's own index of a character is its position among them; 95 is a character outside them, and 96 fills up a list.
SwinTextSpotter's files have such lists moved by a constant. Nothing in a file says so, but a text that is moved along
the alphabet is no English: `adelaidet` becomes `befmbjefu`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

CHARACTERS = "".join(map(chr, range(32, 127)))
_FOREIGN, _FILL = len(CHARACTERS), len(CHARACTERS) + 1
_SHIFTS = range(-1, 13)
_FEWEST = 200
"""Characters below which a shift would be guessed."""
_MARGIN = 0.3
"""Mean log-likelihood per character by which a shifted reading must be better than the plain one."""
_LETTERS = dict(
    zip(
        "etaoinshrdlcumwfgypbvkjxqz",
        [
            *(12.7, 9.1, 8.2, 7.5, 7.0, 6.7, 6.3, 6.1, 6.0, 4.3, 4.0, 2.8, 2.8),
            *(2.4, 2.4, 2.2, 2.0, 2.0, 1.9, 1.5, 1.0, 0.8, 0.15, 0.15, 0.1, 0.07),
        ],
        strict=True,
    )
)
"""Per cent in English text (Lewand, Cryptological Mathematics, 2000)."""
_OTHER = 0.2
"""Per cent of any other character."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a file spells words.

    Attributes:
        shift: what is added to AdelaiDet's index of every character.
        fill: what fills up the lists.
    """

    shift: int = 0
    fill: int = _FILL

    @property
    def largest(self) -> int:
        """The largest index that may occur."""
        return max(self.fill, _FOREIGN + self.shift)

    def word(self, indices: Iterable[int]) -> str | None:
        """The word; None where it has a character outside the 95."""
        places = [index - self.shift for index in indices if index != self.fill]
        if any(place == _FOREIGN for place in places):
            return None
        return "".join(CHARACTERS[place] for place in places if 0 <= place < len(CHARACTERS)).strip()


def find_spelling(lists: Iterable[Sequence[int]]) -> Spelling:
    """How the lists of a file spell words: AdelaiDet's way, unless a shift makes them much better English."""
    fills: Counter[int] = Counter()
    counts: Counter[int] = Counter()
    padded = total = 0
    for indices in lists:
        counts.update(indices)
        total += 1
        if len(indices) > 1 and indices[-1] == indices[-2]:
            padded += 1
            fills[indices[-1]] += 1
    fill = fills.most_common(1)[0][0] if padded > total / 2 else _FILL
    del counts[fill]
    occurring = np.array(sorted(counts), dtype=np.int64)
    numbers = np.array([counts[index] for index in occurring.tolist()], dtype=np.float64)
    if numbers.sum() < _FEWEST:
        return Spelling()
    scores = {shift: float(numbers @ _likelihoods(occurring - shift)) / float(numbers.sum()) for shift in _SHIFTS}
    best = max(scores, key=scores.__getitem__)
    return Spelling(best, fill) if scores[best] > scores[0] + _MARGIN else Spelling()


def _likelihoods(places: np.ndarray) -> np.ndarray:
    """Log-likelihood of the characters at these places in English; one outside them is as rare as can be."""
    table = [math.log(_LETTERS.get(character.lower(), _OTHER)) for character in CHARACTERS]
    inside = (places >= 0) & (places < len(CHARACTERS))
    return np.where(inside, np.array(table)[np.clip(places, 0, len(CHARACTERS) - 1)], math.log(_OTHER) - 2)
