"""Polygons on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scenetext.drawing.canvas import BLACK, Color, letter_height, line_thickness, new_canvas, put_text, text_size
from scenetext.errors import DataError

SUBPIXEL_BITS = 4
"""OpenCV draws at 1/16 pixel."""


def draw_polygons(
    image: np.ndarray,
    polygons: Sequence[np.ndarray],
    color: Color = (0, 255, 0),
    thickness: int | None = None,
    labels: Sequence[str] | None = None,
) -> np.ndarray:
    """A copy of the picture with closed, antialiased outlines.

    Args:
        image: (H, W, 3) uint8 RGB.
        polygons: (V, 2) each, (x, y) pixels of `image`; parts outside the picture are cut off.
        color: RGB.
        thickness: line width in pixels; None = fits the size of the picture.
        labels: one text per polygon, written above its top-left corner; empty = none.

    Raises:
        DataError: image or polygon of another shape, coordinates that are not finite, or not one label per polygon.
    """
    if labels is not None and len(labels) != len(polygons):
        raise DataError(f"{len(labels)} labels for {len(polygons)} polygons; give one per polygon, or none at all")
    canvas = new_canvas(image)
    width = line_thickness(image) if thickness is None else thickness
    outlines = [_fixed_point(polygon) for polygon in polygons]
    if outlines:
        cv2.polylines(canvas, outlines, True, color, width, cv2.LINE_AA, SUBPIXEL_BITS)
    for polygon, label in zip(polygons, labels or [], strict=False):
        if label:
            height = letter_height(image)
            x, y = polygon.min(axis=0)
            put_text(canvas, label, (x, y - text_size(label, height)[1] - width), height, color, BLACK)
    return canvas


def _fixed_point(polygon: np.ndarray) -> np.ndarray:
    """(V, 1, 2) int32 in OpenCV's 1/16 pixels; its origin is the centre of the first pixel, ours is its corner."""
    if polygon.ndim != 2 or polygon.shape[1] != 2 or not polygon.size or not np.isfinite(polygon).all():
        raise DataError(f"cannot draw a polygon of shape {polygon.shape}; expected (V, 2), finite (x, y) pixels")
    limit = 2.0**30
    scaled = (polygon.astype(np.float64) - 0.5) * (1 << SUBPIXEL_BITS)
    return np.clip(np.rint(scaled), -limit, limit).astype(np.int32).reshape(-1, 1, 2)
