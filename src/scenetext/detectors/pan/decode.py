"""From the maps to polygons: kernels grow over text pixels with similarity vectors near their own (section 3.4)."""

from __future__ import annotations

import math

import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.pan.config import PANDecoding, PANSettings
from scenetext.geometry.growth import grow_labels
from scenetext.geometry.label_regions import find_regions, label_components
from scenetext.geometry.pixel_maps import logistic
from scenetext.structures import Detection

STRIDE = 4
"""Pixels of the input image per pixel of the maps."""


def decode(maps: Maps, config: PANSettings) -> list[list[Detection]]:
    """The detections of every image of a batch.

    Args:
        maps: logits "text" and "kernel", (B, h, w) each, and "embedding", (B, E, h, w); any float type, any device.
        config: its decoding settings.

    Returns:
        For every image its detections, in pixels of the (padded) input image.
    """
    texts, kernels, embeddings = (maps[name].detach().float().cpu().numpy() for name in ("text", "kernel", "embedding"))
    return [
        find_text(text, kernel, embedding, config.decoding)
        for text, kernel, embedding in zip(texts, kernels, embeddings, strict=True)
    ]


def find_text(text: np.ndarray, kernel: np.ndarray, embedding: np.ndarray, config: PANDecoding) -> list[Detection]:
    """The detections in the maps of one image.

    Args:
        text, kernel: (h, w) float32 logits.
        embedding: (E, h, w) float32.
        config: thresholds and shape.

    Returns:
        In the order of the kernels, row by row. As published, map coordinates are multiplied by the stride: a polygon
        runs through the first pixels of the outermost squares of 4 x 4.
    """
    is_text = text > _logit(config.text_threshold)
    is_kernel = (kernel > _logit(config.kernel_threshold)) & is_text
    labels = aggregate_pixels(label_components(is_kernel), is_text, embedding, config.distance_threshold)
    probability = logistic(text)
    regions = find_regions(labels, probability, config.minimum_area, config.score_threshold, config.polygon_shape)
    return [Detection(region.polygon * STRIDE, region.score) for region in regions]


def aggregate_pixels(
    kernels: np.ndarray, is_text: np.ndarray, embedding: np.ndarray, distance_threshold: float
) -> np.ndarray:
    """The pixel aggregation: kernels grow, breadth first, over text pixels whose vectors are near their mean.

    Args:
        kernels: (h, w) int32, the kernels numbered from 1, 0 elsewhere.
        is_text: (h, w) bool.
        embedding: (E, h, w) float32.
        distance_threshold: distance from the mean vector of the kernel from which on a pixel does not join it.

    Returns:
        (h, w) int32. Source: section 3.4.
    """
    numbers, vectors = kernels.reshape(-1), embedding.reshape(len(embedding), -1).T
    inside = np.flatnonzero(numbers)
    counts = np.maximum(np.bincount(numbers[inside], minlength=1), 1)
    sums = [np.bincount(numbers[inside], channel, minlength=1) for channel in vectors[inside].T]
    references = (np.stack(sums, axis=1) / counts[:, None]).astype(np.float32)

    def is_near(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
        difference = vectors[pixels] - references[labels]
        return np.einsum("ne,ne->n", difference, difference) < distance_threshold**2

    return grow_labels(kernels, [is_text], is_near)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
