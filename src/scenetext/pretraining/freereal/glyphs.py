"""Inter-domain mixing: letters of a glyph layer on an image, readable there (GlyphMix, A^G in the paper).

The paper finds letters by clustering the pixels of a box; a layer of scenetext's generator knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from scenetext.data.transforms.contrast import PLAIN_COLORS, choose_lettering, lightness, measure_ground
from scenetext.pretraining.freereal.pseudo_labels import after_cover
from scenetext.structures import Sample, TextInstance

_PAINTS = np.asarray(PLAIN_COLORS, dtype=np.float32)
_LIGHT = np.ones(3, dtype=np.float32)


def paste_glyphs(
    sample: Sample,
    layer: np.ndarray,
    words: Sequence[TextInstance],
    contrast: float,
    covered: float,
    generator: np.random.Generator,
) -> tuple[Sample, tuple[TextInstance, ...]]:
    """An image with the letters of a layer over it, and their words over its texts.

    Args:
        sample: the image, with its pseudo labels.
        layer: (H, W, 4) uint8 of the same size: colours, and how much of every pixel is letters.
        words: of the layer.
        contrast: least difference of L* to what a word covers; see `FreeRealSettings.contrast_minimum`.
        covered: largest share of a text that may be covered; see `after_cover`.

    Returns:
        The mixed sample, and the words that were pasted, which are among its instances.
    """
    layer = layer.copy()
    pasted = tuple(word for word in words if make_readable(layer, word, sample.image, contrast, generator))
    covers = [word.polygon for word in pasted if word.polygon is not None]
    own = [part for instance in sample.instances for part in after_cover(instance, covers, covered)]
    return replace(sample, image=blend(sample.image, layer), instances=(*own, *pasted)), pasted


def blend(image: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the colours of a layer (H, W, 4) over an image, by its coverage."""
    share = layer[..., 3:].astype(np.float32) / np.float32(255)
    below = image.astype(np.float32)
    return np.rint(below + share * (layer[..., :3] - below)).astype(np.uint8)


def make_readable(
    layer: np.ndarray, word: TextInstance, image: np.ndarray, contrast: float, generator: np.random.Generator
) -> bool:
    """Whether a word can be read where it is to lie; changes its colour in the layer, or removes it, where not.

    An ignored word, which is no label, is left as it is.

    Args:
        layer: (H, W, 4) uint8, changed in place.
        image: (H, W, 3) uint8, what it is to lie on.
    """
    if word.polygon is None or word.ignore:
        return word.polygon is not None
    window, region = _region(word.polygon, layer.shape[:2])
    part = layer[window]
    cover = np.where(region, part[..., 3], 0)
    if not cover.any():
        return False
    ink = 2 * cover.astype(np.int64) >= cover.max()
    below = image[window][region]
    difference = lightness(part[ink][:, :3]).mean() - lightness(below).mean()
    if abs(difference) >= contrast:
        return True
    paint = choose_lettering(measure_ground(below), _PAINTS, _LIGHT, contrast, generator)
    if paint is None:
        part[..., 3][region] = 0
        return False
    part[..., :3][region] = np.rint(paint).astype(np.uint8)
    return True


def _region(polygon: np.ndarray, size: tuple[int, ...]) -> tuple[tuple[slice, slice], np.ndarray]:
    """The rows and columns around a polygon, and which pixels there are inside it or touch it."""
    left, top = np.clip(np.floor(polygon.min(axis=0)).astype(int), 0, [size[1] - 1, size[0] - 1]).tolist()
    right, bottom = np.clip(np.ceil(polygon.max(axis=0)).astype(int), [left + 1, top + 1], size[1::-1]).tolist()
    inside = np.zeros((bottom - top, right - left), dtype=np.uint8)
    cv2.fillPoly(inside, [np.rint(polygon - [left, top] - 0.5).astype(np.int32)], 1)
    return (slice(top, bottom), slice(left, right)), inside.astype(bool)
