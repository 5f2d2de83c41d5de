"""Detections against ground truth by a rule: of one image, and of a whole set, at every score threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np

from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.matching import Fitting, Matched, Pair, Shares, match_by_shares, match_pairs, order_pairs
from scenetext.evaluation.overlaps import Overlaps, PolygonPair, find_overlaps
from scenetext.evaluation.rules import DetEvalProtocol, IouProtocol, Protocol, SpottingProtocol
from scenetext.evaluation.scores import (
    DEFAULT_THRESHOLDS,
    SCORE_TOLERANCE,
    ImageEvaluation,
    SetCounts,
    SweepScores,
    ThresholdScore,
)
from scenetext.evaluation.spotting import reads_alike, spotted_word, text_similarity
from scenetext.structures import Detection, TextInstance

Matcher = Callable[[Sequence[Pair]], Matched]
"""From the candidates whose scores suffice, in the order in which they were prepared."""
_TOGETHER = 128
"""Images whose overlaps are computed at a time; more of them save no time."""


class DetectionEvaluator:
    """Evaluates the images of a set, keeps the result of each, and adds up.

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
        self._images[path] = evaluate_image(detections, instances, self.protocol, self.thresholds, path)
        return self._images[path]

    def add_all(self, images: Iterable[tuple[Path, Sequence[Detection], Sequence[TextInstance]]]) -> None:
        """Evaluates many images, some of them at a time; as `add`, but in less time."""
        left = iter(images)
        while chunk := list(islice(left, _TOGETHER)):
            try:
                contents = [(detections, instances) for _, detections, instances in chunk]
                evaluations = evaluate_images(contents, self.protocol, self.thresholds)
            except DataError:  # one by one, to name the one at fault
                for image in chunk:
                    self.add(*image)
            else:
                self._images.update(zip((path for path, _, _ in chunk), evaluations, strict=True))

    def add_missing(self, path: Path, instances: Sequence[TextInstance]) -> None:
        """An image for which there is no result: all of it is missed, or it is excluded, by the rule."""
        if self.protocol.missing_images == "left_out":
            self._missing.add(path)
        else:
            self.add(path, [], instances)

    def counts(self) -> SetCounts:
        """The counts of all images, to be added to those of other processes."""
        counts = SetCounts(self.protocol, self.thresholds)
        for path, image in self._images.items():
            counts.add(path, image)
        counts.missing = len(self._missing)
        return counts

    def scores(self) -> SweepScores:
        """The counts over all images."""
        return self.counts().scores()

    def worst(self, threshold: float, count: int) -> list[tuple[Path, ThresholdScore]]:
        """The images with the most misses and false detections together at a threshold, worst first."""
        scores = [(path, image.at(threshold)) for path, image in self._images.items()]
        scores.sort(key=lambda item: -item[1].errors)
        return scores[:count]


def evaluate_image(
    detections: Sequence[Detection],
    instances: Sequence[TextInstance],
    protocol: Protocol,
    thresholds: Sequence[float],
    path: Path | None = None,
) -> ImageEvaluation:
    """Matches the detections of an image with its ground truth; overlaps are computed once for all thresholds.

    Args:
        detections, instances: in pixels of one frame, the original image's.
        thresholds: a detection takes part where its score reaches the threshold, within 1e-6.
        path: of the image, for messages.

    Raises:
        DataError: a polygon of the wrong shape, or a coordinate or score that is not finite.
    """
    try:
        return evaluate_images([(detections, instances)], protocol, thresholds)[0]
    except DataError as error:
        raise DataError(str(error), path) from None


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
    """Overlaps of every image.

    Images of quadrangles are computed together: their arrays have one shape in any batch, so that results do not depend
    on the other images, not even in the last digit.
    """
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
    with_polygon = [index for index, instance in enumerate(instances) if instance.polygon is not None]
    truths = [instances[index] for index in with_polygon]
    flagged, unread = _flagged(truths, protocol)
    excluded, allowed = _excluded(overlaps, flagged, protocol)
    if protocol.invalid == "drop":
        flagged = flagged | overlaps.repaired_rows | overlaps.degenerate_rows
    candidates, match = _prepare_matching(overlaps, allowed, scores, protocol)
    if isinstance(protocol, SpottingProtocol):
        match = _reading(match, truths, detections, protocol)
    matched = _match_all(candidates, match, scores, thresholds)
    ignored = np.ones(len(instances), dtype=bool)
    ignored[with_polygon] = flagged
    return ImageEvaluation(
        counts=_counts(matched, scores[~excluded], flagged, thresholds),
        pairs=tuple(each.pairs for each in matched),
        with_polygon=tuple(with_polygon),
        scores=scores,
        excluded=excluded,
        ignored=ignored,
        without_polygon=len(instances) - len(with_polygon),
        unread=unread,
        two_flags=sum(instance.ignore_flag is not None for instance in instances),
        repaired=int(np.count_nonzero(overlaps.repaired_rows) + np.count_nonzero(overlaps.repaired_columns)),
        degenerate=int(np.count_nonzero(overlaps.degenerate_rows) + np.count_nonzero(overlaps.degenerate_columns)),
    )


def _flagged(truths: Sequence[TextInstance], protocol: Protocol) -> tuple[np.ndarray, int]:
    """(G,) bool, instances that do not count unless the rule says so, and how many of them only for their texts."""
    if protocol.ignored == "counted":
        return np.zeros(len(truths), dtype=bool), 0
    flagged = np.array([truth.ignored_by(protocol.heeds) for truth in truths], dtype=bool)
    if not isinstance(protocol, SpottingProtocol):
        return flagged, 0
    spotting = protocol.reading == "word_spotting"
    unread = np.array(
        [truth.text is None or (spotting and spotted_word(truth.text) is None) for truth in truths], dtype=bool
    )
    return flagged | unread, int(np.count_nonzero(unread & ~flagged))


