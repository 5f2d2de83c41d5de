"""From the probability map to polygons: contours, simplified, scored and grown back (section 3.5, inference)."""

from __future__ import annotations

import math

import cv2
import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.dbnet.config import BinarizationSettings, DBNetDecoding
from scenetext.geometry.candidates import keep_best
from scenetext.geometry.offset import area_and_perimeter, largest_part, offset_polygon
from scenetext.geometry.pixel_maps import logistic
from scenetext.structures import Detection


def decode(maps: Maps, config: BinarizationSettings) -> list[list[Detection]]:
    """The detections of every image of a batch; only the probability map is used, as in the paper.

    Args:
        maps: logits "probability", (B, H, W), any float type, any device.
        config: its decoding settings.

    Returns:
        For every image its detections, in pixels of the (padded) input image.
    """
    return [find_text(logits, config.decoding) for logits in maps["probability"].detach().float().cpu().numpy()]


def find_text(logits: np.ndarray, config: DBNetDecoding) -> list[Detection]:
    """The detections in one map.

    Args:
        logits: (H, W) float32, of the probability of text; never turned into probabilities as a whole.
        config: thresholds and shape.

    Returns:
        In the order of OpenCV's contours, from the bottom upwards. Contours of holes are candidates as well; of more
        candidates than `maximum_candidates` the largest stay, where the published code takes those at the bottom.
        Polygons are in pixels of the map and may reach outside of it.
    """
    mask_threshold = math.log(config.mask_threshold / (1 - config.mask_threshold))
    mask = (logits > mask_threshold).view(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    candidates = [contour for contour in contours if len(contour) >= 4]
    if len(candidates) > config.maximum_candidates:
        areas = np.array([cv2.contourArea(contour) for contour in candidates])
        candidates = [candidates[index] for index in keep_best(areas, config.maximum_candidates)]
    detections = []
    for contour in candidates:
        outline = _simplify(contour, config.epsilon_ratio)
        if outline is None:
            continue
        score = _mean_probability(logits, outline)
        if not score >= config.score_threshold:
            continue
        polygon = _grow(outline, config)
        if polygon is not None:
            detections.append(Detection(polygon, score))
    return detections


def _simplify(contour: np.ndarray, epsilon_ratio: float) -> np.ndarray | None:
    """The contour, (n, 1, 2) int32, with fewer vertices, (V, 2) int32; None with fewer than four of them."""
    outline = cv2.approxPolyDP(contour, epsilon_ratio * cv2.arcLength(contour, True), True)
    return outline[:, 0] if len(outline) >= 4 else None


def _mean_probability(logits: np.ndarray, outline: np.ndarray) -> float:
    """Mean probability of the pixels inside an outline, its border included; within the bounding box."""
    left, top, width, height = cv2.boundingRect(outline)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [outline - np.array((left, top), np.int32)], 1)
    inside_logits = logits[top : top + height, left : left + width][inside.view(bool)]
    return float(logistic(inside_logits).mean())


def _grow(outline: np.ndarray, config: DBNetDecoding) -> np.ndarray | None:
    """The outline grown to the size of the text, (V, 2) float32; None where it is too thin or has no extent."""
    area, perimeter = area_and_perimeter(outline)
    grown = largest_part(offset_polygon(outline, area * config.unclip_ratio / perimeter))
    if grown is None:
        return None
    if config.polygon_shape == "polygon":
        return grown.astype(np.float32) if len(grown) >= 4 else None
    rectangle = cv2.minAreaRect(grown.astype(np.int32))
    return cv2.boxPoints(rectangle) if min(rectangle[1]) >= config.minimum_width else None
