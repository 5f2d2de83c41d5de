"""Character maps: what is learnt from annotated characters, and what is read from the maps (section 3.4)."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.recognition.recognizer import Reading
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.targets import UNKNOWN_CHARACTER

NOT_KNOWN = -1
"""Pixels of a character map of which nothing is known."""


def character_target(quads: np.ndarray, ids: np.ndarray, box: np.ndarray, size: int, shrink: float) -> np.ndarray:
    """The characters of a text as a map, drawn in reading order.

    Args:
        quads: (L, 4, 2), pixels of the image.
        ids: (L,) int64, 0 = none.
        box: (4,), the part of the image that the map shows.
        size: of the map.
        shrink: share of the shorter side at each corner by which it moves inwards, in pixels of the map.

    Returns:
        (size, size) int64: 0 = background, ids, and `NOT_KNOWN` of everything where no character is annotated, and of
        the characters that have no id.
    """
    annotated = ids != 0
    if not annotated.any():
        return np.full((size, size), NOT_KNOWN, np.int64)
    drawn = np.zeros((size, size), np.int16)
    extent = np.maximum(box[2:] - box[:2], 1e-6)
    for quad, identity in zip(quads[annotated], ids[annotated].tolist(), strict=True):
        inner = shrunk_quad((quad - box[:2]) / extent * size, shrink)
        value = NOT_KNOWN if identity == UNKNOWN_CHARACTER else identity
        cv2.fillPoly(drawn, [np.clip(inner, -(1 << 14), 1 << 14).astype(np.int32)], value)
    return drawn.astype(np.int64)


def shrunk_quad(quad: np.ndarray, share: float) -> np.ndarray:
    """A quadrangle (4, 2) whose corners have moved inwards along both sides at them by a share of the shorter one.

    The longer pair of opposite sides is shortened first, then the other. Source: EAST (CVPR 2017), section 3.3.1.
    """
    quad = quad.astype(np.float64)
    lengths = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    reach = share * np.minimum(lengths, np.roll(lengths, 1))
    first = 0 if lengths[0] + lengths[2] > lengths[1] + lengths[3] else 1
    for start in (first, first + 2, 1 - first, 3 - first):
        stop = (start + 1) % 4
        along = quad[stop] - quad[start]
        along = along / max(float(np.linalg.norm(along)), 1e-9)
        quad[start] += reach[start] * along
        quad[stop] -= reach[stop] * along
    return quad


def read_maps(probabilities: np.ndarray, config: MaskTextSpotterSettings, along: np.ndarray) -> Reading:
    """The reading of one region; its score is the mean of the probabilities of its characters.

    Args:
        probabilities: (C + 1, h, w) float32, background first.
        config: threshold, and whether it is done as published.
        along: (2,), the direction of the text in the maps; not used as published.
    """
    mode = cv2.RETR_LIST if config.published else cv2.RETR_EXTERNAL
    if config.published:
        mask = 255 - (255 * probabilities[0]).astype(np.uint8) > 192
    else:
        mask = 1 - probabilities[0] > config.decoding.character_threshold
    contours, _ = cv2.findContours(mask.view(np.uint8), mode, cv2.CHAIN_APPROX_SIMPLE)
    places, means = [], []
    for contour in contours:
        left, top, width, height = cv2.boundingRect(contour)
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour], 0, 1, -1, offset=(-left, -top))
        means.append(probabilities[1:, top : top + height, left : left + width][:, inside > 0].mean(axis=1))
        middle = np.array((left + width / 2, top + height / 2))
        places.append(middle[0] if config.published else middle @ along)
    if not means:
        return Reading.nothing(len(probabilities) - 1)
    ordered = np.stack(means)[np.argsort(places, kind="stable")].astype(np.float32)
    ids = (ordered.argmax(axis=1) + 1).tolist()
    return Reading(tuple(ids), float(ordered.max(axis=1).mean()), ordered)
