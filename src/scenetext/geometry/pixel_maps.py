"""Maps of pixels, drawn and read: pieces of texts numbered by pixel, regions of a mask, logits as probabilities."""

from __future__ import annotations

import cv2
import numpy as np


def logistic(logits: np.ndarray) -> np.ndarray:
    """Probabilities, by way of tanh, which cannot overflow."""
    return 0.5 + 0.5 * np.tanh(logits / 2)


def fill_numbered(quadrangles: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) int32: the last of the quadrangles (N, 4, 2) int32 that each pixel is in, numbered from 1; 0 in none."""
    numbers = np.zeros(size, np.int32)
    low, high = quadrangles.min(axis=1), quadrangles.max(axis=1)
    visible = (high >= 0).all(axis=1) & (low < size[::-1]).all(axis=1)
    for index in np.flatnonzero(visible).tolist():
        cv2.fillPoly(numbers, [quadrangles[index]], index + 1)
    return numbers


def map_of_values(size: tuple[int, int], pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(H, W) float32 with values (P,) at pixels (P,), indices row by row, and 0 elsewhere."""
    array = np.zeros(size, np.float32)
    array.reshape(-1)[pixels] = values
    return array


def filled_regions(mask: np.ndarray) -> list[np.ndarray]:
    """Outer contours (n, 1, 2) int32 of the 8-connected regions of a mask (H, W) uint8, with what they enclose.

    In the order of OpenCV's contours, from the bottom upwards.
    """
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return list(contours)
