"""Detections of one image against its ground truth, at every score threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.assessment import Assess, Assessment, prepare_matching
from scenetext.evaluation.matching import Pair
from scenetext.evaluation.overlaps import Overlaps, find_overlaps
from scenetext.evaluation.rules import Protocol, SpottingProtocol
from scenetext.evaluation.scores import ThresholdScore
from scenetext.evaluation.spotting import reads_alike, spotted_word, text_similarity
from scenetext.structures import Detection, TextInstance

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


def evaluate_image(
    detections: Sequence[Detection], instances: Sequence[TextInstance], protocol: Protocol, thresholds: Sequence[float]
) -> ImageEvaluation:
    """Matches the detections of an image with its ground truth; overlaps are computed once for all thresholds.

    Args:
        detections, instances: in pixels of one frame, the original image's.
        thresholds: a detection takes part where its score reaches the threshold, within 1e-6.

    Raises:
        DataError: a polygon of the wrong shape, or a coordinate or score that is not finite.
    """
    scores = np.array([detection.score for detection in detections], dtype=np.float64)
    if not np.isfinite(scores).all():
        raise DataError(f"the score of detection {int(np.argmin(np.isfinite(scores)))} is not finite")
    located = [index for index, instance in enumerate(instances) if instance.polygon is not None]
    truths = [instances[index] for index in located]
    polygons = [truth.polygon for truth in truths if truth.polygon is not None]
    overlaps = find_overlaps(polygons, [detection.polygon for detection in detections], protocol)
    flagged = np.array([truth.ignore and protocol.ignored != "counted" for truth in truths], dtype=bool)
    unread = np.array([_is_unread(truth, protocol) for truth in truths], dtype=bool) & ~flagged
    flagged |= unread
    left_out, allowed = _left_out(overlaps, flagged, protocol)
    candidates, assess = prepare_matching(overlaps, allowed, scores, protocol)
    assessments = _assess_all(candidates, assess, scores, thresholds)
    if isinstance(protocol, SpottingProtocol):
        assessments = [_read(assessment, truths, detections, protocol) for assessment in assessments]
    ignored = np.ones(len(instances), dtype=bool)
    ignored[located] = flagged
    reaching = np.count_nonzero(scores[~left_out] >= np.asarray(thresholds)[:, None] - SCORE_TOLERANCE, axis=1)
    return ImageEvaluation(
        counts=tuple(map(_score, thresholds, assessments, reaching.tolist(), [flagged] * len(assessments))),
        matches=tuple(
            tuple(Match(column, located[row]) for row, column in assessment.pairs) for assessment in assessments
        ),
        scores=scores,
        left_out=left_out,
        ignored=ignored,
        unlocated=len(instances) - len(located),
        unread=int(np.count_nonzero(unread)),
        repaired=overlaps.repaired,
        degenerate=overlaps.degenerate,
    )


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


def _is_unread(truth: TextInstance, protocol: Protocol) -> bool:
    """Whether a rule that compares texts has nothing to compare here."""
    if not isinstance(protocol, SpottingProtocol):
        return False
    return truth.text is None or (protocol.reading == "word_spotting" and spotted_word(truth.text) is None)


def _left_out(overlaps: Overlaps, flagged: np.ndarray, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Which detections are left out, (D,) bool, and which pairs may match, (P,) bool."""
    left_out = np.zeros(len(overlaps.invalid_columns), dtype=bool)
    rows, columns = overlaps.rows, overlaps.columns
    allowed = np.ones(len(rows), dtype=bool)
    if protocol.invalid == "skip":
        left_out |= overlaps.invalid_columns
        allowed &= ~overlaps.invalid_rows[rows]
    if protocol.ignored == "neutral":
        left_out[columns[flagged[rows] & (overlaps.precision > protocol.ignore_threshold)]] = True
        allowed &= ~flagged[rows]
    return left_out, allowed & ~left_out[columns]


def _assess_all(
    candidates: Sequence[Pair], assess: Assess, scores: np.ndarray, thresholds: Sequence[float]
) -> list[Assessment]:
    """The assessment of what remains at every threshold."""
    # Candidates only leave as the threshold rises, so equal numbers mean equal candidates.
    by_number: dict[int, Assessment] = {}
    values = scores.tolist()
    assessments = []
    for threshold in thresholds:
        lowest = threshold - SCORE_TOLERANCE
        remaining = [pair for pair in candidates if values[pair[1]] >= lowest]
        if len(remaining) not in by_number:
            by_number[len(remaining)] = assess(remaining)
        assessments.append(by_number[len(remaining)])
    return assessments


def _read(
    assessment: Assessment, truths: Sequence[TextInstance], detections: Sequence[Detection], protocol: SpottingProtocol
) -> Assessment:
    """What remains of the matches where texts must agree, too."""
    pairs, similarity = [], 0.0
    for row, column in assessment.pairs:
        truth, found = truths[row].text or "", detections[column].text
        similarity += text_similarity(truth, found)
        if reads_alike(truth, found, protocol.reading):
            pairs.append((row, column))
    return Assessment(tuple(pairs), len(pairs), len(pairs), placed=len(assessment.pairs), similarity=similarity)


def _score(threshold: float, assessment: Assessment, detections: int, flagged: np.ndarray) -> ThresholdScore:
    """The counts at a threshold; flagged instances count where the rule let them match."""
    matched_flagged = len({row for row, _ in assessment.pairs if flagged[row]}) if flagged.any() else 0
    return ThresholdScore(
        threshold=threshold,
        found=assessment.found,
        hits=assessment.hits,
        detections=detections,
        ground_truths=len(flagged) - int(np.count_nonzero(flagged)) + matched_flagged,
        placed=assessment.placed,
        similarity=assessment.similarity,
    )
