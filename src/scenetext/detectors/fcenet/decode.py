"""From maps to polygons: candidates above a threshold, their contours, and the best of those that overlap."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.fcenet.config import STRIDES, FCENetDecoding, FCENetSettings
from scenetext.detectors.fcenet.fourier import contour_matrix
from scenetext.geometry.candidates import keep_best
from scenetext.geometry.pixel_maps import logistic
from scenetext.geometry.suppression import suppress_overlapping
from scenetext.structures import Detection

LevelMaps = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Logits of text and of centre, (h, w) float32 each, and contours (2 (2 K + 1), h, w) float32, of one level."""


def decode(maps: Maps, config: FCENetSettings) -> list[list[Detection]]:
    """The detections of every image of a batch.

    Args:
        maps: what the head gives, any float type, any device.
        config: its decoding settings.

    Returns:
        For every image its detections, in pixels of the (padded) input image.
    """
    levels = [
        [maps[f"{name}_{stride}"].detach().float().cpu().numpy() for name in ("text", "centre", "contour")]
        for stride in STRIDES
    ]
    images = zip(*(zip(*level, strict=True) for level in levels), strict=True)
    return [find_text(image, config.decoding) for image in images]


def find_text(levels: Sequence[LevelMaps], config: FCENetDecoding) -> list[Detection]:
    """The detections in the maps of one image, best first.

    As published, contours compete within a connected region, then within a level, then all together, and have integer
    coordinates when they do. Contours without extent are dropped.

    Args:
        levels: at strides 8, 16 and 32.
        config: exponents, thresholds and shape.

    Returns:
        Polygons of `points` vertices, or rectangles, in pixels of the input image; may reach outside of it.
    """
    candidates = [_candidates(*maps, stride, config) for maps, stride in zip(levels, STRIDES, strict=True)]
    level = np.repeat(np.arange(len(candidates)), [len(scores) for _, scores, _ in candidates])
    polygons, scores, component = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    if not len(scores):
        return []
    # Components are numbered from 1 on every level; this makes the pair (component, level) one number.
    kept = suppress_overlapping(polygons, scores, config.overlap_threshold, component * len(candidates) + level)
    kept = kept[suppress_overlapping(polygons[kept], scores[kept], config.overlap_threshold, level[kept])]
    polygons, scores = polygons[kept].astype(np.float32), scores[kept]
    if config.polygon_shape == "quad":
        polygons = np.stack([np.trunc(cv2.boxPoints(cv2.minAreaRect(polygon))) for polygon in polygons])
    kept = suppress_overlapping(polygons, scores, config.overlap_threshold)
    return [Detection(polygons[index], float(scores[index])) for index in kept]


def _candidates(
    text: np.ndarray, centre: np.ndarray, contour: np.ndarray, stride: int, config: FCENetDecoding
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The contours at all pixels of one level whose score is above the threshold, or that are enclosed by such pixels.

    Returns:
        Polygons (N, points, 2) int32 in input pixels, their scores (N,), and the component that each is in (N,).
    """
    score = logistic(text) ** config.text_exponent * logistic(centre) ** config.centre_exponent
    _, components = cv2.connectedComponents(_fill_holes(score > config.score_threshold), connectivity=8)
    y, x = np.nonzero(components)
    best = keep_best(score[y, x], config.maximum_candidates)
    y, x = y[best], x[best]
    coefficients = contour[:, y, x].astype(np.float64)
    degree = len(coefficients) // 4
    # c_0, the centre, is stored relative to its pixel: its real part is row K, its imaginary part row 3 K + 1.
    coefficients[degree] += x
    coefficients[3 * degree + 1] += y
    points = (stride * coefficients).T @ contour_matrix(degree, config.points)
    polygons = np.stack((points[:, : config.points], points[:, config.points :]), axis=2).astype(np.int32)
    extended = (polygons.max(axis=1) > polygons.min(axis=1)).all(axis=1)
    return polygons[extended], score[y, x][extended], components[y, x][extended]


def _fill_holes(mask: np.ndarray) -> np.ndarray:
    """The mask (h, w) as uint8, with everything that it encloses; diagonal neighbours close a ring."""
    padded = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    outside = 2
    cv2.floodFill(padded, None, (0, 0), outside)
    return (padded[1:-1, 1:-1] != outside).view(np.uint8)
