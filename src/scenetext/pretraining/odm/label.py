"""The destylised label of ODM: the words of an image in one plain font, stretched onto where they are.

Published labels are files, and how they were drawn is not published. These are drawn from polygons and texts when an
image is prepared, after all geometry: crisp at any scale, and there for any dataset.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from scenetext.drawing.glyphs import MISSING, has_glyph, open_font, picture
from scenetext.errors import DataError
from scenetext.geometry.polygon import polygon_area
from scenetext.geometry.sidelines import in_reading_direction, line_length, resample_line, text_sides

STROKE = 30
"""Least grey value of a stroke, from 0 to 255, as published."""
STRIPS = 12
"""Pieces that a curved word is stretched in."""
STACKED_RATIO = 1.5
"""A word whose box is higher than wide by more than this, read from a short side, has one letter below another."""
_SIZES = (16, 32, 64, 128, 256)
"""Font sizes that words are drawn at, pixels per em, before they are stretched."""
_LEAST_AREA = 1.0
_PROBE = 24


def draw_word(canvas: np.ndarray, polygon: np.ndarray, text: str, font: Path | None = None) -> bool:
    """Draws a word into its polygon, in place; where words overlap, the brighter pixel stays.

    Args:
        canvas: (H, W) uint8, light on black.
        polygon: (V, 2), pixels of the canvas, in reading order from the top left; of four corners in the other
            direction the first one counts, of more corners the sides are found (`geometry.sidelines`).
        text: at least one character, see `drawable`.
        font: file; None = Pillow's.

    Returns:
        Whether there was anything to draw: false for a polygon without area.
    """
    if not np.isfinite(polygon).all() or abs(polygon_area(polygon)) < _LEAST_AREA:
        return False
    if len(polygon) <= 4:
        corners = reading_corners(polygon)
        ink = _ink(text, font, _font_size(text_height(polygon)), _is_stacked(corners, text))
        _stretch(canvas, ink, corners, (0.0, 1.0), None)
        return True
    upper, lower = _reading_sides(polygon)
    ink = _ink(text, font, _font_size(text_height(polygon)), stacked=False)
    for strip in range(len(upper) - 1):
        corners = np.stack([upper[strip], upper[strip + 1], lower[strip + 1], lower[strip]])
        share = (strip / (len(upper) - 1), (strip + 1) / (len(upper) - 1))
        _stretch(canvas, ink, corners, share, corners)
    return True


def text_height(polygon: np.ndarray) -> float:
    """Mean distance between the upper and the lower side of a word, pixels; 0 where the polygon has no area."""
    if len(polygon) <= 4:
        corners = reading_corners(polygon)
        return float(np.linalg.norm(corners[[3, 2]] - corners[[0, 1]], axis=1).mean())
    upper, lower = _reading_sides(polygon)
    return float(np.linalg.norm(upper - lower, axis=1).mean())


def reading_corners(polygon: np.ndarray) -> np.ndarray:
    """(4, 2) float64, clockwise in the image from the first corner; a triangle has its last corner twice."""
    corners = polygon.astype(np.float64)
    if len(corners) == 3:
        corners = np.concatenate([corners, corners[2:]])
    x, y = corners.T
    area = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    return corners[[0, 3, 2, 1]] if area < 0 else corners


@cache
def drawable(character: str, font: Path | None = None) -> bool:
    """Whether a font has a character, and can draw it alone: scripts that run to the left or join letters are shaped.

    Raises:
        DataError: the font cannot be read.
    """
    is_shaped = unicodedata.bidirectional(character) in ("R", "AL") or unicodedata.combining(character) > 0
    if is_shaped or unicodedata.category(character) in ("Mn", "Mc"):
        return False
    try:
        face = open_font(font, _PROBE)
    except OSError as error:
        raise DataError(f"is no font that can be read ({error})", font) from None
    return has_glyph(face, character, picture(face, MISSING))


def _font_size(height: float) -> int:
    """The least size whose letters are not enlarged to this height; the largest there is for more."""
    return next((size for size in _SIZES if 0.7 * size >= height), _SIZES[-1])


def _is_stacked(corners: np.ndarray, text: str) -> bool:
    width, height = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0])
    return len(text) > 1 and bool(height > STACKED_RATIO * width)


def _reading_sides(polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a word in reading direction, as STRIPS + 1 points each."""
    upper, lower = in_reading_direction(text_sides(polygon), steep=2.0)
    if min(line_length(upper), line_length(lower)) == 0:
        upper, lower = lower, upper
    return resample_line(upper, STRIPS + 1), resample_line(lower, STRIPS + 1)


@lru_cache(maxsize=4096)
def _ink(text: str, font: Path | None, size: int, stacked: bool) -> np.ndarray:
    """(h, w) uint8, a word cut to its ink; letters one below another where stacked."""
    if not stacked:
        return _drawn(text, font, size)
    letters = [_drawn(letter, font, size) for letter in text]
    width, gap = max(letter.shape[1] for letter in letters), max(1, size // 8)
    column = np.zeros((sum(len(letter) + gap for letter in letters) - gap, width), dtype=np.uint8)
    top = 0
    for letter in letters:
        left = (width - letter.shape[1]) // 2
        column[top : top + len(letter), left : left + letter.shape[1]] = letter
        top += len(letter) + gap
    return column


def _drawn(text: str, font: Path | None, size: int) -> np.ndarray:
    face = open_font(font, size)
    left, top, right, bottom = (int(side) for side in face.getbbox(text))
    image = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), text, font=face, fill=255)
    pixels = np.asarray(image)
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return pixels
    return np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _stretch(
    canvas: np.ndarray,
    ink: np.ndarray,
    corners: np.ndarray,
    share: tuple[float, float],
    within: np.ndarray | None,
) -> None:
    """Draws the part of the ink between two shares of its width into a quadrangle.

    Args:
        corners: (4, 2), where the corners of that part go, from the top left, clockwise.
        within: (V, 2), pixels outside of which nothing is drawn; None = wherever the ink reaches.
    """
    height, width = canvas.shape
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)) + 1, [width, height]).astype(int).tolist()
    if left >= right or top >= bottom:
        return
    rows, columns = ink.shape
    first, last = share[0] * columns, share[1] * columns
    source = np.array([[first, 0], [last, 0], [last, rows], [first, rows]], dtype=np.float32)
    # Pixel centres are at whole numbers for OpenCV, at halves for polygons: both sides are moved by one half.
    matrix = cv2.getPerspectiveTransform(source - 0.5, (corners - [left, top]).astype(np.float32) - 0.5)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        return
    drawn = cv2.warpPerspective(ink, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    if within is not None:
        mask = np.zeros_like(drawn)
        cv2.fillConvexPoly(mask, np.rint(within - [left, top] - 0.5).astype(np.int32), 255)
        drawn = np.minimum(drawn, mask)
    region = canvas[top:bottom, left:right]
    np.maximum(region, drawn, out=region)
