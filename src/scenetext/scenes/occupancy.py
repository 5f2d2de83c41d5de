"""Where a sign can go: inside the image, not over another sign, on a calm region."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.scenes.warps import pixel_box

STEP = 4
"""Image pixels per cell of the maps; small images have cells of 2."""
SMALL_IMAGE = 160
GAP = 3
"""Image pixels that are kept free around every sign."""


class Occupancy:
    """Which parts of an image are taken by signs, and how calm the others are.

    Args:
        image: (H, W, 3) float32, 0..255.
    """

    def __init__(self, image: np.ndarray) -> None:
        self._size = (image.shape[0], image.shape[1])
        self._step = STEP if min(self._size) >= SMALL_IMAGE else 2
        small_size = (-(-self._size[1] // self._step), -(-self._size[0] // self._step))
        small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA).mean(axis=2)
        across, along = cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)
        self._edge_strength = cv2.integral(np.minimum(np.hypot(across, along), 200))
        self._taken = np.zeros(small.shape, dtype=np.uint8)

    def is_free(self, polygon: np.ndarray) -> bool:
        """Whether no sign covers any part of a convex polygon (V, 2) of image pixels."""
        left, top, right, bottom = self._cells(polygon)
        if right <= left or bottom <= top:
            return True
        taken = self._taken[top:bottom, left:right]
        if not taken.any():
            return True
        inside = np.zeros(taken.shape, dtype=np.uint8)
        cv2.fillPoly(inside, [self._cell_points(polygon) - (left, top)], 1)
        return not (taken & inside).any()

    def take(self, polygon: np.ndarray) -> None:
        """Marks a convex polygon (V, 2), and a small gap around it, as taken."""
        center = polygon.mean(axis=0)
        outward = polygon - center
        grown = center + outward * (1 + GAP / np.maximum(np.hypot(*outward.T), 1))[:, None]
        cv2.fillPoly(self._taken, [self._cell_points(grown)], 1)

    def edge_strength(self, polygon: np.ndarray) -> float:
        """Mean strength of edges in the box around a polygon (V, 2): 0 = even, above about 40 = full of detail."""
        left, top, right, bottom = self._cells(polygon)
        if right <= left or bottom <= top:
            return 0.0
        total = self._edge_strength
        inside = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
        return float(inside) / ((right - left) * (bottom - top))

    def _cells(self, polygon: np.ndarray) -> tuple[int, int, int, int]:
        return pixel_box(polygon / self._step, 0, (self._taken.shape[0], self._taken.shape[1]))

    def _cell_points(self, polygon: np.ndarray) -> np.ndarray:
        return np.round(polygon / self._step - 0.5).astype(np.int32)
