"""Named arrays over the pixels of an image (targets, head outputs) as pictures, for any detector."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from scenetext.drawing.canvas import line_thickness
from scenetext.drawing.heatmaps import colorize
from scenetext.errors import DataError

LABELS_FROM = 2
"""Whole numbers above 1 are labels; 0 and 1 alone are a mask."""
MOST_CHANNELS = 8
"""Channels of one array that are drawn."""
MOST_CROPS = 36
"""Crops of one array that are drawn."""
IMAGE_SHARE = 0.2
"""Weight of the image under a map, in [0, 1]."""
OUTLINE_COLOUR = (255, 210, 0)
_LARGEST_STRIDE = 64
"""Image pixels per map pixel; what is coarser is no map."""


def map_panels(arrays: Mapping[str, np.ndarray], image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """A titled picture of every map, blended with the image.

    Whole numbers are drawn as masks or as labels in distinct colours (0 is black, below 0 is grey), real ones as heat
    maps whose range the title gives. Maps of a lower resolution are enlarged pixel by pixel, so that their stride can
    be seen. Of arrays with many channels the first are drawn, and the title says of how many.

    Args:
        arrays: by name, (h, w) or (C, h, w) each, of any numeric type; others (lists of points, say) get no picture.
        image: (H, W, 3) uint8 RGB, what the maps are about; the pictures have its size.

    Raises:
        DataError: values that are not finite; the message names the array.
    """
    height, width = image.shape[:2]
    panels = []
    for name, array in arrays.items():
        if array.ndim not in (2, 3) or not array.size:
            continue
        channels = array[None] if array.ndim == 2 else array
        for index, channel in enumerate(channels[:MOST_CHANNELS]):
            title = name if array.ndim == 2 else f"{name} {index + 1} of {len(channels)}"
            picture, remark = _picture(name, channel)
            stretched = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
            blended = cv2.addWeighted(stretched, 1 - IMAGE_SHARE, image, IMAGE_SHARE, 0)
            panels.append((f"{title}: {remark}", np.asarray(blended)))
    return panels


def crop_panels(arrays: Mapping[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """A titled picture of every array of crops (targets of single texts, what was seen at boxes): the crops in a grid.

    Args:
        arrays: by name, (N, C, h, w) each, of whose channels the first is drawn; others, and N = 0, get no picture.

    Raises:
        DataError: values that are not finite; the message names the array.
    """
    panels = []
    for name, array in arrays.items():
        if not is_crops(array.shape) or not array.size:
            continue
        shown = array[:MOST_CROPS, 0]
        columns = int(np.ceil(np.sqrt(len(shown))))
        rows = -(-len(shown) // columns)
        margins = ((0, rows * columns - len(shown)), (1, 1), (1, 1))
        tiles = np.pad(shown, margins, constant_values=shown.min())
        height, width = tiles.shape[1:]
        grid = tiles.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
        picture, remark = _picture(name, grid)
        panels.append((f"{name}, {len(shown)} of {len(array)}: {remark}", picture))
    return panels


def is_crops(shape: tuple[int, ...]) -> bool:
    """Whether an array holds small pictures, (N, C, h, w)."""
    return len(shape) == 4 and not is_outlines(shape)


def outline_panels(arrays: Mapping[str, np.ndarray], image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """A titled picture of every array of outlines, drawn on the image; one for each of their steps, where they have.

    Args:
        arrays: by name, (N, V, 2) or (N, steps, V, 2) each, (x, y) in pixels of the image; others get no picture.
            Outlines without extent, as rows that pad a batch, are not drawn.
        image: (H, W, 3) uint8 RGB.
    """
    panels = []
    for name, array in arrays.items():
        if not is_outlines(array.shape):
            continue
        steps = array[:, None] if array.ndim == 3 else array
        for number in range(steps.shape[1]):
            outlines = [each for each in steps[:, number] if np.isfinite(each).all() and np.ptp(each, axis=0).any()]
            picture = (image * IMAGE_SHARE).astype(np.uint8)
            points = [np.round(outline).astype(np.int32) for outline in outlines]
            cv2.polylines(picture, points, True, OUTLINE_COLOUR, line_thickness(image))
            title = name if array.ndim == 3 else f"{name} {number + 1} of {steps.shape[1]}"
            panels.append((f"{title}: {len(outlines)} outlines", picture))
    return panels


def is_outlines(shape: tuple[int, ...]) -> bool:
    """Whether an array holds outlines of three or more points, (N, V, 2) or (N, steps, V, 2)."""
    return len(shape) in (3, 4) and shape[-1] == 2 and shape[-2] >= 3


def is_map(shape: tuple[int, ...], image_size: tuple[int, ...]) -> bool:
    """Whether an array covers an image of (H, W) pixels: (h, w) or (C, h, w) at one stride, and no list of points."""
    if len(shape) not in (2, 3) or 0 in shape:
        return False
    stride = max(1, round(image_size[0] / shape[-2]))
    covered = all(abs(cells * stride - side) <= stride for cells, side in zip(shape[-2:], image_size, strict=True))
    return covered and stride <= _LARGEST_STRIDE


def colorize_labels(labels: np.ndarray) -> np.ndarray:
    """Labels (h, w) of whole numbers in colours that differ from one number to the next, (h, w, 3) uint8 RGB.

    0 is black and below 0 is grey. Hues are a golden angle apart, so neighbouring numbers are never alike.
    """
    hue = (labels.astype(np.int64) * 111) % 180
    colours = np.stack([hue, np.full_like(hue, 200), np.where(labels > 0, 255, 0)], axis=-1).astype(np.uint8)
    picture = np.asarray(cv2.cvtColor(colours, cv2.COLOR_HSV2RGB))
    picture[labels < 0] = 110
    return picture


def _picture(name: str, values: np.ndarray) -> tuple[np.ndarray, str]:
    """(h, w, 3) uint8 RGB, and what it shows in a word."""
    if not np.isfinite(values).all():
        raise DataError(f"{name} has values that are not finite")
    low, high = values.min(), values.max()
    if np.issubdtype(values.dtype, np.floating):
        return colorize(values), f"{low:.3g} to {high:.3g}"
    if high >= LABELS_FROM or low < 0:
        return colorize_labels(values), f"{len(np.unique(values[values > 0]))} labels"
    return np.repeat((values > 0)[..., None].astype(np.uint8) * 255, 3, axis=2), f"mask, {(values > 0).mean():.1%}"
