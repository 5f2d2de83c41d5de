"""What PSENet learns from: in how many of the kernels every pixel lies (section 3.4)."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.detectors.psenet.config import PSENetSettings
from scenetext.geometry.offset import shrink_to_kernels
from scenetext.structures import Sample


def targets(sample: Sample, config: PSENetSettings) -> dict[str, np.ndarray]:
    """The two maps that PSENet learns from; H and W are those of the sample's image.

    A kernel lies inside the larger ones, so one map of levels says what the published stack of a map per kernel says
    (but for single pixels where the rounded outline of a kernel leaves that of a larger one), at a seventh of the size.

    Ignored text and text too small to have all kernels is excluded, and its region is marked as invalid. Text without
    polygon is skipped.

    Args:
        sample: polygons in pixels of its image; parts outside the image are cut off. Not changed.
        config: ratios of the kernels.

    Returns:
        level: (H, W) uint8, how many kernels hold the pixel: 0 outside of text, up to the number of kernels.
        valid: (H, W) uint8, 0 where the text is ignored.
    """
    height, width = sample.image.shape[:2]
    level = np.zeros((height, width), np.uint8)
    valid = np.ones((height, width), np.uint8)
    texts = []
    for instance in sample.instances:
        polygon = instance.polygon
        if polygon is None:
            continue
        kernels = None if instance.ignore else shrink_to_kernels(polygon, config.shrink_ratios, config.maximum_shrink)
        if kernels is None:
            cv2.fillPoly(valid, [polygon.astype(np.int32)], 0)
        else:
            texts.append(kernels)
    for index in range(len(config.shrink_ratios)):
        for kernels in texts:
            cv2.fillPoly(level, [kernels[index]], index + 1)
    return {"level": level, "valid": valid}
