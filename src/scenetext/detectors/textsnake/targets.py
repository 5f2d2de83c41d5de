"""What TextSnake learns from: the text region, and along its centre line the direction and the radius of the text."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.detectors.textsnake.config import TextSnakeSettings
from scenetext.geometry.offset import area_and_perimeter
from scenetext.geometry.pixel_maps import fill_numbered, map_of_values
from scenetext.geometry.sidelines import (
    Sides,
    band_between,
    end_heights,
    in_reading_direction,
    step_along,
    text_sides,
    without_ends,
)
from scenetext.structures import Sample

END_SHARE = 0.25
"""How much of the centre line is cut off at each end, as a share of the height of the text there."""
SAME_POINT = 1e-5
"""Vertices that are nearer to the one before count as repeats, pixels."""
STEEP = 0.9
"""A text whose ends are further apart vertically than this times their horizontal distance reads downwards."""


def targets(sample: Sample, config: TextSnakeSettings) -> dict[str, np.ndarray]:
    """The maps that TextSnake learns from (section 3.4), at the size of the image (H, W).

    Args:
        sample: polygons in pixels of its image, cut to integers first, as published; parts outside the image are cut
            off. Not changed.
        config: shape of the centre region.

    Returns:
        text, centre: uint8, 1 inside text and around its centre line.
        valid: uint8, 0 inside ignored text and text without extent, which are not drawn.
        sin, cos: float32, direction of the centre line, y downwards; 0 outside of the centre region.
        radius: float32, half the height of the text, pixels; 0 outside of the centre region.
        Where texts overlap, the later one decides. Text without polygon is skipped.
    """
    size = sample.image.shape[:2]
    text, valid = np.zeros(size, np.uint8), np.ones(size, np.uint8)
    quadrangles, attributes = [np.zeros((0, 4, 2), np.int32)], [np.zeros((0, 3))]
    for instance in sample.instances:
        if instance.polygon is None:
            continue
        outline = instance.polygon.astype(np.int32)
        if instance.ignore or area_and_perimeter(outline.astype(np.int64))[0] <= 0:
            cv2.fillPoly(valid, [outline], 0)
            continue
        cv2.fillPoly(text, [outline], 1)
        sides = _reading_sides(_without_repeats(instance.polygon), config)
        quadrangles.append(band_between(sides, config.centre_shrink))
        attributes.append(_attributes(sides))
    pieces = fill_numbered(np.concatenate(quadrangles), size)
    centre = pieces > 0
    pixels = np.flatnonzero(centre)
    values = np.concatenate(attributes).T.astype(np.float32)[:, pieces.reshape(-1)[pixels] - 1]
    maps = {name: map_of_values(size, pixels, row) for name, row in zip(("sin", "cos", "radius"), values, strict=True)}
    return {"text": text, "centre": centre.view(np.uint8), "valid": valid, **maps}


def _without_repeats(outline: np.ndarray) -> np.ndarray:
    """The outline without vertices that are where the one before is."""
    return outline[(np.abs(outline - np.roll(outline, 1, axis=0)) > SAME_POINT).any(axis=1)]


def _reading_sides(outline: np.ndarray, config: TextSnakeSettings) -> Sides:
    """Both sides of a text, stepped along in reading direction, without the ends."""
    sides = in_reading_direction(step_along(text_sides(outline), config.centre_step), STEEP)
    head, tail = end_heights(sides)
    return without_ends(sides, (head * END_SHARE, tail * END_SHARE), config.centre_step)


def _attributes(sides: Sides) -> np.ndarray:
    """(N - 1, 3): sine, cosine and radius of every piece of a text between pairs of points (N, 2)."""
    upper, lower = sides
    step = np.diff((upper + lower) / 2, axis=0)
    length = np.hypot(step[:, 0], step[:, 1]) + 1e-8
    across = upper[:-1] + upper[1:] - lower[:-1] - lower[1:]
    return np.stack((step[:, 1] / length, step[:, 0] / length, np.hypot(across[:, 0], across[:, 1]) / 4), axis=1)
