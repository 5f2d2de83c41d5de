"""Maps as colours, alone or over an image."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.drawing.canvas import new_canvas
from scenetext.errors import DataError


def colorize(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """A map in the colours of "inferno", whose brightness rises evenly from black over red to pale yellow.

    Args:
        values: (h, w), any numeric type.
        low, high: what is shown darkest and brightest; None = the least and the greatest value. Give both where maps
            are to be compared. A constant map is dark.

    Returns:
        (h, w, 3) uint8 RGB.

    Raises:
        DataError: another shape, no values, or values that are not finite.
    """
    levels = np.rint(255 * _normalized(values, low, high)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB))


def blend_heatmap(image: np.ndarray, heat: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """An image under a heat map that is stretched over it.

    Args:
        image: (H, W, 3) uint8 RGB.
        heat: (h, w), of any size; its range is stretched to the whole scale of colours.
        alpha: weight of the heat map in [0, 1]; the rest is the image.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: image or map of another shape, values that are not finite, or alpha out of range.
    """
    if not 0 <= alpha <= 1:
        raise DataError(f"alpha is {alpha}; expected a share in [0, 1]")
    canvas = new_canvas(image)
    # Resized before it is coloured: blending two colours of the scale would give colours that are not on it.
    stretched = cv2.resize(
        _normalized(heat, None, None), (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(cv2.addWeighted(colorize(stretched, 0.0, 1.0), alpha, canvas, 1 - alpha, 0))


def _normalized(values: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    """(h, w) float32 in [0, 1]."""
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise DataError(f"cannot colour a map of shape {values.shape}; expected (h, w) with finite values")
    numbers = values.astype(np.float64)
    least = numbers.min() if low is None else low
    span = (numbers.max() if high is None else high) - least
    if not span > 0:
        return np.zeros(values.shape, dtype=np.float32)
    return np.clip((numbers - least) / span, 0.0, 1.0).astype(np.float32)
