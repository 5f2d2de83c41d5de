"""Fonts and what is in them: opening one, and whether it can draw a character."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from PIL import ImageFont

from scenetext.errors import DataError

MISSING = "\uffff"
"""Not a character by definition, so every font draws its mark for missing ones."""


class Face(Protocol):
    """The part of a Pillow font that shape checks need."""

    def getmask(self, text: str) -> Any:
        """Coverage picture of a text, with `.size` (width, height) and the pixels as items."""


def open_font(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    """A font at a size in pixels per em.

    Args:
        path: a font file; None = Pillow's built-in one.

    Raises:
        DataError: this Pillow draws no text at a size.
        OSError: the file is no font.
    """
    if path is not None:
        return ImageFont.truetype(str(path), size)
    face = ImageFont.load_default(size)
    if not isinstance(face, ImageFont.FreeTypeFont):
        raise DataError("this Pillow was built without FreeType and cannot draw text at a size; install Pillow's wheel")
    return face


def picture(face: Face, text: str) -> bytes:
    """What a text looks like in a font: equal bytes mean equal pictures; blank pictures are empty bytes."""
    mask = face.getmask(text)
    pixels = bytes(mask)
    return bytes(mask.size[0].to_bytes(4, "big")) + pixels if any(pixels) else b""


def has_glyph(face: Face, character: str, missing: bytes) -> bool:
    """Whether a font draws ink for a character other than its mark for missing ones (`picture(face, MISSING)`)."""
    drawn = picture(face, character)
    return bool(drawn) and drawn != missing
