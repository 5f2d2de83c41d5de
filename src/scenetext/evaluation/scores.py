"""What was counted at one score threshold, and the rates that follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThresholdScore:
    """The counts at one score threshold, of an image or of a whole set. Rates are NaN where there is no ground truth.

    Attributes:
        threshold: lowest score of the detections that count.
        found: what the ground truths that were found count; DetEval gives less than 1 for one in pieces.
        hits: what the detections that hit count. One-to-one rules have hits equal to found.
        detections: those that count (neither below the threshold nor left out).
        ground_truths: those that count.
        placed: pairs that match by their places, whatever they read; only rules that read texts tell.
        similarity: sum over these pairs of 1 - edit distance / length of the longer text.
    """

    threshold: float
    found: float
    hits: float
    detections: int
    ground_truths: int
    placed: int = 0
    similarity: float = 0.0

    @property
    def precision(self) -> float:
        """Share of the detections that hit; 0 where there are none. In [0, 1], but for rules that count hits by the
        ground truth (`td500_psenet`)."""
        return self._rate(self.hits, self.detections)

    @property
    def recall(self) -> float:
        """Share of the ground truths that are found."""
        return self._rate(self.found, self.ground_truths)

    @property
    def hmean(self) -> float:
        """Harmonic mean of precision and recall."""
        if self.found == self.hits:
            return self._rate(2 * self.hits, self.detections + self.ground_truths)
        precision, recall = self.precision, self.recall
        return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)

    @property
    def edit_similarity(self) -> float:
        """1-NED: the mean similarity of the texts of pairs, unpaired ground truths and detections counting 0."""
        return self._rate(self.similarity, self.detections + self.ground_truths - self.placed)

    @property
    def errors(self) -> float:
        """What is missed and what is false, together."""
        return self.detections - self.hits + self.ground_truths - self.found

    def _rate(self, part: float, whole: int) -> float:
        if not self.ground_truths:
            return math.nan
        return part / whole if whole else 0.0


def total_score(scores: Sequence[ThresholdScore], threshold: float) -> ThresholdScore:
    """The counts of several images together; their order changes nothing, not even the last digit."""
    return ThresholdScore(
        threshold=threshold,
        found=math.fsum(score.found for score in scores),
        hits=math.fsum(score.hits for score in scores),
        detections=sum(score.detections for score in scores),
        ground_truths=sum(score.ground_truths for score in scores),
        placed=sum(score.placed for score in scores),
        similarity=math.fsum(score.similarity for score in scores),
    )
