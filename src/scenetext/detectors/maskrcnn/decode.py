"""From masks to polygons: every mask is stretched to its box, and its contour is the text."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.maskrcnn.config import MaskRCNNDecoding, MaskRCNNSettings
from scenetext.geometry.candidates import count_cut
from scenetext.geometry.pixel_maps import logistic
from scenetext.geometry.stretched_masks import stretch_mask
from scenetext.structures import Detection


def decode(maps: Maps, config: MaskRCNNSettings) -> list[list[Detection]]:
    """The detections of every image of a batch.

    Args:
        maps: what the stages give, any float type, any device.
        config: its decoding settings.

    Returns:
        For every image its detections, in pixels of the (padded) input image.
    """
    names = ("valid", "box", "text", "logits")
    arrays = [maps[f"masks.{name}"].detach().float().cpu().numpy() for name in names]
    return [
        find_text(box[valid > 0], logistic(text[valid > 0]), logistic(logits[valid > 0, 0]), config.decoding)
        for valid, box, text, logits in zip(*arrays, strict=True)
    ]


def find_text(boxes: np.ndarray, scores: np.ndarray, masks: np.ndarray, config: MaskRCNNDecoding) -> list[Detection]:
    """The detections of one image, best first.

    Args:
        boxes: (N, 4) float32, pixels.
        scores: (N,), of the boxes; their polygons have the same.
        masks: (N, 28, 28) probabilities.
        config: threshold, contours and shape.

    Returns:
        Polygons through the middles of their outermost pixels. Masks without a pixel or an extent are dropped.
    """
    found = []
    for index in np.argsort(-scores, kind="stable"):
        mask, corner = paste_mask(masks[index], boxes[index], config.mask_threshold)
        for contour in _contours(mask, config):
            polygon = np.asarray(contour + corner, np.float32)
            if config.polygon_shape == "quad":
                polygon = np.asarray(cv2.boxPoints(cv2.minAreaRect(polygon)), np.float32)
            found.append(Detection(polygon, float(scores[index])))
    return found


def paste_mask(mask: np.ndarray, box: np.ndarray, threshold: float) -> tuple[np.ndarray, tuple[int, int]]:
    """A mask, stretched to the pixels of its box: (h, w) uint8, 1 = text, and the (x, y) of the first; `stretch_mask`.

    With zeros around the mask no pixel whose middle lies outside the box is text, at thresholds of a half and more.
    """
    stretched, corner = stretch_mask(mask, box)
    return (stretched >= threshold).astype(np.uint8), corner


def _contours(mask: np.ndarray, config: MaskRCNNDecoding) -> list[np.ndarray]:
    """Contours of a mask that bound an area, (V, 2) int32 each."""
    if config.contours == "all":
        found, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        return [contour[:, 0] for contour in found if len(contour) >= 3]
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    pieces = [contour for contour in found if cv2.contourArea(contour) > 0]
    count_cut(len(pieces) - 1)
    return [max(pieces, key=cv2.contourArea)[:, 0]] if pieces else []
