"""What DRRG learns from: text and centre regions, height and direction of the text, and its components."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from scenetext.detectors.drrg.boxes import GeometryMaps, WidthRule, component_attributes, component_corners
from scenetext.detectors.drrg.config import DRRGComponents, DRRGSettings
from scenetext.detectors.drrg.merging import merge_and_suppress
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

STEEP = 2.0
"""A text whose ends are further apart vertically than this times their horizontal distance reads downwards."""


def targets(sample: Sample, config: DRRGSettings) -> dict[str, np.ndarray]:
    """The maps and components that DRRG learns from (sections 3.2 and 3.3), at the size of the image (H, W).

    Args:
        sample: polygons in pixels of its image; parts outside the image are cut off. Not changed.
        config: shape of the centre region and of the components.

    Returns:
        text, centre: uint8, 1 inside text and around its centre line.
        valid: uint8, 0 inside ignored text and text without extent, which are not drawn.
        sin, cos: float32, direction from the bottom to the top of the text, y downwards; 0 outside the centre region.
        top, bottom: float32, distance to the line through the top and the bottom of the text; 0 outside.
        components: (n, 7) float32 x, y, height, width, cos, sin and the number of the centre region that the middle
            is in (0 = none), without jitter; n varies.
        Where texts overlap, the later one decides. Text without polygon is skipped.
    """
    size = sample.image.shape[:2]
    text, valid = np.zeros(size, np.uint8), np.ones(size, np.uint8)
    texts = []
    for instance in sample.instances:
        if instance.polygon is None:
            continue
        outline = instance.polygon.astype(np.int32)
        if instance.ignore or area_and_perimeter(outline)[0] <= 0:
            cv2.fillPoly(valid, [outline], 0)
            continue
        cv2.fillPoly(text, [outline], 1)
        texts.append(_reading_sides(instance.polygon, config))
    centre, maps = _centre_maps(texts, size, config)
    components = _components(texts, centre, maps, config.components)
    return {"text": text, "centre": centre, "valid": valid, **maps._asdict(), "components": components}


def width_rule(components: DRRGComponents, share: float) -> WidthRule:
    """How wide components are."""
    return WidthRule(share, components.least_width, components.largest_width)


def _reading_sides(polygon: np.ndarray, config: DRRGSettings) -> Sides:
    """Both sides of a text, stepped along in reading direction, without half a component at either end."""
    whole = text_sides(polygon)
    sides = in_reading_direction(step_along(whole, config.centre_step), STEEP)
    if config.as_published:
        ends = np.array([math.dist(whole[0][0], whole[1][-1]), math.dist(whole[0][-1], whole[1][0])])
    else:
        ends = np.array(end_heights(sides))
    head, tail = (width_rule(config.components, config.components.width_share).widths(ends) / 2).tolist()
    return without_ends(sides, (head, tail), config.centre_step)


def _centre_maps(
    texts: Sequence[Sides], size: tuple[int, int], config: DRRGSettings
) -> tuple[np.ndarray, GeometryMaps]:
    """The centre region (H, W) uint8, and the geometry of the piece of text that each of its pixels lies in."""
    quadrangles = [band_between(sides, config.centre_shrink) for sides in texts]
    pieces = fill_numbered(np.concatenate([np.zeros((0, 4, 2), np.int32), *quadrangles]), size)
    centre = (pieces > 0).view(np.uint8)
    pixels = np.flatnonzero(pieces > 0)
    lines = _piece_lines(texts)[:, pieces.reshape(-1)[pixels] - 1]
    y, x = np.divmod(pixels, size[1])
    values = (
        lines[1],
        lines[0],
        np.abs(lines[2] * x + lines[3] * y + lines[4]),
        np.abs(lines[5] * x + lines[6] * y + lines[7]),
    )
    return centre, GeometryMaps(*(map_of_values(size, pixels, value) for value in values))


def _piece_lines(texts: Sequence[Sides]) -> np.ndarray:
    """(8, N): for every piece of a text x and y of its upward direction, and (a, b, c) of the lines through its top and
    through its bottom: |a x + b y + c| is the distance from them. A line of no length lies across the direction."""
    if not texts:
        return np.zeros((8, 0))
    upper, upper_end, lower, lower_end = (
        np.concatenate(ends) for ends in zip(*((u[:-1], u[1:], d[:-1], d[1:]) for u, d in texts), strict=True)
    )
    up = upper + upper_end - lower - lower_end
    up /= np.hypot(up[:, 0], up[:, 1])[:, None] + 1e-8
    rows = [up.T]
    for start, end in ((upper, upper_end), (lower, lower_end)):
        normal = (end - start)[:, ::-1] * (-1, 1)
        length = np.hypot(normal[:, 0], normal[:, 1])[:, None]
        normal = np.where(length > 0, normal / np.maximum(length, 1e-8), up)
        rows += [normal.T, -(normal * start).sum(axis=1)[None]]
    return np.concatenate(rows)


def _components(texts: Sequence[Sides], centre: np.ndarray, maps: GeometryMaps, config: DRRGComponents) -> np.ndarray:
    """(n, 7) float32, see `targets`."""
    height, width = centre.shape
    lines = [((upper + lower) / 2).astype(np.int32) for upper, lower in texts]
    drawn = np.zeros_like(centre)
    cv2.polylines(drawn, lines, isClosed=False, color=1)
    y, x = np.nonzero((drawn & centre).view(bool))
    rule = width_rule(config, config.width_share)
    candidates = component_corners(maps, np.stack((x, y), axis=1), rule)
    corners, _ = merge_and_suppress(candidates, np.ones(len(candidates)), config.overlap_threshold)
    corners = corners[: config.maximum].clip(0, (width - 1, height - 1))
    attributes = component_attributes(maps, corners, rule)
    _, labels = cv2.connectedComponents(centre, connectivity=8)
    x, y = attributes[:, :2].astype(np.int64).T
    return np.column_stack((attributes, labels[y, x])).astype(np.float32)
