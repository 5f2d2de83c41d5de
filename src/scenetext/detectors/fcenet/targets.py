"""What FCENet learns from: text and centre regions and Fourier contours, on the levels that fit the size of a text."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from scenetext.detectors.fcenet.config import STRIDES, FCENetSettings
from scenetext.detectors.fcenet.fourier import fourier_signature
from scenetext.geometry.offset import area_and_perimeter
from scenetext.geometry.sidelines import Sides, band_between, end_heights, step_along, text_sides, without_ends
from scenetext.structures import Sample

END_SHARE = 0.25
"""How much of the centre line is cut off at each end, as a share of the height of the text there."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The maps of one level while they are drawn.

    Attributes:
        text, centre, valid: (h, w) uint8.
        contour: (2 (2 K + 1), h, w) float32.
    """

    stride: int
    text: np.ndarray
    centre: np.ndarray
    valid: np.ndarray
    contour: np.ndarray


def targets(sample: Sample, config: FCENetSettings) -> dict[str, np.ndarray]:
    """The maps of every level that FCENet learns from, for the strides S = 8, 16 and 32.

    A text is drawn on every level whose range its size is in (two where ranges overlap), and is background on the
    others. Text of a size in no range is ignored on all of them: its region is masked, never silently background.
    Ignored text, and text without extent, is masked on the levels of its size. Text without polygon is skipped.

    Args:
        sample: polygons in pixels of its image, cut to integers first, as published; parts outside the image are cut
            off. Not changed.
        config: degree of the contours, level ranges and shape of the centre region.

    Returns:
        text_S, centre_S: (H / S, W / S) uint8, 1 inside text and along its centre line; sizes rounded up.
        valid_S: (H / S, W / S) uint8, 0 where the text is ignored.
        contour_S: (2 (2 K + 1), H / S, W / S) float32, Fourier coefficients of the text that the pixel is in, in map
            pixels, real parts first, c_0 relative to the pixel; 0 outside of text.
        region, region_valid: (H / 8, W / 8) uint8, all text and where that is known, whatever its level.
    """
    height, width = sample.image.shape[:2]
    levels = [_empty_level(stride, height, width, config.degree) for stride in STRIDES]
    region, region_valid = np.zeros_like(levels[0].text), np.ones_like(levels[0].text)
    reference = height if config.size_reference == "height" else max(height, width)
    for instance in sample.instances:
        if instance.polygon is None:
            continue
        outline = instance.polygon.astype(np.int64)
        chosen = _levels_of_size(outline, levels, reference, config)
        signature = None
        if chosen and not instance.ignore and area_and_perimeter(outline)[0] > 0:
            signature = fourier_signature(outline, config.degree)
        if signature is None:
            for level in chosen or levels:
                cv2.fillPoly(level.valid, [_to_map(outline, level.stride)], 0)
            cv2.fillPoly(region_valid, [_to_map(outline, STRIDES[0])], 0)
            continue
        cv2.fillPoly(region, [_to_map(outline, STRIDES[0])], 1)
        sides = text_sides(outline)
        for level in chosen:
            _draw_contour(level, outline, signature)
            _draw_centre(level, sides, config)
    return _named_maps(levels, config.degree) | {"region": region, "region_valid": region_valid}


def _empty_level(stride: int, height: int, width: int, degree: int) -> Level:
    """Maps without text for an image of that size."""
    size = -(-height // stride), -(-width // stride)
    return Level(
        stride,
        text=np.zeros(size, np.uint8),
        centre=np.zeros(size, np.uint8),
        valid=np.ones(size, np.uint8),
        contour=np.zeros((2 * (2 * degree + 1), *size), np.float32),
    )


def _levels_of_size(outline: np.ndarray, levels: list[Level], reference: int, config: FCENetSettings) -> list[Level]:
    """The levels of a text by the longer side of its bounding box, pixels counted inclusively as published."""
    size = (int((outline.max(axis=0) - outline.min(axis=0)).max()) + 1) / reference
    return [level for level, (low, high) in zip(levels, config.level_ranges, strict=True) if low < size < high]


def _to_map(outline: np.ndarray, stride: int) -> np.ndarray:
    """The outline in map pixels, cut to integers, (V, 2) int32."""
    return (outline / stride).astype(np.int32)


def _draw_contour(level: Level, outline: np.ndarray, signature: np.ndarray) -> None:
    """Fills a text into the region, and its coefficients, still absolute, into the contour maps."""
    drawn = _to_map(outline, level.stride)
    height, width = level.text.shape
    left, top = np.maximum(drawn.min(axis=0), 0).tolist()
    right, bottom = np.minimum(drawn.max(axis=0) + 1, (width, height)).tolist()
    if left >= right or top >= bottom:
        return
    # Only the bounding box is drawn.
    inside = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(inside, [drawn - np.array((left, top), np.int32)], 1)
    level.text[top:bottom, left:right] |= inside
    coefficients = np.concatenate((signature.real, signature.imag)) / level.stride
    np.copyto(
        level.contour[:, top:bottom, left:right],
        coefficients[:, None, None],
        where=inside.view(bool),
        casting="same_kind",
    )


def _draw_centre(level: Level, sides: Sides, config: FCENetSettings) -> None:
    """Fills the band around the centre line of a text, from one pair of its points to the next."""
    stepped = step_along((sides[0] / level.stride, sides[1] / level.stride), config.centre_step)
    head, tail = end_heights(stepped)
    shortened = without_ends(stepped, (head * END_SHARE, tail * END_SHARE), config.centre_step)
    for box in band_between(shortened, config.centre_shrink):
        cv2.fillPoly(level.centre, [box], 1)


def _named_maps(levels: list[Level], degree: int) -> dict[str, np.ndarray]:
    """The finished maps: what was drawn, with c_0 made relative to the pixel."""
    maps = {}
    for level in levels:
        height, width = level.text.shape
        level.contour[degree] -= level.text * np.arange(width, dtype=np.float32)
        level.contour[3 * degree + 1] -= level.text * np.arange(height, dtype=np.float32)[:, None]
        maps[f"text_{level.stride}"] = level.text
        maps[f"centre_{level.stride}"] = level.centre
        maps[f"valid_{level.stride}"] = level.valid
        maps[f"contour_{level.stride}"] = level.contour
    return maps
