"""Non-maximum suppression of polygons: of candidates that overlap too much, the one of the highest score stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely


def suppress_overlapping(
    polygons: np.ndarray, scores: np.ndarray, threshold: float, groups: np.ndarray | None = None
) -> np.ndarray:
    """Chooses the best candidates, one after the other, each of which drops the others that overlap it too much.

    The decision is that of exact overlaps, where polygons that cross or touch themselves are taken as a buffer of width
    0 leaves them, as in MMOCR. Most overlaps need not be computed for it: see `_certainly_overlap`.

    Args:
        polygons: (N, V, 2), pixels.
        scores: (N,); of equal scores, the later one is better.
        threshold: IoU, at least 0, above which the worse candidate is dropped.
        groups: (N,) integers; candidates compete in their own group only. None = all in one.

    Returns:
        (K,) indices of those that stay, best first.
    """
    shapes = _make_shapes(polygons)
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
        remaining = rivals[~_overlap_above(shapes, winners, rivals, threshold)]
    chosen = np.concatenate(kept)
    return chosen[np.argsort(rank[chosen])]


@dataclass(frozen=True, slots=True, eq=False)
class _Shapes:
    """Polygons made ready for suppression.

    Attributes:
        points: (N, V, 2) float64.
        low, high: (N, 2) corners of the bounding boxes.
        geometries: (N,) valid shapely geometries.
        signed_areas: (N,) of the points as they are.
        simple: (N,) bool, did not cross or touch themselves.
    """

    points: np.ndarray
    low: np.ndarray
    high: np.ndarray
    geometries: np.ndarray
    signed_areas: np.ndarray
    simple: np.ndarray


def _make_shapes(polygons: np.ndarray) -> _Shapes:
    """Measures polygons (N, V, 2) and repairs those that are not simple."""
    points = np.asarray(polygons, np.float64)
    geometries = shapely.polygons(points)
    simple = shapely.is_valid(geometries)
    if not simple.all():
        geometries[~simple] = shapely.buffer(geometries[~simple], 0)
    after = np.concatenate((points[:, 1:], points[:, :1]), axis=1)
    signed_areas = _cross(points, after).sum(axis=1) / 2
    return _Shapes(points, points.min(axis=1), points.max(axis=1), geometries, signed_areas, simple)


def _overlap_above(shapes: _Shapes, first: np.ndarray, second: np.ndarray, threshold: float) -> np.ndarray:
    """(P,) bool: whether the IoU of the pairs first[i], second[i] is above the threshold."""
    above = np.zeros(len(first), bool)
    meet = (shapes.low[first] < shapes.high[second]) & (shapes.low[second] < shapes.high[first])
    pairs = np.nonzero(meet.all(axis=1))[0]
    certain = _certainly_overlap(shapes, first[pairs], second[pairs], threshold)
    above[pairs[certain]] = True
    unclear = pairs[~certain]
    if len(unclear):
        mine, others = shapes.geometries[first[unclear]], shapes.geometries[second[unclear]]
        overlap = shapely.area(shapely.intersection(mine, others))
        above[unclear] = overlap > threshold * (shapely.area(mine) + shapely.area(others) - overlap)
    return above


def _certainly_overlap(shapes: _Shapes, first: np.ndarray, second: np.ndarray, threshold: float) -> np.ndarray:
    """(P,) bool: True only where the IoU is above the threshold; a bound that needs no intersection.

    Move the vertices of one outline to those of the other, one after the other. Each move sweeps over two triangles,
    and what lies inside one of the polygons and outside the other was swept over, because the outline's winding number
    around it has changed. So the areas of the triangles bound the symmetric difference D, and with the sum of both
    areas S, the IoU is (S - D) / (S + D) or more. Holds for simple polygons of one direction; the candidates of one text
    have corresponding vertices, which makes it a good bound.
    """
    start, end = shapes.points[first], shapes.points[second]
    before = np.concatenate((start[:, -1:], end[:, :-1]), axis=1)
    after = np.concatenate((start[:, 1:], end[:, :1]), axis=1)
    move = end - start
    swept = np.abs(_cross(move, before - start)) + np.abs(_cross(move, after - start))
    difference = swept.sum(axis=1) / 2
    area, other_area = shapes.signed_areas[first], shapes.signed_areas[second]
    total = np.abs(area) + np.abs(other_area)
    comparable = shapes.simple[first] & shapes.simple[second] & (area * other_area > 0)
    return comparable & (total - difference > threshold * (total + difference))


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Twice the signed area of the triangles that pairs of vectors (..., 2) span."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
