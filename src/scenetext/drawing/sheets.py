"""Many pictures on one: a grid of equal tiles with titles, and a legend of their colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scenetext.drawing.canvas import BLACK, Color, new_canvas, put_text, text_size
from scenetext.errors import DataError

GAP = 8
"""White pixels between tiles and around the sheet."""
TITLE_HEIGHT = 14
"""Letter size of the titles in pixels."""
_LEGEND_HEIGHT = 16
"""Letter size of the legend in pixels."""
_LEGEND_GAP = 12


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


def add_legend(picture: np.ndarray, entries: Sequence[tuple[str, Color]]) -> np.ndarray:
    """The picture with a strip below it: a patch of every colour and its meaning, in as many lines as they need.

    Args:
        picture: (H, W, 3) uint8 RGB.
        entries: meaning and colour.

    Returns:
        (H', W, 3) uint8 RGB, H' > H.
    """
    line = text_size("Ag", _LEGEND_HEIGHT)[1]
    positions, left, row = [], _LEGEND_GAP, 0
    for text, _ in entries:
        needed = line + text_size(text, _LEGEND_HEIGHT)[0]
        if left > _LEGEND_GAP and left + needed > picture.shape[1]:
            left, row = _LEGEND_GAP, row + 1
        positions.append((left, row * line))
        left += needed + _LEGEND_GAP
    strip = np.full(((row + 1) * line, picture.shape[1], 3), 255, dtype=np.uint8)
    for (text, color), (x, y) in zip(entries, positions, strict=True):
        strip[y + 4 : y + line - 4, x : x + line - 8] = color
        put_text(strip, text, (x + line - 4, y), _LEGEND_HEIGHT, BLACK, None)
    return np.concatenate([picture, strip])


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
