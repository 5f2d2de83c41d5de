"""What DBNet learns from: text kernels, and a threshold map that rises towards the borders of text (section 3.4)."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.detectors.dbnet.config import BinarizationSettings
from scenetext.geometry.offset import kernel_distance, largest_part, offset_polygon, shrink_distance
from scenetext.structures import Sample

LARGEST_BATCH = 40_000
"""Pixels times edges up to which the edges of a polygon are handled at once; beyond, each in its own bounding box."""


def targets(sample: Sample, config: BinarizationSettings) -> dict[str, np.ndarray]:
    """The four maps that DBNet learns from; H and W are those of the sample's image.

    Ignored text, text that is too small and text whose kernel vanishes is excluded from the maps, and its region is
    marked as invalid. Text without polygon is skipped.

    Args:
        sample: polygons in pixels of its image; parts outside the image are cut off. Not changed.
        config: shrink ratio, least side and range of the threshold map.

    Returns:
        probability: (H, W) uint8, 1 in the text kernels.
        probability_valid: (H, W) uint8, 0 where the text is ignored.
        threshold: (H, W) float32 in [threshold_low, threshold_high], highest on the borders.
        threshold_valid: (H, W) uint8, 1 in the polygons grown by the width of the border.
    """
    height, width = sample.image.shape[:2]
    probability = np.zeros((height, width), np.uint8)
    probability_valid = np.ones((height, width), np.uint8)
    threshold = np.full((height, width), config.threshold_low, np.float32)
    threshold_valid = np.zeros((height, width), np.uint8)
    for instance in sample.instances:
        polygon = instance.polygon
        if polygon is None:
            continue
        kernel = None if instance.ignore else _kernel(polygon, config)
        if kernel is None:
            cv2.fillPoly(probability_valid, [polygon.astype(np.int32)], 0)
            continue
        cv2.fillPoly(probability, [kernel.astype(np.int32)], 1)
        _draw_border(polygon, config, threshold, threshold_valid)
    return {
        "probability": probability,
        "probability_valid": probability_valid,
        "threshold": threshold,
        "threshold_valid": threshold_valid,
    }


def _kernel(polygon: np.ndarray, config: BinarizationSettings) -> np.ndarray | None:
    """The shrunk polygon, (V', 2) int64; None where the text is too small, has no area (the loops of one that crosses
    itself may cancel) or nothing is left.

    As published, the distance is that of the polygon cut to integer coordinates, in whole pixels.
    """
    if min(cv2.minAreaRect(polygon)[1]) < config.minimum_side or not shrink_distance(polygon, config.shrink_ratio):
        return None
    distance = kernel_distance(polygon.astype(np.int64), config.shrink_ratio)
    return largest_part(offset_polygon(polygon, -distance))


def _draw_border(
    polygon: np.ndarray, config: BinarizationSettings, threshold: np.ndarray, threshold_valid: np.ndarray
) -> None:
    """Draws the border of one text, D to either side, into the two (H, W) maps."""
    distance = shrink_distance(polygon, config.shrink_ratio)
    grown = largest_part(offset_polygon(polygon, distance))
    if grown is None:
        return
    cv2.fillPoly(threshold_valid, [grown.astype(np.int32)], 1)
    height, width = threshold.shape
    left, top = np.maximum(grown.min(axis=0), 0).tolist()
    right, bottom = np.minimum(grown.max(axis=0) + 1, (width, height)).tolist()
    if left >= right or top >= bottom:
        return
    patch = threshold[top:bottom, left:right]
    closeness = _closeness(polygon - (left, top), distance, (bottom - top, right - left))
    closeness *= config.threshold_high - config.threshold_low
    closeness += config.threshold_low
    np.maximum(patch, closeness, out=patch)


def _closeness(polygon: np.ndarray, distance: float, size: tuple[int, int]) -> np.ndarray:
    """How close every pixel is to the border of a polygon: 1 on it, 0 at `distance` and beyond.

    Args:
        polygon: (V, 2), pixels of the map.
        distance: reach of the border in pixels, above 0.
        size: (height, width) of the map.

    Returns:
        (height, width) float32 in [0, 1].
    """
    start = polygon / distance
    end = np.concatenate((start[1:], start[:1]))
    squared = np.ones(size, np.float32)
    if len(polygon) * squared.size <= LARGEST_BATCH:
        _lower_to_edges(squared, start, end, distance)
    else:
        for index in range(len(polygon)):
            _lower_to_edges(squared, start[index : index + 1], end[index : index + 1], distance)
    np.sqrt(squared, out=squared)
    return np.subtract(1, squared, out=squared)


def _lower_to_edges(squared: np.ndarray, start: np.ndarray, end: np.ndarray, distance: float) -> None:
    """Lowers a map of squared distances, in place, to the squared distance to the nearest of some edges.

    The distance to an edge is taken in the edge's own frame: `along` it from its middle, where only what lies beyond
    its ends counts, and `across` it. The official code takes the distance to the nearer vertex where a pixel sees the
    edge under an acute angle, which differs by up to 0.044 in the threshold map; this one is exact.

    Args:
        squared: (h, w) float32, at most 1 everywhere; pixels further away than 1 are skipped.
        start, end: (E, 2) ends of the edges, and all other lengths, in units of `distance` pixels.
        distance: pixels.
    """
    lowest, highest = np.minimum(start, end).min(axis=0), np.maximum(start, end).max(axis=0)
    left, top = np.maximum((lowest - 1) * distance, 0).astype(int).tolist()
    right, bottom = np.maximum((highest + 1) * distance + 1, 0).astype(int).tolist()
    window = squared[top:bottom, left:right]
    edge, middle = end - start, (start + end) / 2
    length = np.hypot(edge[:, :1], edge[:, 1:])
    direction = edge / np.maximum(length, 1e-9)
    half_length = (length[:, :, None] / 2).astype(np.float32)
    x = np.arange(left, left + window.shape[1]) / distance - middle[:, :1]
    y = np.arange(top, top + window.shape[0]) / distance - middle[:, 1:]
    along_x, along_y = (direction[:, :1] * x).astype(np.float32), (direction[:, 1:] * y).astype(np.float32)
    across_x, across_y = (direction[:, 1:] * x).astype(np.float32), (direction[:, :1] * y).astype(np.float32)

    # With p relative to the middle and the unit vector d of an edge: along = d . p, across = d x p, and the squared
    # distance is max(|along| - length / 2, 0)^2 + across^2. Both are sums of a term per row and one per column.
    distances = along_y[:, :, None] + along_x[:, None]
    np.abs(distances, out=distances)
    distances -= half_length
    np.maximum(distances, 0, out=distances)
    distances *= distances
    across = across_y[:, :, None] - across_x[:, None]
    across *= across
    distances += across
    np.minimum(window, distances.min(axis=0), out=window)
