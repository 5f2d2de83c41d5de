"""Counts over all images, at every score threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.detection import ImageEvaluation, evaluate_image, threshold_index
from scenetext.evaluation.protocols import Protocol
from scenetext.structures import Detection, TextInstance


def threshold_grid(start: float, stop: float, step: float) -> tuple[float, ...]:
    """Score thresholds from `start` to `stop`, both included, rounded to nine decimals (0.7, not 0.7000000000000001).

    Raises:
        ConfigError: nothing in between, or a step that is not positive.
    """
    if not (step > 0 and stop >= start):
        raise ConfigError(f"score thresholds from {start} to {stop} by {step}: nothing to try")
    return tuple(round(start + index * step, 9) for index in range(math.floor((stop - start) / step + 1e-9) + 1))


DEFAULT_THRESHOLDS = threshold_grid(0.3, 0.9, 0.1)
"""The seven that MMOCR's metric tries."""


@dataclass(frozen=True, slots=True)
class ThresholdScore:
    """The counts at one score threshold. Rates are in [0, 1], and NaN where there is no ground truth at all.

    Attributes:
        threshold: lowest score of the detections that count.
        matched: pairs of a detection and a ground truth.
        detections: those that count (not in ignored regions).
        ground_truths: those that count (not ignored).
    """

    threshold: float
    matched: int
    detections: int
    ground_truths: int

    @property
    def precision(self) -> float:
        """Share of the detections that match; 0 where there are none."""
        return self._rate(self.matched, self.detections)

    @property
    def recall(self) -> float:
        """Share of the ground truths that are matched."""
        return self._rate(self.matched, self.ground_truths)

    @property
    def hmean(self) -> float:
        """Harmonic mean of precision and recall."""
        return self._rate(2 * self.matched, self.detections + self.ground_truths)

    def _rate(self, part: int, whole: int) -> float:
        if not self.ground_truths:
            return math.nan
        return part / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class SweepScores:
    """A data set at every threshold that was tried.

    Attributes:
        protocol: the rule.
        scores: one per threshold, in the order given.
        images: number of them.
        ground_truths: instances that count.
        ignored: instances that do not.
        unlocated: instances of unknown place, not scored; they are among the ignored.
        detections: all of them, whatever their score.
        left_out: those in ignored regions.
        repaired: polygons that crossed themselves, of detections and instances.
        degenerate: polygons without an area, of detections and instances.
        mean_score, best_score: of the detections; NaN where there are none.
    """

    protocol: Protocol
    scores: tuple[ThresholdScore, ...]
    images: int
    ground_truths: int
    ignored: int
    unlocated: int
    detections: int
    left_out: int
    repaired: int
    degenerate: int
    mean_score: float
    best_score: float

    @property
    def best(self) -> ThresholdScore:
        """The highest hmean and its threshold, the lowest of equals. Chosen on the set it is measured on: say so."""
        return max(self.scores, key=lambda score: (0.0 if math.isnan(score.hmean) else score.hmean, -score.threshold))

    def at(self, threshold: float) -> ThresholdScore:
        """The counts at one of the thresholds.

        Raises:
            ConfigError: it was not tried.
        """
        return self.scores[threshold_index([score.threshold for score in self.scores], threshold)]


class DetectionEvaluator:
    """Collects images, then sums up.

    An image that is added again replaces its earlier result.

    Args:
        protocol: the rule, see `find_protocol`.
        thresholds: score thresholds to try.

    Raises:
        ConfigError: no thresholds.
    """

    def __init__(self, protocol: Protocol, thresholds: Sequence[float] = DEFAULT_THRESHOLDS) -> None:
        self.protocol = protocol
        self.thresholds = tuple(float(threshold) for threshold in thresholds)
        if not self.thresholds:
            raise ConfigError("an evaluation needs at least one score threshold")
        self._images: dict[Path, ImageEvaluation] = {}

    @property
    def images(self) -> Mapping[Path, ImageEvaluation]:
        """The result of every image, in the order of their adding."""
        return MappingProxyType(self._images)

    def add(self, path: Path, detections: Sequence[Detection], instances: Sequence[TextInstance]) -> ImageEvaluation:
        """Evaluates one image; polygons in pixels of the original image. Raises as `evaluate_image`."""
        evaluation = evaluate_image(detections, instances, self.protocol, self.thresholds)
        self._images[path] = evaluation
        return evaluation

    def include(self, other: DetectionEvaluator) -> None:
        """Adds the images that another process evaluated.

        Raises:
            ConfigError: it did so by another protocol or at other thresholds.
            DataError: an image is in both.
        """
        if (other.protocol, other.thresholds) != (self.protocol, self.thresholds):
            raise ConfigError(
                f"evaluated by {other.protocol.name} at thresholds {other.thresholds}, "
                f"not by {self.protocol.name} at {self.thresholds}"
            )
        for path in other._images:
            if path in self._images:
                raise DataError("was evaluated by two processes, and would be counted twice", path)
        self._images.update(other._images)

    def scores(self) -> SweepScores:
        """The counts over all images."""
        images = list(self._images.values())
        matched = np.zeros(len(self.thresholds), dtype=np.int64)
        counted = np.zeros(len(self.thresholds), dtype=np.int64)
        for image in images:
            matched += [len(matches) for matches in image.matches]
            counted += image.detections()
        ground_truths = sum(image.ground_truths for image in images)
        # Sorted, so that the last digit of their mean does not depend on the order of the images.
        all_scores = np.sort(np.concatenate([np.zeros(0), *(image.scores for image in images)]))
        return SweepScores(
            protocol=self.protocol,
            scores=tuple(
                ThresholdScore(threshold, int(hits), int(count), ground_truths)
                for threshold, hits, count in zip(self.thresholds, matched, counted, strict=True)
            ),
            images=len(images),
            ground_truths=ground_truths,
            ignored=sum(int(image.ignored.sum()) for image in images),
            unlocated=sum(image.unlocated for image in images),
            detections=len(all_scores),
            left_out=sum(int(image.left_out.sum()) for image in images),
            repaired=sum(image.repaired for image in images),
            degenerate=sum(image.degenerate for image in images),
            mean_score=float(all_scores.mean()) if len(all_scores) else math.nan,
            best_score=float(all_scores.max()) if len(all_scores) else math.nan,
        )

    def worst(self, threshold: float, count: int) -> list[tuple[Path, ThresholdScore]]:
        """The images with the most misses and false detections together at a threshold, worst first."""
        index = threshold_index(self.thresholds, threshold)
        scores = [
            (
                path,
                ThresholdScore(
                    threshold, len(image.matches[index]), int(image.detections()[index]), image.ground_truths
                ),
            )
            for path, image in self._images.items()
        ]
        scores.sort(key=lambda item: 2 * item[1].matched - item[1].detections - item[1].ground_truths)
        return scores[:count]
