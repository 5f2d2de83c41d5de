"""From kernel maps to polygons: the smallest kernels separate the texts and grow to the whole texts (section 3.3)."""

from __future__ import annotations

import math

import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.psenet.config import PSENetDecoding, PSENetSettings
from scenetext.geometry.growth import grow_labels
from scenetext.geometry.label_regions import find_regions, label_components
from scenetext.geometry.pixel_maps import logistic
from scenetext.structures import Detection

STRIDE = 4
"""Pixels of the input image per pixel of the maps."""


def decode(maps: Maps, config: PSENetSettings) -> list[list[Detection]]:
    """The detections of every image of a batch.

    Args:
        maps: logits "kernels", (B, K, h, w), any float type, any device.
        config: its decoding settings.

    Returns:
        For every image its detections, in pixels of the (padded) input image.
    """
    return [find_text(logits, config.decoding) for logits in maps["kernels"].detach().float().cpu().numpy()]


def find_text(logits: np.ndarray, config: PSENetDecoding) -> list[Detection]:
    """The detections in the maps of one image.

    Args:
        logits: (K, h, w) float32, the whole texts first.
        config: thresholds and shape.

    Returns:
        In the order of the smallest kernels, row by row. As published, map coordinates are multiplied by the stride: a
        polygon runs through the first pixels of the outermost squares of 4 x 4.
    """
    masks = logits > math.log(config.mask_threshold / (1 - config.mask_threshold))
    masks &= masks[0]
    labels = grow_kernels(label_components(masks[-1], config.minimum_kernel_area), masks, config.progressive)
    probability = logistic(logits[0])
    regions = find_regions(labels, probability, config.minimum_area, config.score_threshold, config.polygon_shape)
    return [Detection(region.polygon * STRIDE, region.score) for region in regions]


def grow_kernels(labels: np.ndarray, masks: np.ndarray, progressive: bool) -> np.ndarray:
    """The progressive scale expansion of the labelled smallest kernels.

    Args:
        labels: (h, w) int32, parts of the last mask.
        masks: (K, h, w) bool or uint8, the whole texts first.
        progressive: through all masks, or straight into the first.

    Returns:
        (h, w) int32. Source: section 3.3, algorithm 1.
    """
    return grow_labels(labels, list(masks[-2::-1] if progressive else masks[:1]))
