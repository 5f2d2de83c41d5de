"""Masks that were made in boxes, stretched to the pixels of the image."""

from __future__ import annotations

import numpy as np


def stretch_mask(mask: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """A mask, stretched to the pixels of its box.

    The middle of every image pixel is looked up bilinearly between the middles of the pixels of the mask, with zeros
    around it.

    Args:
        mask: (S, S) probabilities.
        box: (4,), real numbers.

    Returns:
        (h, w) float, of the pixels that the box touches, and the (x, y) of the first of them.
    """
    left, top = np.floor(box[:2]).astype(int).tolist()
    right, bottom = np.ceil(box[2:]).astype(int).tolist()
    rows = _interpolation(box[1], box[3], top, bottom, len(mask))
    columns = _interpolation(box[0], box[2], left, right, len(mask))
    return rows @ mask @ columns.T, (left, top)


def _interpolation(low: float, high: float, first: int, last: int, size: int) -> np.ndarray:
    """(last - first, size) weights that look up the pixels of an image along one axis of a mask from low to high."""
    position = (np.arange(first, last) + 0.5 - low) / (high - low) * size - 0.5
    distance = np.abs(position[:, None] - np.arange(size))
    return np.maximum(1 - distance, 0).astype(np.float32)
