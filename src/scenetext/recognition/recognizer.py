"""What recognisers have in common: what they learn from, how far off they are, and what they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from scenetext.structures import TextInstance
from scenetext.text.charset import CharacterSet


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What is read in a region.

    Attributes:
        ids: of the characters, from 1.
        score: from 0 to 1; how it is made is the recogniser's.
        probabilities: (T, C) float32, for every character a distribution over the alphabet.
    """

    ids: tuple[int, ...]
    score: float
    probabilities: np.ndarray

    @classmethod
    def nothing(cls, characters: int) -> Reading:
        """No text, which nothing speaks for; C characters in the alphabet."""
        return cls((), 0.0, np.zeros((0, characters), np.float32))


class Recognizer(Protocol):
    """What belongs to a network that reads regions, but is not part of it. Cheap to send to other processes.

    The network takes the features of regions (R, ...) and, where it learns, the target `fed`; what it gives joins the
    maps of a stage beside the targets, so `loss` finds both.

    Attributes:
        fed: the target that the network sees in training; None = it sees none.
        outputs: names of what it gives in evaluation.
    """

    @property
    def fed(self) -> str | None:
        """Its name."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Their names."""

    def fits(self, ids: Sequence[int]) -> bool:
        """Whether a text is short enough to be read."""

    def targets(self, ids: Tensor, length: Tensor) -> dict[str, Tensor]:
        """What is learnt of N texts, a row each.

        Args:
            ids: (N, L) int64, from 1, padded with 0.
            length: (N,) int64; 0 = the text is not known.
        """

    def loss(self, found: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """Scalar float32, mean over the known texts; 0, tied to the graph, where there is none.

        Args:
            found: outputs in training and targets, (B, P, ...) each.
            valid: (B, P) bool, the regions that count.
        """

    def read(self, outputs: Mapping[str, np.ndarray]) -> Reading:
        """The text of one region, from its outputs in evaluation."""


@dataclass(frozen=True, slots=True)
class ReadableTexts:
    """Which texts a recogniser can learn, and as what.

    Attributes:
        alphabet: the characters that are read.
        fold_case: whether capital letters are read as small ones.
        recognizer: which says what is too long.
    """

    alphabet: CharacterSet
    fold_case: bool
    recognizer: Recognizer

    def ids(self, text: str | None) -> list[int] | None:
        """The ids of a text's characters; None where it is unknown, empty, too long or of other characters."""
        ids = None if text is None else self.alphabet.known_ids(text, self.fold_case)
        return ids if ids is not None and self.recognizer.fits(ids) else None

    def why_unread(self, instance: TextInstance) -> str | None:
        """Why a text cannot be learnt, in words; None = it can."""
        if instance.ignore:
            return "ignored"
        if instance.polygon is None:
            return "without polygon"
        if not instance.text:
            return "without transcription"
        if self.alphabet.known_ids(instance.text, self.fold_case) is None:
            return OUTSIDE_ALPHABET
        return "longer than the reader can read" if self.ids(instance.text) is None else None


OUTSIDE_ALPHABET = "with characters outside the alphabet"
