"""Many pictures on one: a grid of equal tiles with titles."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scenetext.drawing.canvas import BLACK, new_canvas, put_text, text_size
from scenetext.errors import DataError

GAP = 8
"""White pixels between tiles and around the sheet."""
TITLE_HEIGHT = 14
"""Letter size of the titles in pixels."""


def sheet(
    images: Sequence[np.ndarray], titles: Sequence[str] | None = None, columns: int = 4, tile_width: int = 320
) -> np.ndarray:
    """A grid of pictures, row by row; each keeps its aspect, and all tiles are as high as the highest needs.

    Args:
        images: (H, W, 3) uint8 RGB each, of any sizes.
        titles: one line per picture, written above it and cut to the width of the tile.
        columns: tiles in a row (fewer where there are fewer pictures).
        tile_width: pixels. A tile is at most one and a half times as high; taller pictures get narrower instead.

    Returns:
        (H, W, 3) uint8 RGB on white.

    Raises:
        DataError: no pictures, a wrong array, not one title per picture, or no room (columns, tile_width < 1).
    """
    if not images or columns < 1 or tile_width < 1:
        raise DataError(f"a sheet needs pictures and room: {len(images)} images, {columns} columns of {tile_width} px")
    if titles is not None and len(titles) != len(images):
        raise DataError(f"{len(titles)} titles for {len(images)} pictures; give one per picture, or none at all")
    tallest = max(1, round(1.5 * tile_width))
    tiles = [_fit(image, tile_width, tallest) for image in images]
    title_space = 0 if titles is None else text_size("Ag", TITLE_HEIGHT)[1]
    cell_height, cell_width = max(tile.shape[0] for tile in tiles) + title_space + GAP, tile_width + GAP
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    canvas = np.full((rows * cell_height + GAP, columns * cell_width + GAP, 3), 255, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = GAP + row * cell_height, GAP + column * cell_width
        if titles is not None:
            title = _shorten(titles[index], tile_width)
            put_text(canvas, title, (left, top), TITLE_HEIGHT, BLACK, None)
        left += (tile_width - tile.shape[1]) // 2
        canvas[top + title_space : top + title_space + tile.shape[0], left : left + tile.shape[1]] = tile
    return canvas


def _fit(image: np.ndarray, width: int, tallest: int) -> np.ndarray:
    """The picture scaled to `width`, or to the height `tallest` where that is the narrower limit."""
    image = new_canvas(image)
    scale = min(width / image.shape[1], tallest / image.shape[0])
    size = (max(1, min(width, round(image.shape[1] * scale))), max(1, min(tallest, round(image.shape[0] * scale))))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _shorten(title: str, width: int) -> str:
    """The title, cut and ended with dots where it is wider than `width` pixels."""
    if text_size(title, TITLE_HEIGHT)[0] <= width:
        return title
    while title and text_size(title + "...", TITLE_HEIGHT)[0] > width:
        title = title[:-1]
    return title + "..."
