"""Counts over all images, at every score threshold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np

from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.detection import evaluate_image, evaluate_images
from scenetext.evaluation.image import ImageEvaluation, threshold_index
from scenetext.evaluation.rules import Protocol
from scenetext.evaluation.scores import ThresholdScore, total_score
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
_TOGETHER = 128
"""Images whose overlaps are computed at a time; more of them save no time."""


@dataclass(frozen=True, slots=True)
class SweepScores:
    """A data set at every threshold that was tried.

    Attributes:
        protocol: the rule.
        scores: one per threshold, in the order given.
        images: number of them.
        ground_truths: instances that count in any case.
        ignored: instances that do not; some rules count them where they are found.
        unlocated: instances of unknown place, not scored; they are among the ignored.
        unread: instances of unknown text, or that word spotting does not look for; they are among the ignored.
        missing: images without any result that the rule leaves out; they are not among the images.
        detections: all of them, whatever their score.
        left_out: those that do not count, such as those in ignored regions.
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
    unread: int
    missing: int
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
        self._missing: set[Path] = set()

    @property
    def images(self) -> Mapping[Path, ImageEvaluation]:
        """The result of every image, in the order of their adding."""
        return MappingProxyType(self._images)

    def add(self, path: Path, detections: Sequence[Detection], instances: Sequence[TextInstance]) -> ImageEvaluation:
        """Evaluates one image; polygons in pixels of the original image.

        Raises:
            DataError: as `evaluate_image`, with the path.
        """
        try:
            self._images[path] = evaluate_image(detections, instances, self.protocol, self.thresholds)
        except DataError as error:
            raise DataError(str(error), path) from None
        return self._images[path]

    def add_all(self, images: Iterable[tuple[Path, Sequence[Detection], Sequence[TextInstance]]]) -> None:
        """Evaluates many images, some of them at a time; as `add`, but in less time."""
        left = iter(images)
        while chunk := list(islice(left, _TOGETHER)):
            try:
                contents = [(detections, instances) for _, detections, instances in chunk]
                evaluations = evaluate_images(contents, self.protocol, self.thresholds)
            except DataError:  # one by one, to tell which it is
                for image in chunk:
                    self.add(*image)
            else:
                self._images.update(zip((path for path, _, _ in chunk), evaluations, strict=True))

    def add_missing(self, path: Path, instances: Sequence[TextInstance]) -> None:
        """An image for which there is no result: all of it is missed, or it is left out, by the rule."""
        if self.protocol.missing_images == "left_out":
            self._missing.add(path)
        else:
            self.add(path, [], instances)

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
        self._missing |= other._missing

    def scores(self) -> SweepScores:
        """The counts over all images."""
        images = list(self._images.values())
        # Sorted, so that the last digit of their mean does not depend on the order of the images.
        all_scores = np.sort(np.concatenate([np.zeros(0), *(image.scores for image in images)]))
        return SweepScores(
            protocol=self.protocol,
            scores=tuple(
                total_score([image.counts[index] for image in images], threshold)
                for index, threshold in enumerate(self.thresholds)
            ),
            images=len(images),
            ground_truths=sum(image.ground_truths for image in images),
            ignored=sum(int(image.ignored.sum()) for image in images),
            unlocated=sum(image.unlocated for image in images),
            unread=sum(image.unread for image in images),
            missing=len(self._missing),
            detections=len(all_scores),
            left_out=sum(int(image.left_out.sum()) for image in images),
            repaired=sum(image.repaired for image in images),
            degenerate=sum(image.degenerate for image in images),
            mean_score=float(all_scores.mean()) if len(all_scores) else math.nan,
            best_score=float(all_scores.max()) if len(all_scores) else math.nan,
        )

    def worst(self, threshold: float, count: int) -> list[tuple[Path, ThresholdScore]]:
        """The images with the most misses and false detections together at a threshold, worst first."""
        scores = [(path, image.at(threshold)) for path, image in self._images.items()]
        scores.sort(key=lambda item: -item[1].errors)
        return scores[:count]
