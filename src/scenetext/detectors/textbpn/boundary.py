"""The boundary of a region of pixels as a closed line of a fixed number of points."""

from __future__ import annotations

import cv2
import numpy as np


def boundary_points(region: np.ndarray, simplification: float, count: int, stride: int = 1) -> np.ndarray:
    """Points at equal steps along the simplified outline of the largest part of a region (section 3.3).

    As published they start where OpenCV's contour does, at the topmost of its leftmost pixels' row, and run
    counter-clockwise on the screen.

    Args:
        region: (h, w) bool or uint8, not empty.
        simplification: largest deviation from the contour, as a share of its length.
        count: number of points.
        stride: image pixels per pixel of the region.

    Returns:
        (count, 2) int32, (x, y) in pixels of the image whose first one is the region's, cut to integers as published.
        All the same where the region is a single pixel.
    """
    contours, _ = cv2.findContours(region.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contour = max(contours, key=cv2.contourArea)
    corners = cv2.approxPolyDP(contour, simplification * cv2.arcLength(contour, True), True)[:, 0].astype(np.float64)
    closed = np.concatenate((corners, corners[:1]))
    walked = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))))
    positions = np.arange(count) * (walked[-1] / count)
    points = np.stack([np.interp(positions, walked, closed[:, 0]), np.interp(positions, walked, closed[:, 1])], axis=1)
    return (points * stride).astype(np.int32)
