"""Detections of one image against its ground truth, at every score threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely

from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.matching import greedy_matching, maximum_matching
from scenetext.evaluation.protocols import Protocol
from scenetext.geometry.overlap import Regions, intersecting_pairs, make_regions
from scenetext.geometry.polygon import polygon_area
from scenetext.structures import Detection, TextInstance

SCORE_TOLERANCE = 1e-6
"""A score this much below a threshold still reaches it: 0.7 in single precision is 0.69999999."""


class Match(NamedTuple):
    """A detection and the instance it was matched with, by their indices in the lists that were evaluated."""

    detection: int
    instance: int


class Outcome(NamedTuple):
    """What became of every detection and instance at one threshold, by index. For drawing and listing.

    Attributes:
        hits: detections that match.
        false: detections that do not.
        left_out: detections that lie in an ignored region.
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
        thresholds: the T score thresholds.
        scores: (D,) float64, one per detection.
        left_out: (D,) bool, detections in an ignored region.
        ignored: (G,) bool, instances that do not count: flagged, or of unknown place.
        matches: per threshold, its matches.
        unlocated: instances without a polygon; they cannot be scored, and detections of them count as false.
        repaired: polygons that crossed themselves (detections and instances).
        degenerate: polygons without an area (detections and instances). They count, but never match.
    """

    thresholds: tuple[float, ...]
    scores: np.ndarray
    left_out: np.ndarray
    ignored: np.ndarray
    matches: tuple[tuple[Match, ...], ...]
    unlocated: int
    repaired: int
    degenerate: int

    @property
    def ground_truths(self) -> int:
        """Instances that count."""
        return int(np.count_nonzero(~self.ignored))

    def detections(self) -> np.ndarray:
        """(T,) int, detections that count at every threshold."""
        return np.count_nonzero(_reach(self.scores[~self.left_out], self.thresholds), axis=1)

    def outcome(self, threshold: float) -> Outcome:
        """What became of everything at one of the thresholds.

        Raises:
            ConfigError: not one of the thresholds.
        """
        matches = self.matches[threshold_index(self.thresholds, threshold)]
        reaching = _reach(self.scores, (threshold,))[0]
        hits = {match.detection for match in matches}
        found = {match.instance for match in matches}
        return Outcome(
            hits=tuple(sorted(hits)),
            false=tuple(i for i in np.nonzero(reaching & ~self.left_out)[0].tolist() if i not in hits),
            left_out=tuple(np.nonzero(reaching & self.left_out)[0].tolist()),
            found=tuple(sorted(found)),
            missed=tuple(i for i in np.nonzero(~self.ignored)[0].tolist() if i not in found),
            ignored=tuple(np.nonzero(self.ignored)[0].tolist()),
        )


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
    truth_polygons = [instance.polygon for instance in instances if instance.polygon is not None]
    polygons = [detection.polygon for detection in detections] + truth_polygons
    regions = make_regions(polygons, shapely.make_valid if protocol.invalid == "repair" else _published_repair)
    found, truth = regions[: len(detections)], regions[len(detections) :]
    ignored = np.array([instances[index].ignore for index in located], dtype=bool)
    left_out, candidates = _candidates(found, truth, ignored, protocol, polygons)
    skipped = np.ones(len(instances), dtype=bool)
    skipped[located] = ignored
    return ImageEvaluation(
        thresholds=tuple(thresholds),
        scores=scores,
        left_out=left_out,
        ignored=skipped,
        matches=_match(candidates, located, scores, protocol, thresholds),
        unlocated=len(instances) - len(located),
        repaired=int(np.count_nonzero(regions.repaired)),
        degenerate=int(np.count_nonzero(regions.degenerate)),
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


def _candidates(
    found: Regions, truth: Regions, ignored: np.ndarray, protocol: Protocol, polygons: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Which detections are left out, (D,) bool, and the (truth, detection) pairs that may match, row by row."""
    rows, columns, overlap = intersecting_pairs(truth, found)
    areas = found.areas
    own_areas = areas
    if protocol.invalid == "published":
        own_areas = np.array([polygon_area(polygon) for polygon in polygons[: len(found)]])
    in_ignored = ignored[rows]
    left_out = np.zeros(len(found), dtype=bool)
    left_out[columns[in_ignored & (overlap > protocol.ignore_threshold * own_areas[columns])]] = True
    iou = overlap / (truth.areas[rows] + areas[columns] - overlap)
    enough = iou > protocol.iou_threshold if protocol.strict else iou >= protocol.iou_threshold
    allowed = enough & ~in_ignored & ~left_out[columns]
    return left_out, list(zip(rows[allowed].tolist(), columns[allowed].tolist(), strict=True))


def _match(
    candidates: list[tuple[int, int]],
    located: Sequence[int],
    scores: np.ndarray,
    protocol: Protocol,
    thresholds: Sequence[float],
) -> tuple[tuple[Match, ...], ...]:
    """The matches at every threshold; `located` takes rows of candidates to instances."""
    matching = greedy_matching if protocol.matching == "greedy" else maximum_matching
    # Candidates only leave as the threshold rises, so equal numbers mean equal candidates.
    by_number: dict[int, tuple[Match, ...]] = {}
    values = scores.tolist()
    matches = []
    for threshold in thresholds:
        lowest = threshold - SCORE_TOLERANCE
        remaining = [pair for pair in candidates if values[pair[1]] >= lowest]
        if len(remaining) not in by_number:
            pairs = matching(remaining)
            by_number[len(remaining)] = tuple(Match(column, located[row]) for row, column in pairs)
        matches.append(by_number[len(remaining)])
    return tuple(matches)


def _reach(scores: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """(T, D) bool, whether each score reaches each threshold."""
    return scores >= np.asarray(thresholds)[:, None] - SCORE_TOLERANCE


def _published_repair(geometries: np.ndarray) -> np.ndarray:
    return shapely.buffer(geometries, 0)