def _excluded(overlaps: Overlaps, flagged: np.ndarray, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Which detections are excluded, (D,) bool, and which pairs may match, (P,) bool."""
    excluded = np.zeros(len(overlaps.repaired_columns), dtype=bool)
    rows, columns = overlaps.rows, overlaps.columns
    allowed = np.ones(len(rows), dtype=bool)
    if protocol.invalid in ("drop", "drop_detections"):
        excluded |= overlaps.repaired_columns | overlaps.degenerate_columns
    if protocol.ignored in ("neutral", "absent"):
        allowed &= ~flagged[rows]
    if protocol.ignored == "neutral":
        excluded[columns[flagged[rows] & (overlaps.inside > protocol.ignore_threshold)]] = True
    return excluded, allowed & ~excluded[columns]


def _prepare_matching(
    overlaps: Overlaps, allowed: np.ndarray, scores: np.ndarray, protocol: Protocol
) -> tuple[list[Pair], Matcher]:
    """The pairs that may match, in the order in which the rule looks at them, and the rule for any of them.

    Args:
        allowed: (P,) bool, pairs of which neither side is excluded.
        scores: (D,) of the detections.
    """
    if isinstance(protocol, DetEvalProtocol):
        shares = _shares(overlaps, allowed, protocol)
        return list(shares), lambda pairs: match_by_shares({pair: shares[pair] for pair in pairs}, protocol)
    if not isinstance(protocol, IouProtocol):
        raise TypeError(f"no matching for rules of the type {type(protocol).__name__}")
    fits = allowed & (overlaps.iou > protocol.iou_threshold)
    if not protocol.strict:
        fits |= allowed & (overlaps.iou == protocol.iou_threshold)
    if protocol.largest_angle is not None:
        fits &= overlaps.angle < protocol.largest_angle
    rows, columns = overlaps.rows[fits], overlaps.columns[fits]
    candidates = order_pairs(Fitting(rows, columns, overlaps.iou[fits], scores[columns]), protocol.matching)
    return candidates, lambda pairs: match_pairs(pairs, protocol.matching)


def _shares(overlaps: Overlaps, allowed: np.ndarray, protocol: DetEvalProtocol) -> dict[Pair, Shares]:
    """Of all pairs that overlap, those that may not match among them."""
    limit, decimals = protocol.centre_distance, protocol.share_decimals
    near = np.ones(len(allowed), dtype=bool) if limit is None else overlaps.centre_distance < limit
    recall, precision = overlaps.recall, overlaps.precision
    if decimals is not None:
        recall, precision = recall.round(decimals), precision.round(decimals)
    pairs = zip(overlaps.rows.tolist(), overlaps.columns.tolist(), strict=True)
    values = zip(*(each.tolist() for each in (recall, precision, near, allowed)), strict=True)
    return {pair: Shares(*value) for pair, value in zip(pairs, values, strict=True)}


def _match_all(
    candidates: Sequence[Pair], match: Matcher, scores: np.ndarray, thresholds: Sequence[float]
) -> list[Matched]:
    """What matches at every threshold of the candidates that remain there."""
    # Candidates only leave as the threshold rises, so equal numbers mean equal candidates.
    by_number: dict[int, Matched] = {}
    values = scores.tolist()
    matched = []
    for threshold in thresholds:
        lowest = threshold - SCORE_TOLERANCE
        remaining = [pair for pair in candidates if values[pair[1]] >= lowest]
        if len(remaining) not in by_number:
            by_number[len(remaining)] = match(remaining)
        matched.append(by_number[len(remaining)])
    return matched


def _reading(
    match: Matcher, truths: Sequence[TextInstance], detections: Sequence[Detection], protocol: SpottingProtocol
) -> Matcher:
    """A rule by positions, extended to require equal texts."""

    def read(candidates: Sequence[Pair]) -> Matched:
        position_matches = match(candidates).pairs
        texts = [(truths[row].text or "", detections[column].text) for row, column in position_matches]
        right = [reads_alike(truth, found, protocol.reading) for truth, found in texts]
        pairs = tuple(pair for pair, equal in zip(position_matches, right, strict=True) if equal)
        similarity = sum(text_similarity(truth, found) for truth, found in texts)
        return Matched(pairs, len(pairs), len(pairs), len(position_matches), similarity)

    return read


def _counts(
    matched: Sequence[Matched], scores: np.ndarray, flagged: np.ndarray, thresholds: Sequence[float]
) -> tuple[ThresholdScore, ...]:
    """The counts at every threshold; flagged instances count where the rule let them match.

    Args:
        scores: of the detections that are not excluded.
    """
    reaching = np.count_nonzero(scores >= np.asarray(thresholds)[:, None] - SCORE_TOLERANCE, axis=1).tolist()
    certain, flags = len(flagged) - int(np.count_nonzero(flagged)), flagged.tolist()
    counts = []
    for threshold, detections, each in zip(thresholds, reaching, matched, strict=True):
        truths = certain + len({row for row, _ in each.pairs if flags[row]})
        counts.append(
            ThresholdScore(threshold, each.found, each.hits, detections, truths, each.position_matches, each.similarity)
        )
    return tuple(counts)
