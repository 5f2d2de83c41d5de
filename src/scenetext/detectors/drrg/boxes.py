"""Components: rotated boxes across a text, one beside the other along its centre line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class GeometryMaps(NamedTuple):
    """What a component's shape is read from, (H, W) float32 each: upward direction (y downwards, of any length), and
    the distances in pixels to the top and the bottom of the text."""

    sin: np.ndarray
    cos: np.ndarray
    top: np.ndarray
    bottom: np.ndarray

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """sin, cos, top and bottom at pixels, (N,) float64 each; the direction is of unit length, or 0."""
        sin, cos, top, bottom = (array[y, x].astype(np.float64) for array in self)
        length = np.sqrt(np.square(sin) + np.square(cos) + 1e-8)
        return sin / length, cos / length, top, bottom


class WidthRule(NamedTuple):
    """Width of a component: a share of its height between two limits, pixels."""

    share: float
    least: float
    largest: float

    def widths(self, heights: np.ndarray) -> np.ndarray:
        """(N,) for heights (N,)."""
        return np.clip(heights * self.share, self.least, self.largest)


def component_corners(maps: GeometryMaps, pixels: np.ndarray, rule: WidthRule, growth: float = 1.0) -> np.ndarray:
    """The boxes at pixels (N, 2), (x, y).

    Args:
        growth: factor on the heights.

    Returns:
        (N, 4, 2) float64: top left, top right, bottom right, bottom left.
    """
    x, y = pixels.T
    sin, cos, top, bottom = maps.at(x, y)
    up = np.stack((cos, sin), axis=1)
    along = np.stack((-sin, cos), axis=1) * (rule.widths(growth * (top + bottom)) / 2)[:, None]
    upper, lower = pixels + growth * top[:, None] * up, pixels - growth * bottom[:, None] * up
    return np.stack((upper - along, upper + along, lower + along, lower - along), axis=1)


def component_attributes(maps: GeometryMaps, corners: np.ndarray, rule: WidthRule) -> np.ndarray:
    """(N, 6) float64 x, y, height, width, cosine and sine of boxes (N, 4, 2), read at their middles, cut to integers.

    The middles must lie in the image.
    """
    x, y = corners.mean(axis=1).astype(np.int64).T
    sin, cos, top, bottom = maps.at(x, y)
    return np.column_stack((x, y, top + bottom, rule.widths(top + bottom), cos, sin))
