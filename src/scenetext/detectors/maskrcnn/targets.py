"""What Mask R-CNN learns from: the box of every text, and the text as a picture in it."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.detectors.maskrcnn.config import MaskRCNNSettings
from scenetext.geometry.polygon import clip_polygon
from scenetext.structures import Sample

TEXT, IGNORED = 1, 2
"""Kinds of boxes; 0 = none, which the collation adds."""
CROP_SIZE = 112
"""Pixels of a side of the picture of a text, stretched to its box; four times a mask's."""
REGION_STRIDE = 4
LEAST_SIDE = 1.0
"""Texts whose box is narrower or lower, in pixels, are ignored."""
_FRACTION_BITS = 8
"""Binary places of the coordinates that OpenCV draws."""


def targets(sample: Sample, config: MaskRCNNSettings) -> dict[str, np.ndarray]:
    """The texts of an image. Text without polygon is skipped, and so is what is not in the image.

    Args:
        sample: polygons in pixels of its image; parts outside the image are cut off. Not changed.
        config: not used.

    Returns:
        boxes: (N, 4) float32, (left, top, right, bottom) in pixels of the image, which they do not leave.
        kinds: (N,) uint8, `TEXT`, or `IGNORED` for what is to be ignored or too small to be learnt from.
        crops: (N, 1, 112, 112) uint8, 1 = text, of the box stretched to that size.
        region, region_valid: (H / 4, W / 4) uint8, where text is, and where that is known; sizes rounded up.
    """
    height, width = sample.image.shape[:2]
    region = np.zeros((-(-height // REGION_STRIDE), -(-width // REGION_STRIDE)), np.uint8)
    region_valid = np.ones_like(region)
    boxes, kinds, crops = [], [], []
    for instance in sample.instances:
        outline = None if instance.polygon is None else _visible(instance.polygon, height, width)
        if outline is None:
            continue
        box = np.concatenate((outline.min(axis=0), outline.max(axis=0)))
        ignored = instance.ignore or bool((box[2:] - box[:2]).min() < LEAST_SIDE)
        cv2.fillPoly(
            region_valid if ignored else region, [(outline / REGION_STRIDE).astype(np.int32)], int(not ignored)
        )
        boxes.append(box)
        kinds.append(IGNORED if ignored else TEXT)
        crops.append(np.zeros((CROP_SIZE, CROP_SIZE), np.uint8) if ignored else _picture(outline, box))
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "kinds": np.array(kinds, np.uint8),
        "crops": np.array(crops, np.uint8).reshape(-1, 1, CROP_SIZE, CROP_SIZE),
        "region": region,
        "region_valid": region_valid,
    }


def _visible(polygon: np.ndarray, height: int, width: int) -> np.ndarray | None:
    """The part of a polygon in the image, (V, 2) float32; None where it has no extent there."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if (low < 0).any() or (high > (width, height)).any():
        return clip_polygon(polygon, width, height)
    return polygon if (high > low).all() else None


def _picture(outline: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The outline (V, 2), filled, in its box stretched to `CROP_SIZE`, by the rule of even and odd."""
    points = (outline - box[:2]) / (box[2:] - box[:2]) * CROP_SIZE - 0.5  # OpenCV's pixels are points at integers
    picture = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    fixed = np.round(points * (1 << _FRACTION_BITS)).astype(np.int32)
    return np.asarray(cv2.fillPoly(picture, [fixed], 1, shift=_FRACTION_BITS))
