"""What PAN learns from: the texts, numbered, and their kernels (section 3.4)."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.detectors.pan.config import PANSettings
from scenetext.geometry.offset import shrink_to_kernels
from scenetext.structures import Sample


def targets(sample: Sample, config: PANSettings) -> dict[str, np.ndarray]:
    """The three maps that PAN learns from; H and W are those of the sample's image.

    Ignored text and text whose kernel vanishes is excluded, and its region is marked as invalid. Text without polygon
    is skipped. Where texts overlap, the last one is drawn over the others.

    Args:
        sample: polygons in pixels of its image; parts outside the image are cut off. Not changed.
        config: ratio of the kernels.

    Returns:
        text: (H, W) int32, the texts numbered from 1; 0 elsewhere.
        kernel: (H, W) uint8, 1 in the kernels.
        valid: (H, W) uint8, 0 where the text is ignored.
    """
    height, width = sample.image.shape[:2]
    text = np.zeros((height, width), np.int32)
    kernel = np.zeros((height, width), np.uint8)
    valid = np.ones((height, width), np.uint8)
    ratios = (1.0, config.shrink_ratio)
    number = 0
    for instance in sample.instances:
        polygon = instance.polygon
        if polygon is None:
            continue
        shapes = None if instance.ignore else shrink_to_kernels(polygon, ratios, config.maximum_shrink)
        if shapes is None:
            cv2.fillPoly(valid, [polygon.astype(np.int32)], 0)
            continue
        number += 1
        cv2.fillPoly(text, [shapes[0]], number)
        cv2.fillPoly(kernel, [shapes[1]], 1)
    return {"text": text, "kernel": kernel, "valid": valid}
