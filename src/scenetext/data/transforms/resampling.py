"""Pixels through an affine matrix, or to another size.

Coordinates have their origin at the corner of the top-left pixel. OpenCV counts from pixel centres; only this file
knows.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from PIL import Image

from scenetext.errors import DataError

Resampling = Literal["bilinear", "bicubic"]
"""bilinear: halved by averaging while an axis shrinks to half or less, then bilinear; quick. bicubic: Pillow's, with
antialiasing, which the published oCLIP code uses; for windows that are only resized."""


def warp_image(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], resampling: Resampling = "bilinear"
) -> np.ndarray:
    """The part of an image that a matrix brings to (0, 0) to (width, height); black outside the source.

    A window of whole pixels without rotation is resized, which is faster than a warp and does not blend its border with
    black.

    Args:
        image: (H, W, 3) uint8.
        matrix: (3, 3), affine and invertible; takes (x, y, 1) of the image to pixels of the new one.
        size: (height, width) of the new image.

    Returns:
        (height, width, 3) uint8.

    Raises:
        DataError: bicubic resampling of anything but a window of whole pixels.
    """
    window = _resized_window(image, matrix, np.array([size[1], size[0]]))
    if window is not None:
        left, top, right, bottom = window
        return resize_image(image[top:bottom, left:right], size, resampling)
    if resampling == "bicubic":
        raise DataError(f"bicubic resampling takes windows of whole pixels without rotation, not {matrix.tolist()}")
    image, matrix = _halve(*_crop_to_output(image, matrix, np.array([size[1], size[0]])))
    # From corner coordinates to pixel centres: A (x + 0.5) + t - 0.5 = A x + (t + 0.5 A 1 - 0.5).
    centres = matrix[:2].copy()
    centres[:, 2] += 0.5 * matrix[:2, :2].sum(axis=1) - 0.5
    return cv2.warpAffine(image, centres, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def resize_image(image: np.ndarray, size: tuple[int, int], resampling: Resampling = "bilinear") -> np.ndarray:
    """An image (H, W, 3) uint8 stretched to `size` (height, width)."""
    if image.shape[:2] == size:
        return image
    if resampling == "bicubic":
        return np.array(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    image, matrix = _halve(image, np.diag([size[1] / image.shape[1], size[0] / image.shape[0], 1.0]))
    if image.shape[:2] == size:
        return image
    # With factors in place of a size, OpenCV does not stretch what halving added at the border over the output.
    resized = cv2.resize(image, None, fx=matrix[0, 0], fy=matrix[1, 1])
    return np.ascontiguousarray(resized[: size[0], : size[1]])


def _crop_to_output(image: np.ndarray, matrix: np.ndarray, size_xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of the source that the output shows, with a margin of two pixels of it, and the matrix for that part.

    So what lies outside is not averaged for nothing, and OpenCV's limit of 32,767 pixels per side is not reached.
    """
    margin = 2 * np.maximum(1 / np.linalg.norm(matrix[:2, :2], axis=0), 1)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size_xy - matrix[:2, 2]
    seen = corners @ np.linalg.inv(matrix[:2, :2]).T
    limits = np.array(image.shape[1::-1])
    low = np.clip(np.floor(seen.min(axis=0) - margin), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0) + margin), low + 1, limits).astype(int)
    moved = matrix.copy()
    moved[:2, 2] += matrix[:2, :2] @ low
    return image[low[1] : high[1], low[0] : high[0]], moved


def _halve(image: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image halved as often as an axis shrinks to half or less, each for itself, and the matrix for the rest.

    Bilinear interpolation to exactly half the size averages pairs of pixels; further down it would skip some. Of an odd
    side, the last pixel is doubled. OpenCV's own averaging is several times slower where the axes shrink differently.
    """
    shrink = 1 / np.linalg.norm(matrix[:2, :2], axis=0)
    halvings = np.floor(np.log2(np.maximum(shrink, 1)) + 1e-6).astype(int)
    for step in range(int(halvings.max())):
        halved = halvings > step
        right, bottom = (halved * image.shape[1::-1] % 2).tolist()
        if right or bottom:
            image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        image = cv2.resize(image, (image.shape[1::-1] // (1 + halved)).tolist())
    return image, matrix @ np.diag([*(2.0**halvings), 1.0])


def _resized_window(image: np.ndarray, matrix: np.ndarray, size_xy: np.ndarray) -> list[int] | None:
    """(left, top, right, bottom) of the source where the output is that window of whole pixels, only resized."""
    scale = matrix.diagonal()[:2]
    if matrix[0, 1] or matrix[1, 0] or (scale <= 0).any():
        return None
    window = np.concatenate([-matrix[:2, 2], size_xy - matrix[:2, 2]]) / np.tile(scale, 2)
    whole = np.rint(window)
    inside = (whole[:2] >= 0).all() and (whole[2:] <= image.shape[1::-1]).all() and (whole[2:] > whole[:2]).all()
    return whole.astype(int).tolist() if inside and np.allclose(window, whole, rtol=0, atol=1e-6) else None
