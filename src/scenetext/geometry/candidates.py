"""Limits on the candidates of an image: the best or largest stay, and what is cut is counted for whoever asks.

A detector's `decode` gives detections alone, so the counts take this way around it:

with counted_cuts() as cuts:
    detections = decode(maps, config)
print(cuts.remark())
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np


@dataclass(slots=True)
class CandidateCuts:
    """What limits cost.

    Attributes:
        times: how often there were more candidates than a limit, mostly once an image.
        candidates: how many were not looked at.
    """

    times: int = 0
    candidates: int = 0

    def add(self, other: CandidateCuts) -> None:
        """Adds what was counted elsewhere."""
        self.times += other.times
        self.candidates += other.candidates

    def remark(self) -> str:
        """A sentence for people; "" where nothing was cut."""
        if not self.times:
            return ""
        return (
            f"more candidates than the detector looks at, {self.times} times: {self.candidates} of them, the smallest "
            "or least certain, were dropped; the limit is in detector.decoding (scenetext train ... --print-config)"
        )


_COUNTED: ContextVar[CandidateCuts | None] = ContextVar("counted_cuts", default=None)


@contextmanager
def counted_cuts() -> Iterator[CandidateCuts]:
    """Counts what `keep_best` and `count_cut` drop in this thread, until the block ends; outer blocks count it, too."""
    outer, cuts = _COUNTED.get(), CandidateCuts()
    token = _COUNTED.set(cuts)
    try:
        yield cuts
    finally:
        _COUNTED.reset(token)
        if outer is not None:
            outer.add(cuts)


def add_cuts(cuts: CandidateCuts) -> None:
    """Counts here what was cut elsewhere, as in another process."""
    counted = _COUNTED.get()
    if counted is not None:
        counted.add(cuts)


def count_cut(number: int) -> None:
    """Counts that so many candidates of an image are dropped for a limit; 0 and less is nothing."""
    if number > 0:
        add_cuts(CandidateCuts(1, number))


def keep_best(weights: np.ndarray, limit: int) -> np.ndarray:
    """Indices of the `limit` largest weights in rising order; those that are dropped are counted.

    Args:
        weights: (N,), such as the scores or the areas of candidates; NaN counts as the largest.
    """
    count_cut(len(weights) - limit)
    if len(weights) <= limit:
        return np.arange(len(weights))
    return np.sort(np.argpartition(weights, -limit)[-limit:])
