"""Connectionist temporal classification: the loss of a word, and its best reading.

Class 0 is the blank; classes 1 to C are the characters of the alphabet, which has the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.recognition.encoded_map import encoded_map
from scenetext.recognition.recognizer import Reading

BLANK = 0


class ResidualBlock(nn.Module):
    """x + a convolution of five columns, normalised, of x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, channels, 5, padding=2, bias=False)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, columns: Tensor) -> Tensor:
        """(R, C, T) to the same."""
        found: Tensor = columns + F.relu(self.norm(self.convolution(columns)))
        return found


def column_layers(channels: int, height: int, characters: int) -> list[nn.Module]:
    """Layers from maps (R, channels, height, T) to logits (R, characters + 1, T), one after the other."""
    whole = nn.Conv2d(channels, channels, (height, 1), bias=False)
    blocks = [ResidualBlock(channels), ResidualBlock(channels)]
    classes = nn.Conv1d(channels, characters + 1, 1)
    return [whole, nn.BatchNorm2d(channels), nn.ReLU(), nn.Flatten(2), *blocks, classes]


class CtcMapReader(nn.Module):
    """Features of regions to a distribution over characters for every column of a map.

    Args:
        size: (height, width) of the map; its width is T.
        hidden: channels of the map.
        channels: of the features.
        characters: C, of the alphabet.
    """

    def __init__(self, size: tuple[int, int], hidden: int, channels: int, characters: int) -> None:
        super().__init__()
        self.size = size
        self.encoder = nn.Conv2d(channels, hidden, 3, padding=1)
        self.columns = nn.Sequential(*column_layers(hidden, size[0], characters))

    def forward(self, features: Tensor, fed: None = None) -> dict[str, Tensor]:
        """features: (R, channels, h, w), to log_probabilities (R, T, C + 1) float32."""
        return {"log_probabilities": column_probabilities(self.columns(encoded_map(features, self.encoder, self.size)))}


def column_probabilities(logits: Tensor) -> Tensor:
    """Logits (R, C + 1, T) to log-probabilities (R, T, C + 1) float32."""
    return logits.float().transpose(1, 2).log_softmax(dim=2)


@dataclass(frozen=True, slots=True)
class CtcRecognizer:
    """A `Recognizer` that reads T columns from left to right; see `ctc_loss` and `best_path`."""

    columns: int

    fed: ClassVar[None] = None
    outputs: ClassVar[tuple[str, ...]] = ("log_probabilities",)

    def fits(self, ids: Sequence[int]) -> bool:
        """Whether there is a column for every character, and one between equal neighbours."""
        return needed_columns(ids) <= self.columns

    def targets(self, ids: Tensor, length: Tensor) -> dict[str, Tensor]:
        """ids and length, as they are."""
        return {"ids": ids, "length": length}

    def loss(self, found: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """`ctc_loss` of the valid regions."""
        lengths = torch.where(valid, found["length"], 0).flatten()
        return ctc_loss(found["log_probabilities"].flatten(0, 1), found["ids"].flatten(0, 1), lengths)

    def read(self, outputs: Mapping[str, np.ndarray]) -> Reading:
        """`best_path`."""
        return best_path(outputs["log_probabilities"])


def needed_columns(ids: Sequence[int]) -> int:
    """Columns that a word takes at least: one a character, and a blank between equal neighbours."""
    return len(ids) + sum(one == other for one, other in pairwise(ids))


def ctc_loss(log_probabilities: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the words of the negative log-likelihood of each, divided by its length.

    Args:
        log_probabilities: (R, T, C + 1) float, log-softmax.
        ids: (R, L) int64, padded.
        lengths: (R,) int64; 0 = the text is not known, and the word has no term.

    Returns:
        Scalar float32; 0, tied to the graph, where no text is known. Source: Graves et al. (ICML 2006), section 4.
    """
    known = lengths > 0
    columns = torch.full_like(lengths, log_probabilities.shape[1])
    each = F.ctc_loss(
        log_probabilities.float().transpose(0, 1),
        ids,
        columns,
        lengths,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
    return (each * known / lengths.clamp(min=1)).sum() / known.sum().clamp(min=1)


def best_path(log_probabilities: np.ndarray) -> Reading:
    """The reading of the likeliest class of every column, repeats and blanks left out.

    Its score is the geometric mean of the probabilities of the characters; of nothing, 0.

    Args:
        log_probabilities: (T, C + 1) float32.
    """
    probabilities = np.exp(log_probabilities)
    classes = probabilities.argmax(axis=1)
    borders = [*np.flatnonzero(np.diff(classes, prepend=BLANK)).tolist(), len(classes)]
    runs = [(start, stop) for start, stop in pairwise(borders) if classes[start] != BLANK]
    ids = tuple(int(classes[start]) for start, _ in runs)
    if not ids:
        return Reading.nothing(probabilities.shape[1] - 1)
    means = np.stack([probabilities[start:stop, 1:].mean(axis=0) for start, stop in runs])
    chosen = means[np.arange(len(ids)), np.array(ids) - 1]
    distributions = (means / means.sum(axis=1, keepdims=True)).astype(np.float32)
    return Reading(ids, float(np.exp(np.log(chosen).mean())), distributions)
