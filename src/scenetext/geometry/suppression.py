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
    0 leaves them, as in MMOCR. Most overlaps need not be computed for it: see `_certainly_above`.

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
        areas: (N,) of these, square pixels.
        direction: (N,) 1 or -1 for polygons that run clockwise on the screen or not; 0 for what was not valid.
    """

    points: np.ndarray
    low: np.ndarray
    high: np.ndarray
    geometries: np.ndarray
    areas: np.ndarray
    direction: np.ndarray


def _make_shapes(polygons: np.ndarray) -> _Shapes:
    """Measures polygons (N, V, 2) and repairs those that are not valid."""
    points = np.asarray(polygons, np.float64)
    geometries = np.asarray(shapely.polygons(points))
    valid = shapely.is_valid(geometries)
    if not valid.all():
        geometries[~valid] = shapely.buffer(geometries[~valid], 0)
    after = np.concatenate((points[:, 1:], points[:, :1]), axis=1)
    direction = np.sign(_cross(points, after).sum(axis=1)) * valid
    return _Shapes(
        points, points.min(axis=1), points.max(axis=1), geometries, np.asarray(shapely.area(geometries)), direction
    )


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
        intersections = shapely.intersection(shapes.geometries[first[unclear]], shapes.geometries[second[unclear]])
        overlap = shapely.area(intersections)
        above[unclear] = overlap > threshold * (total[unclear] - overlap)
    return above


def _certainly_above(shapes: _Shapes, first: np.ndarray, second: np.ndarray, threshold: float) -> np.ndarray:
    """(P,) bool: True only where the IoU is above the threshold; a bound that needs no intersection.

    Move the vertices of one outline to those of the other, one after the other. Each move sweeps over two triangles,
    and what lies inside one of the polygons and outside the other was swept over, because the outline's winding number
    around it has changed. So the areas of the triangles bound the symmetric difference D, and with the sum of both
    areas S, the IoU is (S - D) / (S + D) or more. Holds for valid polygons of one direction; the candidates of one text
    have corresponding vertices, which makes it a good bound.
    """
    start, end = shapes.points[first], shapes.points[second]
    before = np.concatenate((start[:, -1:], end[:, :-1]), axis=1)
    after = np.concatenate((start[:, 1:], end[:, :1]), axis=1)
    move = end - start
    swept = np.abs(_cross(move, before - start)) + np.abs(_cross(move, after - start))
    difference = swept.sum(axis=1) / 2
    total = shapes.areas[first] + shapes.areas[second]
    comparable = shapes.direction[first] * shapes.direction[second] > 0
    return comparable & (total - difference > threshold * (total + difference))


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Twice the signed areas of the triangles that pairs of vectors (..., 2) span."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
