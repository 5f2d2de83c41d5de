"""From masks to polygons, and from readings to words."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from scenetext.contracts import Maps
from scenetext.geometry.pixel_maps import logistic
from scenetext.geometry.stretched_masks import stretch_mask
from scenetext.recognition.recognizer import Reading
from scenetext.spotters.mask_textspotter.characters import read_maps
from scenetext.spotters.mask_textspotter.config import DecodingSettings, MaskTextSpotterSettings
from scenetext.structures import Detection
from scenetext.text.charset import CharacterSet

_BLUR = (3, 3), 3.0
"""Side and standard deviation of the filter that smooths masks."""
_SQUARE = np.ones((3, 3), np.uint8)


def decode(maps: Maps, config: MaskTextSpotterSettings) -> list[list[Detection]]:
    """The texts of every image of a batch.

    Args:
        maps: what the stages give in evaluation, any float type, any device.
        config: its decoding settings and alphabet.

    Returns:
        For every image its texts, best first, in pixels of the (padded) input image.
    """
    names = ["valid", "box", "text", "logits", *config.recognizer.outputs]
    names += ["characters"] if "masks.characters" in maps else []
    arrays = {name: maps[f"masks.{name}"].detach().float().cpu().numpy() for name in names}
    return [
        find_texts({name: value[index][valid] for name, value in arrays.items()}, config)
        for index, valid in enumerate(arrays["valid"] > 0)
    ]


def find_texts(places: Mapping[str, np.ndarray], config: MaskTextSpotterSettings) -> list[Detection]:
    """The texts of one image.

    Args:
        places: box (P, 4), text (P,), logits (P, S, S), outputs of the recogniser (P, ...), and perhaps characters (P,
            C + 1, S, S), as the stages give them.
    """
    decoding, alphabet, recognizer = config.decoding, config.characters, config.recognizer
    scores = logistic(places["text"])
    found, reading_scores = [], []
    for index in np.argsort(-scores, kind="stable"):
        mask = logistic(places["logits"][index])
        polygon = mask_polygon(mask, places["box"][index], decoding)
        if polygon is None:
            continue
        read = recognizer.read({name: places[name][index] for name in recognizer.outputs})
        if "characters" in places:
            seen = read_maps(_softmax(places["characters"][index]), config, _direction(mask > decoding.mask_threshold))
            if seen.score < decoding.least_character_score:
                continue
        else:
            seen = Reading.nothing(len(alphabet))
        if read.score < decoding.least_reading_score:
            continue
        found.append(_text(polygon, float(scores[index]), read if read.score >= seen.score else seen, alphabet))
        reading_scores.append(read.score)
    deciding = reading_scores if decoding.overlap_score == "reading" else [one.score for one in found]
    kept = suppress_common_hulls([one.polygon for one in found], deciding, decoding.overlap_threshold)
    return [found[index] for index in kept]


def mask_polygon(mask: np.ndarray, box: np.ndarray, settings: DecodingSettings) -> np.ndarray | None:
    """The outline of a mask, (V, 2) float32 pixels of the image; None where it has no extent.

    The mask is smoothed, and opened and closed by a pixel, in the whole pixels of its box.

    Args:
        mask: (S, S) probabilities.
        box: (4,), pixels.
        settings: threshold and shape.
    """
    whole = np.concatenate((np.floor(box[:2]), np.floor(box[2:])))
    if (whole[2:] - whole[:2] < 1).any():
        return None
    stretched, corner = stretch_mask(mask, whole)
    smooth = (cv2.GaussianBlur(stretched.astype(np.float32), *_BLUR) > settings.mask_threshold).view(np.uint8)
    opened = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, _SQUARE)
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _SQUARE)
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    if settings.polygon_shape == "quad":
        rectangle = cv2.minAreaRect(np.concatenate(contours))
        outline = cv2.boxPoints(rectangle) if min(rectangle[1]) > 0 else np.zeros((0, 2))
    else:
        largest = max(contours, key=cv2.contourArea)
        outline = cv2.approxPolyDP(largest, settings.epsilon_ratio * cv2.arcLength(largest, True), True)[:, 0]
    return (outline + corner).astype(np.float32) if len(outline) >= 3 else None


def suppress_common_hulls(polygons: list[np.ndarray], scores: list[float], threshold: float) -> list[int]:
    """Indices of the polygons that stay, in rising order.

    Of two that share more than a part of their common hull, the one of lower score goes; of equals the smaller one.
    What has gone removes no other.

    Args:
        polygons: (V, 2) float32 each; their convex hulls count.
        scores: one each.
        threshold: area that both have in common, divided by that of the hull of both.
    """
    hulls = [cv2.convexHull(polygon) for polygon in polygons]
    areas = [cv2.contourArea(hull) for hull in hulls]
    gone: set[int] = set()
    for first in range(len(hulls)):
        for second in range(first + 1, len(hulls)):
            if first in gone:
                break
            if second in gone or not _boxes_meet(hulls[first], hulls[second]):
                continue
            common, _ = cv2.intersectConvexConvex(hulls[first], hulls[second])
            both = cv2.contourArea(cv2.convexHull(np.concatenate((hulls[first], hulls[second]))))
            if common > threshold * both:
                gone.add(min(first, second, key=lambda index: (scores[index], areas[index])))
    return [index for index in range(len(hulls)) if index not in gone]


def _boxes_meet(first: np.ndarray, second: np.ndarray) -> bool:
    return bool((first.min(axis=0) < second.max(axis=0)).all() and (second.min(axis=0) < first.max(axis=0)).all())


def _text(polygon: np.ndarray, score: float, reading: Reading, alphabet: CharacterSet) -> Detection:
    word = "".join(alphabet.decode(identity) for identity in reading.ids)
    return Detection(polygon, score, word, reading.score, reading.probabilities)


def _direction(mask: np.ndarray) -> np.ndarray:
    """(2,), along the long sides of a mask's rectangle, to the right or, where it stands upright, down."""
    points = cv2.findNonZero(mask.astype(np.uint8))
    if points is None:
        return np.array((1.0, 0.0))
    corners = cv2.boxPoints(cv2.minAreaRect(points))
    sides = np.diff(corners[:3], axis=0)
    along = max(sides, key=lambda side: float(np.linalg.norm(side)))
    return along if along[int(np.abs(along).argmax())] >= 0 else -along


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Over the first axis."""
    shifted = np.exp(logits - logits.max(axis=0))
    return shifted / shifted.sum(axis=0)
