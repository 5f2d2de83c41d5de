"""What was counted: of an image and of a whole set, at every score threshold, and the rates that follow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import add, attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.rules import Protocol

SCORE_TOLERANCE = 1e-6
"""A score this much below a threshold still reaches it: 0.7 in single precision is 0.69999999."""


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


def threshold_index(thresholds: Sequence[float], threshold: float) -> int:
    """Index of a threshold in a sweep.

    Raises:
        ConfigError: it was not tried.
    """
    for index, tried in enumerate(thresholds):
        if abs(tried - threshold) < SCORE_TOLERANCE:
            return index
    raise ConfigError(
        f"score threshold {threshold:g} was not evaluated; these were: {', '.join(f'{t:g}' for t in thresholds)}"
    )


@dataclass(frozen=True, slots=True)
class ThresholdScore:
    """The counts at one score threshold, of an image or of a whole set. Rates are NaN where there is no ground truth.

    Attributes:
        threshold: lowest score of the detections that count.
        found: what the ground truths that were found count; DetEval gives less than 1 for one in pieces.
        hits: what the detections that hit count. One-to-one rules have hits equal to found.
        detections: those that count (neither below the threshold nor excluded).
        ground_truths: those that count.
        position_matches: pairs that match by position, with any text; only of rules that compare texts.
        similarity: sum over these pairs of 1 - edit distance / length of the longer text.
    """

    threshold: float
    found: float
    hits: float
    detections: int
    ground_truths: int
    position_matches: int = 0
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
        return self._rate(self.similarity, self.detections + self.ground_truths - self.position_matches)

    @property
    def word_accuracy(self) -> float:
        """Share of the detections in the right position whose text is right, too."""
        return self._rate(self.hits, self.position_matches)

    @property
    def errors(self) -> float:
        """What is missed and what is false, together."""
        return self.detections - self.hits + self.ground_truths - self.found

    def _rate(self, part: float, whole: int) -> float:
        if not self.ground_truths:
            return math.nan
        return part / whole if whole else 0.0


class Match(NamedTuple):
    """A detection and an instance that match, by their indices in the lists that were evaluated."""

    detection: int
    instance: int


class Outcome(NamedTuple):
    """The outcome of every detection and instance at one threshold, by index. For drawing and listing.

    Attributes:
        hits: detections that match.
        false: detections that do not.
        excluded: detections that do not count, such as those in an ignored region.
        found: instances that were matched.
        missed: instances that were not.
        ignored: instances that do not count.
    """

    hits: tuple[int, ...]
    false: tuple[int, ...]
    excluded: tuple[int, ...]
    found: tuple[int, ...]
    missed: tuple[int, ...]
    ignored: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ImageEvaluation:
    """One image, evaluated at T thresholds.

    Attributes:
        counts: one per threshold.
        pairs: per threshold, (index in `with_polygon`, index of the detection) of what matches.
        with_polygon: indices of the instances with a polygon.
        scores: (D,) float64, one per detection.
        excluded: (D,) bool, detections that do not count.
        ignored: (G,) bool, instances that do not count, unless a rule counts them where they are found: flagged,
            without polygon, or without text where texts are compared.
        without_polygon: instances without a polygon; they cannot be scored, and detections of them count as false.
        unread: instances without a text that would count otherwise; only of rules that compare texts.
        two_flags: instances of which the flags of their dataset disagree, see `TextInstance.ignore_flag`.
        repaired: polygons that crossed themselves (detections and instances).
        degenerate: polygons without an area (detections and instances). They count, but never match.
    """

    counts: tuple[ThresholdScore, ...]
    pairs: tuple[tuple[tuple[int, int], ...], ...]
    with_polygon: tuple[int, ...]
    scores: np.ndarray
    excluded: np.ndarray
    ignored: np.ndarray
    without_polygon: int
    unread: int
    two_flags: int
    repaired: int
    degenerate: int

    @property
    def matches(self) -> tuple[tuple[Match, ...], ...]:
        """The matches at every threshold."""
        return tuple(tuple(Match(column, self.with_polygon[row]) for row, column in pairs) for pairs in self.pairs)

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
        """The outcome of all detections and instances at one of the thresholds.

        Raises:
            ConfigError: not one of the thresholds.
        """
        pairs = self.pairs[self._index(threshold)]
        reaching = self.scores >= threshold - SCORE_TOLERANCE
        hits = {column for _, column in pairs}
        found = {self.with_polygon[row] for row, _ in pairs}
        return Outcome(
            hits=tuple(sorted(hits)),
            false=tuple(i for i in np.nonzero(reaching & ~self.excluded)[0].tolist() if i not in hits),
            excluded=tuple(np.nonzero(reaching & self.excluded)[0].tolist()),
            found=tuple(sorted(found)),
            missed=tuple(i for i in np.nonzero(~self.ignored)[0].tolist() if i not in found),
            ignored=tuple(i for i in np.nonzero(self.ignored)[0].tolist() if i not in found),
        )

    def _index(self, threshold: float) -> int:
        return threshold_index([score.threshold for score in self.counts], threshold)


@dataclass(frozen=True, slots=True)
class SweepScores:
    """A data set at every threshold that was tried.

    Attributes:
        protocol: the rule.
        scores: one per threshold, in the order given.
        images: number of them.
        ground_truths: instances that count in any case.
        ignored: instances that do not; some rules count them where they are found.
        without_polygon: instances without polygon, not scored; they are among the ignored.
        unread: instances without text, or that word spotting does not look for; they are among the ignored.
        two_flags: instances of which the flags of their dataset disagree.
        missing: images without any result that the rule excludes; they are not among the images.
        detections: all of them, of any score.
        excluded: those that do not count, such as those in ignored regions.
        repaired: polygons that crossed themselves, of detections and instances.
        degenerate: polygons without an area, of detections and instances.
        mean_score, best_score: of the detections; NaN where there are none.
    """

    protocol: Protocol
    scores: tuple[ThresholdScore, ...]
    images: int
    ground_truths: int
    ignored: int
    without_polygon: int
    unread: int
    two_flags: int
    missing: int
    detections: int
    excluded: int
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


class SetCounts:
    """The counts of many images at every threshold, added up; small to keep and to send to another process.

    Sums are exact: neither the order of the images nor their distribution over processes changes a digit.

    Args:
        protocol: the rule by which the images were evaluated.
        thresholds: at which they were.
    """

    def __init__(self, protocol: Protocol, thresholds: Sequence[float]) -> None:
        self.protocol = protocol
        self.thresholds = tuple(thresholds)
        self.missing = 0
        """Images without any result that the rule excludes."""
        self.paths: set[Path] = set()
        """The images that were added."""
        self._totals: list[list[int | Fraction]] = [[0] * len(_COUNTS) for _ in self.thresholds]
        self._numbers = [0] * len(_NUMBERS)
        self._scores: list[np.ndarray] = []

    def add(self, path: Path, image: ImageEvaluation) -> None:
        """Adds an image that was not added before, evaluated by the same rule at the same thresholds."""
        self.paths.add(path)
        self._scores.append(image.scores)
        self._add([_counts_of(score) for score in image.counts], _numbers_of(image))

    def include(self, other: SetCounts) -> None:
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
        if twice := self.paths & other.paths:
            raise DataError("was evaluated by two processes, and would be counted twice", min(twice))
        self.paths |= other.paths
        self.missing += other.missing
        self._scores += other._scores
        self._add(other._totals, other._numbers)

    def scores(self) -> SweepScores:
        """The counts over all images."""
        # Sorted, so that the last digit of their mean does not depend on the order of the images.
        all_scores = np.sort(self._all_scores())
        return SweepScores(
            protocol=self.protocol,
            scores=tuple(
                _score_of(threshold, *total) for threshold, total in zip(self.thresholds, self._totals, strict=True)
            ),
            images=len(self.paths),
            **dict(zip(_NUMBERS, self._numbers, strict=True)),
            missing=self.missing,
            detections=len(all_scores),
            mean_score=float(all_scores.mean()) if len(all_scores) else math.nan,
            best_score=float(all_scores.max()) if len(all_scores) else math.nan,
        )

    def _add(self, totals: Iterable[Iterable[float | Fraction]], numbers: Iterable[int]) -> None:
        for total, added in zip(self._totals, totals, strict=True):
            total[:] = map(add, total, map(_exact, added))
        self._numbers = list(map(add, self._numbers, numbers))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scores": [self._all_scores()]}

    def _all_scores(self) -> np.ndarray:
        """(N,) float64, of all detections."""
        return np.concatenate([np.zeros(0), *self._scores])


_COUNTS = ("found", "hits", "detections", "ground_truths", "position_matches", "similarity")
"""What is counted at a threshold: the attributes of `ThresholdScore` beside it."""
_NUMBERS = ("ground_truths", "ignored", "without_polygon", "unread", "two_flags", "excluded", "repaired", "degenerate")
"""What is counted independently of the threshold: attributes of `SweepScores`."""
_counts_of = attrgetter(*_COUNTS)


def _numbers_of(image: ImageEvaluation) -> tuple[int, ...]:
    ignored, excluded = int(np.count_nonzero(image.ignored)), int(np.count_nonzero(image.excluded))
    numbers = (len(image.ignored) - ignored, ignored, image.without_polygon, image.unread, image.two_flags)
    return (*numbers, excluded, image.repaired, image.degenerate)


def _score_of(threshold: float, *total: int | Fraction) -> ThresholdScore:
    found, hits, detections, ground_truths, position_matches, similarity = total
    counts = (float(found), float(hits), int(detections), int(ground_truths), int(position_matches), float(similarity))
    return ThresholdScore(threshold, *counts)


def _exact(value: float | Fraction) -> int | Fraction:
    """The number itself: sums of whole numbers stay fast, those of others (DetEval's 0.8) are fractions."""
    whole = int(value)
    return whole if whole == value else Fraction(value)
