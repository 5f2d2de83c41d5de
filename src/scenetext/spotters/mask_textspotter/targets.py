"""What Mask TextSpotter learns from: text kernels, and for every text its box, its polygon, and what it says."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scenetext.geometry.offset import largest_part, offset_polygon, shrink_distance
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.proposals import stack_polygons
from scenetext.structures import Sample, TextInstance
from scenetext.text.charset import CharacterSet

TEXT, IGNORED = 1, 2
"""Kinds of texts; 0 = none, which the collation adds."""
UNKNOWN_CHARACTER = -1
"""Id of an annotated character that the alphabet does not have."""
LEAST_SIDE = 1.0
"""Texts whose box is narrower or lower, in pixels of the image, are ignored."""


def targets(sample: Sample, config: MaskTextSpotterSettings) -> dict[str, np.ndarray]:
    """The kernels of an image and its texts. Text without polygon is skipped, and so is what is not in the image.

    Args:
        sample: polygons in pixels of its image. Not changed.
        config: kernels, alphabet and number of steps.

    Returns:
        kernels, kernels_valid: (H, W) uint8, 1 in the text kernels, and 0 where text is ignored (section 3.1).
        boxes: (N, 4) float32, whole polygons' bounds, cut at the last pixel of the image.
        polygons: (N, VERTICES, 2) float32, not cut.
        kinds: (N,) uint8, `TEXT` or `IGNORED`.
        text_ids: (N, L) int64, padded with 0, and text_length: (N,) int64, 0 where the text is not known, or cannot be
            read: empty, too long or with other characters than the alphabet's.
        character_quads: (N, L', 4, 2) float32, and character_ids: (N, L') int64, 0 = none, `UNKNOWN_CHARACTER`; where
            characters are annotated.
    """
    height, width = sample.image.shape[:2]
    polygons = [(one.polygon, one.ignore) for one in sample.instances if one.polygon is not None]
    kernels, valid = kernel_maps(polygons, (height, width), config)
    boxes, kinds, kept = [], [], []
    for instance in sample.instances:
        box = _box(instance, height, width)
        if box is None:
            continue
        small = bool((box[2:] - box[:2]).min() < LEAST_SIDE)
        boxes.append(box)
        kinds.append(IGNORED if instance.ignore or small else TEXT)
        kept.append(instance)
    alphabet, readable = config.characters, config.readable
    texts = [[] if one.ignore else readable.ids(one.text) or [] for one in kept]
    quads, characters = _characters(kept, config, alphabet)
    return {
        "kernels": kernels,
        "kernels_valid": valid,
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "polygons": stack_polygons([one.polygon for one in kept if one.polygon is not None]),
        "kinds": np.array(kinds, np.uint8),
        "text_ids": _padded(texts),
        "text_length": np.array([len(ids) for ids in texts], np.int64),
        "character_quads": quads,
        "character_ids": characters,
    }


def kernel_maps(
    texts: Sequence[tuple[np.ndarray, bool]], size: tuple[int, int], config: MaskTextSpotterSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Where the kernels of texts are, and where that is known, (H, W) uint8 each.

    Kernels are drawn whole; what is ignored is taken out of what is known, over the kernels of others, too.

    Args:
        texts: polygons (V, 2) in pixels, and whether they are ignored.
        size: (H, W).
    """
    kernels, valid = np.zeros(size, np.uint8), np.ones(size, np.uint8)
    for polygon, ignore in texts:
        whole = polygon.astype(np.int32)
        distance = shrink_distance(polygon, config.proposals.shrink_ratio)
        if config.published and (len(polygon) < 4 or not np.any(polygon - polygon[0])):
            continue
        shrinks = not ignore and (config.published or distance > 0)
        parts = offset_polygon(polygon, -distance) if shrinks else []
        kernel = largest_part(parts[:1] if config.published else parts)
        if kernel is None:
            cv2.fillPoly(valid, [whole], 0)
        else:
            cv2.fillPoly(kernels, [kernel.astype(np.int32)], 1)
    return kernels, valid


def _box(instance: TextInstance, height: int, width: int) -> np.ndarray | None:
    """(4,), the part of the bounds in the image; None outside of it."""
    if instance.polygon is None:
        return None
    low, high = instance.polygon.min(axis=0), instance.polygon.max(axis=0)
    if (high <= 0).any() or (low >= (width, height)).any():
        return None
    last = (width - 1, height - 1)
    return np.concatenate((np.clip(low, 0, last), np.clip(high, 0, last)))


def _characters(
    instances: Sequence[TextInstance], config: MaskTextSpotterSettings, alphabet: CharacterSet
) -> tuple[np.ndarray, np.ndarray]:
    """Quadrangles (N, L, 4, 2) and ids (N, L) of annotated characters."""
    ids: list[list[int]] = []
    for one in instances:
        named = "" if one.characters is None or one.text is None or one.ignore else "".join(one.text.split())
        found = [alphabet.known_ids(character, config.fold_case) for character in named]
        ids.append([UNKNOWN_CHARACTER if each is None else each[0] for each in found])
    padded = _padded(ids)
    quads = np.zeros((*padded.shape, 4, 2), np.float32)
    for row, one, each in zip(quads, instances, ids, strict=True):
        if each:
            row[: len(each)] = one.characters
    return quads, padded


def _padded(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """(N, L) int64, padded with 0; L is at least 1."""
    padded = np.zeros((len(lists), max(map(len, lists), default=0) or 1), np.int64)
    for row, each in zip(padded, lists, strict=True):
        row[: len(each)] = each
    return padded
