"""From the kernel map to polygons: outlines, grown by the margin."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.blob.config import BlobSettings
from scenetext.geometry.offset import largest_part, offset_polygon
from scenetext.structures import Detection


def decode(maps: Maps, config: BlobSettings) -> list[list[Detection]]:
    """For every image its detections, in pixels of the input image."""
    return [_find(logits, config) for logits in maps["kernel"].detach().float().sigmoid().cpu().numpy()]


def _find(probability: np.ndarray, config: BlobSettings) -> list[Detection]:
    contours, _ = cv2.findContours((probability > 0.5).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        grown = largest_part(offset_polygon(contour[:, 0], config.margin))
        if grown is not None and cv2.contourArea(contour) > 16:
            if config.decoding.polygon_shape == "quad":
                grown = cv2.boxPoints(cv2.minAreaRect(grown.astype(np.float32)))
            inside = cv2.drawContours(np.zeros(probability.shape, np.uint8), [contour], -1, 1, cv2.FILLED)
            score = float(probability[inside.view(bool)].mean())
            found.append(Detection(grown.astype(np.float32), score))
    return found
