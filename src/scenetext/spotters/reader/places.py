"""Where a word is read: two sides, along the tops and along the bottoms of its letters, in reading direction."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from scenetext.geometry.polygon import signed_area
from scenetext.geometry.sidelines import resample_line, text_sides
from scenetext.spotters.reader.config import JitterSettings, ReaderSettings

POINTS = 8
"""Points of a side, at equal distances."""
_LEAST_AREA = 1.0
"""Square pixels; what encloses less has nothing to read."""


def annotated_place(polygon: np.ndarray) -> np.ndarray | None:
    """The sides of an annotated polygon, whose first half of vertices is the upper side from left to right.

    Args:
        polygon: (V, 2), V >= 3, pixels.

    Returns:
        (2, POINTS, 2) float32, upper side first; None without an extent.
    """
    half = (len(polygon) + 1) // 2
    return _place(polygon[:half], polygon[half:][::-1])


def detected_places(polygon: np.ndarray, settings: ReaderSettings) -> list[np.ndarray]:
    """The sides that a detection is read between: one pair, or three in different directions where it stands upright.

    Args:
        polygon: (V, 2), V >= 3, pixels, in any order.

    Returns:
        (2, POINTS, 2) float32 each, grown; nothing without an extent.
    """
    if settings.place == "sides":
        found = [_place(*text_sides(polygon))]
    else:
        found = [_place(*sides) for sides in _rectangle_sides(polygon, settings.upright_aspect)]
    return [_grown(place, settings.growth) for place in found if place is not None]


def rectangle_place(place: np.ndarray) -> np.ndarray | None:
    """The sides of the rectangle of least area around a place (2, POINTS, 2), in the direction nearest to its own."""
    corners = _rectangle(place.reshape(-1, 2))
    along = place[:, -1].mean(axis=0) - place[:, 0].mean(axis=0)
    turned = [np.roll(corners, -start, axis=0) for start in range(4)]
    best = max(turned, key=lambda ring: float((ring[1] - ring[0] + ring[2] - ring[3]) @ along))
    return _place(best[:2], best[2:][::-1])


def jittered(place: Tensor, settings: JitterSettings, generator: Generator) -> Tensor:
    """A place that is off as detections are: scaled, turned, moved, each corner for itself.

    Args:
        place: (2, POINTS, 2) float32, upper side first, pixels.
        generator: of the image, on the CPU.
    """
    upper, lower = place
    centre = place.mean(dim=(0, 1))
    along = lower[-1] + upper[-1] - lower[0] - upper[0]
    along = along / along.norm().clamp(min=1e-6)
    across = torch.stack((-along[1], along[0]))
    height = (lower - upper).norm(dim=1).mean()
    drawn = torch.rand(2, generator=generator)
    limits = torch.tensor((settings.width, settings.height))
    scale = limits[:, 0] + drawn * (limits[:, 1] - limits[:, 0])
    frame = torch.stack((along, across))
    angle = torch.deg2rad(torch.randn((), generator=generator) * settings.angle)
    turn = torch.stack((torch.stack((angle.cos(), -angle.sin())), torch.stack((angle.sin(), angle.cos()))))
    local = (place - centre) @ frame.T * scale
    moved = torch.randn(2, generator=generator) * settings.centre * height
    corners = torch.randn((2, 2, 2), generator=generator) * settings.corners * height
    share = torch.linspace(0, 1, POINTS)[:, None]
    bent = corners[:, :1] * (1 - share) + corners[:, 1:] * share
    return centre + (local @ turn.T + moved + bent) @ frame


def _place(upper: np.ndarray, lower: np.ndarray) -> np.ndarray | None:
    if abs(signed_area(np.concatenate((upper, lower[::-1])))) < _LEAST_AREA:
        return None
    return np.stack([resample_line(_line(side), POINTS) for side in (upper, lower)]).astype(np.float32)


def _line(side: np.ndarray) -> np.ndarray:
    """A side of at least two points: of a triangle, one side is a single vertex."""
    line = side.astype(np.float64)
    return line if len(line) > 1 else np.concatenate((line, line))


def _rectangle_sides(polygon: np.ndarray, upright_aspect: float) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Pairs of sides of the rectangle of least area: from left to right, and where it stands, also up and down."""
    corners = _rectangle(polygon)
    # The edge that points most to the right begins the upper side; the next ones follow clockwise on the screen.
    edges = np.roll(corners, -1, axis=0) - corners
    start = int((edges[:, 0] / np.maximum(np.linalg.norm(edges, axis=1), 1e-6)).argmax())
    ring = np.roll(corners, -start, axis=0)
    width, height = np.linalg.norm(ring[1] - ring[0]), np.linalg.norm(ring[2] - ring[1])
    turns = (0, 1, 3) if height > upright_aspect * width else (0,)
    turned = [np.roll(ring, -turn, axis=0) for turn in turns]
    return [(each[:2], each[2:][::-1]) for each in turned]


def _rectangle(points: np.ndarray) -> np.ndarray:
    """(4, 2), clockwise on the screen: the rectangle of least area around points (V, 2)."""
    corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32)))
    return corners if signed_area(corners) > 0 else corners[::-1]


def _grown(place: np.ndarray, share: float) -> np.ndarray:
    """A place grown on all four sides by a share of its height."""
    upper, lower = place
    across = (lower - upper) * share
    height = np.linalg.norm(lower - upper, axis=1).mean()
    grown = np.stack((upper - across, lower + across))
    for side in grown:
        for end, inner in ((0, 1), (-1, -2)):
            outwards = side[end] - side[inner]
            side[end] += outwards / max(float(np.linalg.norm(outwards)), 1e-6) * height * share
    return np.stack([resample_line(side, POINTS) for side in grown.astype(np.float64)]).astype(np.float32)
