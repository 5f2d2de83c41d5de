"""Which letters can be read on which ground: CIE lightness, and the choice of a paint by contrast.

Colours are float32 RGB in 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

PLAIN_COLORS = ((250, 250, 246), (14, 14, 16), (186, 28, 36), (246, 204, 40), (18, 70, 148), (12, 98, 62))
"""The most usual colours of painted letters."""


def lightness(colors: np.ndarray) -> np.ndarray:
    """CIE lightness L*, 0 to 100, of sRGB colours (..., 3) in 0..255; float32 (...)."""
    pixels = np.ascontiguousarray(colors, dtype=np.float32).reshape(-1, 1, 3) / np.float32(255)
    return cv2.cvtColor(np.clip(pixels, 0, 1), cv2.COLOR_RGB2LAB)[:, 0, 0].reshape(np.shape(colors)[:-1])


@dataclass(frozen=True, slots=True)
class Ground:
    """How light the ground below some letters is: the middle 80 % lie between L* `low` and `high`."""

    low: float
    high: float

    def contrast(self, colors: np.ndarray) -> np.ndarray:
        """(N,) difference of lightness between colours (N, 3) and the nearest of the ground; 0 within its range."""
        light = lightness(colors)
        return np.maximum(np.maximum(self.low - light, light - self.high), 0)


def measure_ground(pixels: np.ndarray) -> Ground:
    """The ground that pixels (N, 3) in 0..255 make."""
    low, high = np.percentile(lightness(pixels), [10, 90])
    return Ground(float(low), float(high))


def choose_lettering(
    ground: Ground, paints: np.ndarray, light: np.ndarray, minimum: float, generator: np.random.Generator
) -> np.ndarray | None:
    """One of the paints (N, 3) that, in the light (3,), has enough contrast, at random; None where there is none."""
    readable = np.flatnonzero(ground.contrast(paints * light) >= minimum)
    if not len(readable):
        return None
    return paints[readable[generator.integers(len(readable))]]
