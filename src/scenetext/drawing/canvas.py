"""What every drawing starts from: a checked copy of the image, line widths that fit its size, and lettering."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scenetext.errors import DataError

Color = tuple[int, int, int]
"""Red, green, blue in 0..255."""

_WITHOUT_LETTER = "\uffff"
"""No character, by definition of Unicode; fonts draw their empty box for it."""

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)


def new_canvas(image: np.ndarray) -> np.ndarray:
    """A copy of an image, (H, W, 3) uint8 RGB, to draw on.

    Raises:
        DataError: another shape or type, or no pixels.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise DataError(
            f"cannot draw on an array {image.shape} {image.dtype}; expected (H, W, 3) uint8 RGB with pixels"
        )
    return np.array(image, order="C")


def line_thickness(image: np.ndarray) -> int:
    """Line width in pixels that stays visible when an image (H, W, ...) is shown at screen size."""
    return max(1, round(max(image.shape[:2]) / 600))


def letter_height(image: np.ndarray) -> int:
    """Letter size in pixels that stays legible when an image (H, W, ...) is shown at screen size."""
    return max(10, round(max(image.shape[:2]) / 70))


def text_size(text: str, height: int) -> tuple[int, int]:
    """(width, height) in pixels of the box that `put_text` fills."""
    mask = _render(text, height)
    return mask.shape[1], mask.shape[0]


def put_text(
    canvas: np.ndarray,
    text: str,
    position: tuple[float, float],
    height: int,
    color: Color = WHITE,
    background: Color | None = BLACK,
) -> None:
    """Writes one line on `canvas` (H, W, 3) uint8, in place, moved where needed so that it stays inside the image.

    Args:
        position: (x, y) pixels of the top-left corner of the text's box.
        height: letter size in pixels.
        background: colour of the box; None = the image shows between the letters.
    """
    mask = _render(text, height)
    x = int(np.clip(round(position[0]), 0, max(0, canvas.shape[1] - mask.shape[1])))
    y = int(np.clip(round(position[1]), 0, max(0, canvas.shape[0] - mask.shape[0])))
    patch = canvas[y : y + mask.shape[0], x : x + mask.shape[1]]
    if background is not None:
        patch[:] = background
    cover = mask[: patch.shape[0], : patch.shape[1], None].astype(np.float32) / 255.0
    patch[:] = np.rint(patch * (1.0 - cover) + np.asarray(color, dtype=np.float32) * cover).astype(np.uint8)


def _render(text: str, height: int) -> np.ndarray:
    """Coverage (h, w) uint8 of one line with a margin."""
    text = "".join(map(_drawable, " ".join(text.split())))
    font = ImageFont.load_default(size=height)
    left, _, right, _ = font.getbbox(text)
    margin = max(1, height // 5)
    size = (int(np.ceil(right - left)) + 2 * margin, round(height * 1.2) + 2 * margin)
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).text((margin - left, margin), text, fill=255, font=font)
    return np.asarray(mask)


@cache
def _drawable(character: str) -> str:
    """The character, or its code point where the font has no letter for it and would draw an empty box (U+4E2D)."""
    font = ImageFont.load_default(size=16)
    missing = font.getmask(_WITHOUT_LETTER)
    found = font.getmask(character)
    unknown = found.size == missing.size and bytes(found) == bytes(missing)
    return f"U+{ord(character):04X}" if unknown else character
