"""Detections of one image against its ground truth, at every score threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenetext.errors import DataError
from scenetext.evaluation.assessment import Assess, Assessment, prepare_matching
from scenetext.evaluation.image import SCORE_TOLERANCE, ImageEvaluation, Match
from scenetext.evaluation.matching import Pair
from scenetext.evaluation.overlaps import Overlaps, PolygonPair, find_overlaps
from scenetext.evaluation.rules import Protocol, SpottingProtocol
from scenetext.evaluation.scores import ThresholdScore
from scenetext.evaluation.spotting import reads_alike, spotted_word, text_similarity
from scenetext.structures import Detection, TextInstance


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
    return evaluate_images([(detections, instances)], protocol, thresholds)[0]


def evaluate_images(
    images: Sequence[tuple[Sequence[Detection], Sequence[TextInstance]]],
    protocol: Protocol,
    thresholds: Sequence[float],
) -> list[ImageEvaluation]:
    """As `evaluate_image`, for the detections and instances of several images; faster, with the same results."""
    for detections, _ in images:
        finite = np.isfinite([detection.score for detection in detections])
        if not finite.all():
            raise DataError(f"the score of detection {int(np.argmin(finite))} is not finite")
    polygons = [
        (
            [instance.polygon for instance in instances if instance.polygon is not None],
            [detection.polygon for detection in detections],
        )
        for detections, instances in images
    ]
    return [
        _evaluate(detections, instances, overlaps, protocol, thresholds)
        for (detections, instances), overlaps in zip(images, _all_overlaps(polygons, protocol), strict=True)
    ]


def _all_overlaps(images: Sequence[PolygonPair], protocol: Protocol) -> list[Overlaps]:
    """Overlaps of every image. Images of quadrangles are taken together: whatever the others are, their arrays have the
    same shape, so that results do not depend on the company, not even in the last digit."""
    together = [index for index, (truths, found) in enumerate(images) if all(len(p) == 4 for p in (*truths, *found))]
    overlaps = dict(zip(together, find_overlaps([images[index] for index in together], protocol), strict=True))
    for index, image in enumerate(images):
        if index not in overlaps:
            overlaps[index] = find_overlaps([image], protocol)[0]
    return [overlaps[index] for index in range(len(images))]


def _evaluate(
    detections: Sequence[Detection],
    instances: Sequence[TextInstance],
    overlaps: Overlaps,
    protocol: Protocol,
    thresholds: Sequence[float],
) -> ImageEvaluation:
    scores = np.array([detection.score for detection in detections], dtype=np.float64)
    located = [index for index, instance in enumerate(instances) if instance.polygon is not None]
    truths = [instances[index] for index in located]
    flagged, unread = _flagged(truths, protocol)
    left_out, allowed = _left_out(overlaps, flagged, protocol)
    candidates, assess = prepare_matching(overlaps, allowed, scores, protocol)
    if isinstance(protocol, SpottingProtocol):
        assess = _reading(assess, truths, detections, protocol)
    assessments = _assess_all(candidates, assess, scores, thresholds)
    ignored = np.ones(len(instances), dtype=bool)
    ignored[located] = flagged
    return ImageEvaluation(
        counts=_counts(assessments, scores[~left_out], flagged, thresholds),
        matches=_matches(assessments, located),
        scores=scores,
        left_out=left_out,
        ignored=ignored,
        unlocated=len(instances) - len(located),
        unread=unread,
        repaired=int(np.count_nonzero(overlaps.repaired_rows) + np.count_nonzero(overlaps.repaired_columns)),
        degenerate=int(np.count_nonzero(overlaps.degenerate_rows) + np.count_nonzero(overlaps.degenerate_columns)),
    )


def _flagged(truths: Sequence[TextInstance], protocol: Protocol) -> tuple[np.ndarray, int]:
    """(G,) bool, instances that do not count unless the rule says so, and how many of them only for their texts."""
    if protocol.ignored == "counted":
        return np.zeros(len(truths), dtype=bool), 0
    flagged = np.array([truth.ignore for truth in truths], dtype=bool)
    if not isinstance(protocol, SpottingProtocol):
        return flagged, 0
    spotting = protocol.reading == "word_spotting"
    unread = np.array(
        [truth.text is None or (spotting and spotted_word(truth.text) is None) for truth in truths], dtype=bool
    )
    return flagged | unread, int(np.count_nonzero(unread & ~flagged))


def _left_out(overlaps: Overlaps, flagged: np.ndarray, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Which detections are left out, (D,) bool, and which pairs may match, (P,) bool."""
    left_out = np.zeros(len(overlaps.repaired_columns), dtype=bool)
    rows, columns = overlaps.rows, overlaps.columns
    allowed = np.ones(len(rows), dtype=bool)
    if protocol.invalid == "skip":
        left_out |= overlaps.repaired_columns | overlaps.degenerate_columns
        allowed &= ~overlaps.repaired_rows[rows]
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


def _reading(
    assess: Assess, truths: Sequence[TextInstance], detections: Sequence[Detection], protocol: SpottingProtocol
) -> Assess:
    """A rule by places, made to ask for equal texts, too."""

    def read(candidates: Sequence[Pair]) -> Assessment:
        placed = assess(candidates).pairs
        texts = [(truths[row].text or "", detections[column].text) for row, column in placed]
        right = [reads_alike(truth, found, protocol.reading) for truth, found in texts]
        pairs = tuple(pair for pair, equal in zip(placed, right, strict=True) if equal)
        similarity = sum(text_similarity(truth, found) for truth, found in texts)
        return Assessment(pairs, len(pairs), len(pairs), len(placed), similarity)

    return read


def _matches(assessments: Sequence[Assessment], located: Sequence[int]) -> tuple[tuple[Match, ...], ...]:
    """The matches at every threshold; `located` takes the rows of pairs to instances. Equal ones are made once."""
    matches: list[tuple[Match, ...]] = []
    for index, assessment in enumerate(assessments):
        if index and assessment is assessments[index - 1]:
            matches.append(matches[-1])
        else:
            matches.append(tuple([Match(column, located[row]) for row, column in assessment.pairs]))
    return tuple(matches)


def _counts(
    assessments: Sequence[Assessment], scores: np.ndarray, flagged: np.ndarray, thresholds: Sequence[float]
) -> tuple[ThresholdScore, ...]:
    """The counts at every threshold; flagged instances count where the rule let them match.

    Args:
        scores: of the detections that are not left out.
    """
    reaching = np.count_nonzero(scores >= np.asarray(thresholds)[:, None] - SCORE_TOLERANCE, axis=1).tolist()
    certain, some_flagged = len(flagged) - int(np.count_nonzero(flagged)), bool(flagged.any())
    counts = []
    for threshold, detections, assessment in zip(thresholds, reaching, assessments, strict=True):
        matched = len({row for row, _ in assessment.pairs if flagged[row]}) if some_flagged else 0
        counts.append(
            ThresholdScore(
                threshold,
                assessment.found,
                assessment.hits,
                detections,
                certain + matched,
                assessment.placed,
                assessment.similarity,
            )
        )
    return tuple(counts)
