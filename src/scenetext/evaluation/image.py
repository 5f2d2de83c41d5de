"""What an evaluation knows of one image: matches, counts, and what became of everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scenetext.errors import ConfigError
from scenetext.evaluation.scores import ThresholdScore

SCORE_TOLERANCE = 1e-6
"""A score this much below a threshold still reaches it: 0.7 in single precision is 0.69999999."""


class Match(NamedTuple):
    """A detection and an instance that match, by their indices in the lists that were evaluated."""

    detection: int
    instance: int


class Outcome(NamedTuple):
    """What became of every detection and instance at one threshold, by index. For drawing and listing.

    Attributes:
        hits: detections that match.
        false: detections that do not.
        left_out: detections that do not count, such as those in an ignored region.
        found: instances that were matched.
        missed: instances that were not.
        ignored: instances that do not count.
    """

    hits: tuple[int, ...]
    false: tuple[int, ...]
    left_out: tuple[int, ...]
    found: tuple[int, ...]
    missed: tuple[int, ...]
    ignored: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ImageEvaluation:
    """One image, evaluated at T thresholds.

    Attributes:
        counts: one per threshold.
        matches: per threshold, its matches.
        scores: (D,) float64, one per detection.
        left_out: (D,) bool, detections that do not count.
        ignored: (G,) bool, instances that do not count, unless a rule counts them where they are found: flagged, of
            unknown place, or of unknown text where texts are compared.
        unlocated: instances without a polygon; they cannot be scored, and detections of them count as false.
        unread: instances without a text that would count otherwise; only of rules that compare texts.
        repaired: polygons that crossed themselves (detections and instances).
        degenerate: polygons without an area (detections and instances). They count, but never match.
    """

    counts: tuple[ThresholdScore, ...]
    matches: tuple[tuple[Match, ...], ...]
    scores: np.ndarray
    left_out: np.ndarray
    ignored: np.ndarray
    unlocated: int
    unread: int
    repaired: int
    degenerate: int

    @property
    def ground_truths(self) -> int:
        """Instances that count in any case."""
        return int(np.count_nonzero(~self.ignored))

    def at(self, threshold: float) -> ThresholdScore:
        """The counts at one of the thresholds.

        Raises:
            ConfigError: not one of the thresholds.
        """
        return self.counts[self._index(threshold)]

    def outcome(self, threshold: float) -> Outcome:
        """What became of everything at one of the thresholds.

        Raises:
            ConfigError: not one of the thresholds.
        """
        matches = self.matches[self._index(threshold)]
        reaching = self.scores >= threshold - SCORE_TOLERANCE
        hits = {match.detection for match in matches}
        found = {match.instance for match in matches}
        return Outcome(
            hits=tuple(sorted(hits)),
            false=tuple(i for i in np.nonzero(reaching & ~self.left_out)[0].tolist() if i not in hits),
            left_out=tuple(np.nonzero(reaching & self.left_out)[0].tolist()),
            found=tuple(sorted(found)),
            missed=tuple(i for i in np.nonzero(~self.ignored)[0].tolist() if i not in found),
            ignored=tuple(i for i in np.nonzero(self.ignored)[0].tolist() if i not in found),
        )

    def _index(self, threshold: float) -> int:
        return threshold_index([score.threshold for score in self.counts], threshold)


def threshold_index(thresholds: Sequence[float], threshold: float) -> int:
    """Place of a threshold in a sweep.

    Raises:
        ConfigError: it was not tried.
    """
    for index, tried in enumerate(thresholds):
        if abs(tried - threshold) < SCORE_TOLERANCE:
            return index
    raise ConfigError(
        f"score threshold {threshold:g} was not evaluated; these were: {', '.join(f'{t:g}' for t in thresholds)}"
    )
