"""Connectionist temporal classification: the loss of a word, and its best reading.

Class 0 is the blank; classes 1 to C are the characters of the alphabet, which has the same ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BLANK = 0


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What is read at a place.

    Attributes:
        ids: of the characters, from 1.
        score: geometric mean of the probabilities of the characters; 0 where nothing is read.
        probabilities: (T, C) float32, for every character a distribution over the alphabet.
    """

    ids: tuple[int, ...]
    score: float
    probabilities: np.ndarray


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

    Args:
        log_probabilities: (T, C + 1) float32.
    """
    probabilities = np.exp(log_probabilities)
    classes = probabilities.argmax(axis=1)
    borders = [*np.flatnonzero(np.diff(classes, prepend=BLANK)).tolist(), len(classes)]
    runs = [(start, stop) for start, stop in pairwise(borders) if classes[start] != BLANK]
    ids = tuple(int(classes[start]) for start, _ in runs)
    if not ids:
        return Reading((), 0.0, np.zeros((0, probabilities.shape[1] - 1), np.float32))
    means = np.stack([probabilities[start:stop, 1:].mean(axis=0) for start, stop in runs])
    chosen = means[np.arange(len(ids)), np.array(ids) - 1]
    distributions = (means / means.sum(axis=1, keepdims=True)).astype(np.float32)
    return Reading(ids, float(np.exp(np.log(chosen).mean())), distributions)
