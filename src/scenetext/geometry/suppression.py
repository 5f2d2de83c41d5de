"""Non-maximum suppression of polygons: of candidates that overlap too much, the one of the highest score stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from scenetext.geometry.overlap import stack_polygons


def suppress_overlapping(
    polygons: np.ndarray | Sequence[np.ndarray], scores: np.ndarray, threshold: float, groups: np.ndarray | None = None
) -> np.ndarray:
    """Chooses the best candidates, one after the other, each of which drops the others that overlap it too much.

    The decision is that of exact overlaps, where polygons that cross or touch themselves are taken as a buffer of width
    0 leaves them, as in MMOCR. Most overlaps need not be computed for it: see `_certainly_above`.

    Args:
        polygons: (N, V, 2), or N of any numbers of vertices (V, 2), pixels of one frame.
        scores: (N,); of equal scores, the later one is better.
        threshold: IoU, at least 0, above which the worse candidate is dropped.
        groups: (N,) integers; candidates compete in their own group only. None = all in one.

    Returns:
        (K,) indices of those that stay, best first.
    """
    shapes = _make_shapes(polygons if isinstance(polygons, np.ndarray) else stack_polygons(polygons)[0])
    groups = np.zeros(len(scores), np.int64) if groups is None else groups
    remaining = np.argsort(scores, kind="stable")[::-1]
    rank = np.empty_like(remaining)
    rank[remaining] = np.arange(len(remaining))
    kept = [remaining[:0]]
    while len(remaining):
        _, first, group = np.unique(groups[remaining], return_index=True, return_inverse=True)
        best = remaining[first]
        kept.append(best)
        is_rival = np.ones(len(remaining), bool)
        is_rival[first] = False
        rivals, winners = remaining[is_rival], best[group[is_rival]]
        # A round keeps the best candidate of every group, and drops what it overlaps too much.
        remaining = rivals[~_overlap_above(shapes, winners, rivals, threshold)]
    chosen = np.concatenate(kept)
    return chosen[np.argsort(rank[chosen])]


@dataclass(frozen=True, slots=True, eq=False)
class _Shapes:
    """Polygons made ready for suppression.

    Attributes:
        points: (N, V, 2) float64.
        low, high: (N, 2) corners of the bounding boxes.
        geometries: (N,) valid shapely geometries; None for those not made yet, see `geometries_of`.
        areas: (N,) of these, square pixels.
        direction: (N,) 1 or -1 for polygons that run clockwise on the screen or not; 0 for what was not valid.
    """

    points: np.ndarray
    low: np.ndarray
    high: np.ndarray
    geometries: np.ndarray
    areas: np.ndarray
    direction: np.ndarray

    def geometries_of(self, indices: np.ndarray) -> np.ndarray:
        """Valid shapely geometries; making one costs more than all else that is done with most polygons."""
        missing = np.unique(indices[self.geometries[indices] == None])  # noqa: E711  elementwise
        self.geometries[missing] = shapely.polygons(self.points[missing])
        return self.geometries[indices]


def _make_shapes(polygons: np.ndarray) -> _Shapes:
    """Measures polygons (N, V, 2) and repairs those that are not valid."""
    points = np.asarray(polygons, np.float64)
    low, high = points.min(axis=1), points.max(axis=1)
    local = points - ((low + high) / 2)[:, None]
    turns = _cross(local, np.concatenate((local[:, 1:], local[:, :1]), axis=1))
    areas = np.abs(turns.sum(axis=1)) / 2
    valid = _are_star_shaped(local, turns)
    unclear = np.nonzero(~valid)[0]
    geometries = np.full(len(points), None, object)
    if len(unclear):
        repaired = np.asarray(shapely.polygons(points[unclear]))
        valid[unclear] = is_valid = shapely.is_valid(repaired)
        repaired[~is_valid] = shapely.buffer(repaired[~is_valid], 0)
        geometries[unclear], areas[unclear] = repaired, shapely.area(repaired)
    return _Shapes(points, low, high, geometries, areas, np.sign(turns.sum(axis=1)) * valid)


def _are_star_shaped(local: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """(N,) bool: True only where an outline is certainly valid, since it runs once around the middle of its box.

    Seen from there, every edge turns to the same side, or has no length; and it passes the ray to the right once.

    Args:
        local: (N, V, 2) vertices relative to the middle.
        turns: (N, V) cross products of each with the next one.
    """
    steps = np.concatenate((local[:, 1:], local[:, :1]), axis=1) - local
    same_side = np.sign(turns.sum(axis=1))[:, None] * turns > 0
    below = local[..., 1] < 0
    changes = below != np.concatenate((below[:, 1:], below[:, :1]), axis=1)
    return (same_side | ~steps.any(axis=2)).all(axis=1) & (changes.sum(axis=1) == 2)


def _overlap_above(shapes: _Shapes, first: np.ndarray, second: np.ndarray, threshold: float) -> np.ndarray:
    """(P,) bool: whether the IoU of the pairs first[i], second[i] is above the threshold.

    The IoU is above the threshold t where the intersection is above t times the rest of both areas. The intersection is
    at most that of the boxes, which settles most pairs of different texts.
    """
    total = shapes.areas[first] + shapes.areas[second]
    sides = np.minimum(shapes.high[first], shapes.high[second]) - np.maximum(shapes.low[first], shapes.low[second])
    shared = sides.clip(min=0).prod(axis=1)
    above = shared > threshold * (total - shared)
    possible = np.nonzero(above)[0]
    unclear = possible[~_certainly_above(shapes, first[possible], second[possible], threshold)]
    if len(unclear):
        mine, others = shapes.geometries_of(first[unclear]), shapes.geometries_of(second[unclear])
        intersections = shapely.intersection(mine, others)
        overlap = shapely.area(intersections)
        above[unclear] = overlap > threshold * (total[unclear] - overlap)
    return above


def _certainly_above(shapes: _Shapes, first: np.ndarray, second: np.ndarray, threshold: float) -> np.ndarray:
    """(P,) bool: `surely_overlap` for pairs of shapes."""
    areas = shapes.areas * shapes.direction
    return surely_overlap(shapes.points[first], shapes.points[second], areas[first], areas[second], threshold)


def surely_overlap(
    start: np.ndarray, end: np.ndarray, start_area: np.ndarray, end_area: np.ndarray, threshold: float
) -> np.ndarray:
    """True only where the IoU of two polygons is above the threshold; a bound that needs no intersection.

    Move the vertices of one outline to those of the other, one after the other. Each move sweeps over two triangles,
    and what lies inside one of the polygons and outside the other was swept over, because the outline's winding number
    around it has changed. So the areas of the triangles bound the symmetric difference D, and with the sum of both
    areas S, the IoU is (S - D) / (S + D) or more. Holds for valid polygons of one direction; the candidates of one text
    have corresponding vertices, which makes it a good bound.

    Args:
        start, end: (..., V, 2).
        start_area, end_area: (...), positive or negative by their direction; 0 for what is not valid.

    Returns:
        (...) bool.
    """
    before = np.concatenate((start[..., -1:, :], end[..., :-1, :]), axis=-2)
    after = np.concatenate((start[..., 1:, :], end[..., :1, :]), axis=-2)
    move = end - start
    swept = np.abs(_cross(move, before - start)) + np.abs(_cross(move, after - start))
    difference = swept.sum(axis=-1) / 2
    total = np.abs(start_area) + np.abs(end_area)
    return (start_area * end_area > 0) & (total - difference > threshold * (total + difference))


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Twice the signed areas of the triangles that pairs of vectors (..., 2) span."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
