"""Fonts to write with: where they are, which characters they have, which have pictures instead of letters.

Pillow alone is used. It does not show a font's character map, so a missing character is recognised by its picture: it
is drawn as the font's mark for missing characters, or not at all.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFont

from scenetext.drawing.glyphs import MISSING, Face, has_glyph, open_font, picture
from scenetext.errors import DataError

SUFFIXES = {".ttf", ".otf", ".ttc"}
SYMBOL_NAMES = re.compile(r"symbol|dingbat|wingding|webding|emoji|icon|awesome|barcode|music|lastresort|braille", re.I)
"""Names of fonts with pictures instead of letters."""
LETTER_PAIRS = ("cC", "oO", "sS", "vV", "wW", "xX", "zZ")
"""Letters whose small and capital forms have one shape in nearly every Latin font, and in no symbol font."""
SHAPE_SIDE = 16
LEAST_LIKENESS = 0.42
"""Compared with the median over the pairs: 0.5 to 0.9 in Latin fonts (lowest: thin italics), 0.25 among symbols."""
PROBE_SIZE = 24
CACHED_FACES = 256


def system_font_folders() -> tuple[Path, ...]:
    """The standard font folders of this operating system that exist."""
    home = Path.home()
    if sys.platform == "win32":
        folders = [
            Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts"),
            home / "AppData/Local/Microsoft/Windows/Fonts",
        ]
    elif sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    else:
        shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        own = os.environ.get("XDG_DATA_HOME") or str(home / ".local/share")
        folders = [Path(folder, "fonts") for folder in (*shared.split(":"), own) if folder] + [home / ".fonts"]
    return tuple(folder for folder in dict.fromkeys(folders) if folder.is_dir())


def find_fonts(folders: Sequence[Path]) -> tuple[Path, ...]:
    """All font files below the folders, sorted by path, each once."""
    found = {
        path.resolve()
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    }
    return tuple(sorted(found))


@dataclass(frozen=True)
class FontSearch:
    """What a search for fonts found.

    Attributes:
        fonts: the usable ones.
        skipped: (path, reason) of every file that is no font to write words with.
    """

    fonts: FontLibrary
    skipped: tuple[tuple[Path, str], ...]


def load_fonts(folder: Path | None = None) -> FontSearch:
    """The fonts of a folder, or the system's; Pillow's built-in one where the system has none.

    Raises:
        DataError: the named folder does not exist or holds no usable font.
    """
    if folder is not None and not folder.is_dir():
        raise DataError("the font folder does not exist", folder)
    usable: list[Path | None] = []
    skipped = []
    for path in find_fonts(system_font_folders() if folder is None else [folder]):
        reason = _reason_to_skip(path)
        if reason is None:
            usable.append(path)
        else:
            skipped.append((path, reason))
    if not usable and folder is not None:
        reasons = "".join(f"\n  {path.name}: {reason}" for path, reason in skipped[:5])
        raise DataError(
            f"the folder holds no usable font ({len(skipped)} .ttf/.otf/.ttc files unusable){reasons}", folder
        )
    return FontSearch(FontLibrary(usable or [None]), tuple(skipped))


class FontLibrary:
    """Fonts by number, opened when needed; knows which characters each has.

    Cheap to send to another process: opened fonts are not sent.

    Args:
        paths: font files; None stands for Pillow's built-in font.
    """

    def __init__(self, paths: Sequence[Path | None]) -> None:
        if not paths:
            raise DataError("a font library needs at least one font; None stands for Pillow's built-in one")
        self.paths = tuple(paths)
        self._faces: dict[tuple[int, int], ImageFont.FreeTypeFont] = {}
        self._missing: dict[int, bytes] = {}
        self._coverage: dict[tuple[int, str], bool] = {}
        self._heights: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_faces": {}}

    def name(self, number: int) -> str:
        """File name of a font, for people."""
        path = self.paths[number]
        return "Pillow's built-in font" if path is None else path.name

    def face(self, number: int, size: int) -> ImageFont.FreeTypeFont:
        """A font at a size in pixels per em."""
        key = (number, size)
        face = self._faces.get(key)
        if face is None:
            if len(self._faces) >= CACHED_FACES:
                del self._faces[next(iter(self._faces))]
            face = self._faces[key] = open_font(self.paths[number], size)
        return face

    def line_height(self, number: int) -> float:
        """Height of the ink of "Hg", as a share of the font size."""
        if number not in self._heights:
            _, top, _, bottom = self.face(number, 4 * PROBE_SIZE).getbbox("Hg", anchor="ls")
            self._heights[number] = max(0.3, (bottom - top) / (4 * PROBE_SIZE))
        return self._heights[number]

    def supports(self, number: int, text: str) -> bool:
        """Whether a font has a glyph with ink for every character of a text."""
        return all(self._has(number, character) for character in text)

    def _has(self, number: int, character: str) -> bool:
        key = (number, character)
        known = self._coverage.get(key)
        if known is None:
            face = self.face(number, PROBE_SIZE)
            if number not in self._missing:
                self._missing[number] = picture(face, MISSING)
            known = self._coverage[key] = has_glyph(face, character, self._missing[number])
        return known


def is_symbol_font(face: Face) -> bool:
    """Whether a font has pictures where Latin letters belong; fonts of other scripts, without Latin, pass."""
    missing = picture(face, MISSING)
    pairs = [pair for pair in LETTER_PAIRS if all(has_glyph(face, letter, missing) for letter in pair)]
    if not pairs:
        return False
    likeness = [_likeness(_shape(face, pair[0]), _shape(face, pair[1])) for pair in pairs]
    different = {picture(face, pair[0]) for pair in pairs}
    return float(np.median(likeness)) < LEAST_LIKENESS or len(different) < len(pairs)


def _reason_to_skip(path: Path) -> str | None:
    if SYMBOL_NAMES.search(path.stem):
        return "a symbol font, by its name"
    try:
        face = open_font(path, PROBE_SIZE)
        if SYMBOL_NAMES.search(" ".join(filter(None, face.getname()))):
            return "a symbol font, by its name"
        if is_symbol_font(face):
            return "a symbol font, by the shape of its letters"
    except (OSError, ValueError, SyntaxError) as error:
        return f"cannot be read ({error})"
    return None


def _shape(face: Face, letter: str) -> np.ndarray:
    """The ink of a letter, cut out and scaled to a square of SHAPE_SIDE pixels, (n, n) float64 in [0, 1]."""
    mask = face.getmask(letter)
    pixels = np.frombuffer(bytes(mask), dtype=np.uint8).reshape(mask.size[1], mask.size[0])
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    ink = Image.fromarray(np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))
    return np.asarray(ink.resize((SHAPE_SIDE, SHAPE_SIDE), Image.Resampling.BILINEAR), dtype=np.float64) / 255


def _likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Shared ink over all ink, in [0, 1]."""
    return float(np.minimum(first, second).sum() / max(np.maximum(first, second).sum(), 1e-9))
