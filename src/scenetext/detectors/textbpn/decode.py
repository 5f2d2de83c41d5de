"""From refined boundaries to detections."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.textbpn.config import BoundaryDecoding, BoundarySettings
from scenetext.structures import Detection


def decode(maps: Maps, config: BoundarySettings) -> list[list[Detection]]:
    """The detections of every image of a batch: boundaries after the last refinement (section 3.5).

    Args:
        maps: what head and stage give, any float type, any device.
        config: its decoding settings.

    Returns:
        For every image its detections, in whole pixels of the (padded) input image, clockwise on the screen.
        Boundaries without extent are dropped, and those that are not finite.
    """
    refined = maps["boundary.refined"][:, :, -1].detach().float().cpu().numpy()
    valid, scores = maps["boundary.valid"].cpu().numpy(), maps["boundary.score"].float().cpu().numpy()
    return [
        _detections(points[chosen], score[chosen], config.decoding)
        for points, score, chosen in zip(refined, scores, valid, strict=True)
    ]


def _detections(boundaries: np.ndarray, scores: np.ndarray, config: BoundaryDecoding) -> list[Detection]:
    """Boundaries (P, 20, 2) with their scores (P,)."""
    polygons = [_shape(boundary, config) for boundary in boundaries]
    return [
        Detection(polygon, min(float(score), 1.0))
        for polygon, score in zip(polygons, scores, strict=True)
        if polygon is not None
    ]


def _shape(boundary: np.ndarray, config: BoundaryDecoding) -> np.ndarray | None:
    """The polygon of a boundary (20, 2) that runs counter-clockwise, or its rectangle; None if it is too thin."""
    if not np.isfinite(boundary).all():
        return None
    points = boundary.astype(np.int32)
    if config.polygon_shape == "polygon":
        return points[::-1].astype(np.float32) if (points.max(axis=0) > points.min(axis=0)).all() else None
    rectangle = cv2.minAreaRect(points)
    return cv2.boxPoints(rectangle) if min(rectangle[1]) > config.minimum_side else None
