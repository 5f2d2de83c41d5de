"""Maps of labelled regions to polygons with scores."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from scenetext.structures import Detection

PolygonShape = Literal["quad", "polygon"]
"""Rectangle of least area around a region, or its outline."""


def label_components(mask: np.ndarray, minimum_area: int = 0) -> np.ndarray:
    """The 4-connected components of a mask, numbered row by row from 1.

    Args:
        mask: (h, w) bool or uint8.
        minimum_area: smaller components get no label; pixels.

    Returns:
        (h, w) int32, 0 outside of the components.
    """
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    small = statistics[:, cv2.CC_STAT_AREA] < minimum_area
    if not small.any():
        return labels
    number = np.arange(count, dtype=np.int32)
    number[small] = 0
    return number[labels]


def find_regions(
    labels: np.ndarray, probability: np.ndarray, minimum_area: int, score_threshold: float, shape: PolygonShape
) -> list[Detection]:
    """The regions of enough area and confidence, as polygons through the middles of their outermost pixels.

    Args:
        labels: (h, w) int32 from 0 (no region) up; every region is 4-connected.
        probability: (h, w) float in [0, 1]; the score of a region is its mean.
        minimum_area: pixels.
        score_threshold: in [0, 1].
        shape: of the polygons.

    Returns:
        In the order of the labels, in pixels of the map. Regions without an extent (a line of pixels) are dropped.
    """
    pixels = np.flatnonzero(labels)
    label_of_pixel = labels.reshape(-1)[pixels]
    areas = np.bincount(label_of_pixel, minlength=1)
    scores = np.bincount(label_of_pixel, probability.reshape(-1)[pixels]) / np.maximum(areas, 1)
    # Sorted by label, the pixels of region k are the slice [starts[k], starts[k] + areas[k]).
    starts = np.cumsum(areas) - areas
    pixels = pixels[np.argsort(label_of_pixel, kind="stable")]
    detections = []
    for label in np.flatnonzero((areas >= max(minimum_area, 1)) & (scores >= score_threshold)).tolist():
        y, x = np.divmod(pixels[starts[label] : starts[label] + areas[label]], labels.shape[1])
        polygon = _outline(x, y) if shape == "polygon" else _rectangle(x, y)
        if polygon is not None:
            detections.append(Detection(polygon, min(float(scores[label]), 1.0)))
    return detections


def _rectangle(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """The rectangle of least area around pixels (N,), (4, 2) float32; None where they lie on one line."""
    rectangle = cv2.minAreaRect(np.stack((x, y), axis=1).astype(np.int32))
    return cv2.boxPoints(rectangle) if min(rectangle[1]) > 0 else None


def _outline(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """The outer contour of connected pixels (N,), (V, 2) float32; None where it bounds no area."""
    left, top = int(x.min()), int(y.min())
    mask = np.zeros((int(y.max()) - top + 1, int(x.max()) - left + 1), np.uint8)
    mask[y - top, x - left] = 1
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    outline = contours[0][:, 0].astype(np.float32)
    return outline if cv2.contourArea(outline) > 0 else None
