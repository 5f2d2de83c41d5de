"""Lines of text as coverage masks on a flat plane, with the box of the ink of every word and character."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scenetext.scenes.fonts import FontLibrary

SMALLEST_FACE = 6
"""Font size in pixels below which fonts draw no recognisable letters; smaller text is drawn larger and scaled down."""
FINE_BELOW = 40.0
"""Font sizes in flat pixels below this are drawn at twice their size, so that hinting to whole pixels does not show."""
INK_THRESHOLD = 40
"""Coverage (of 255) from which a pixel counts as ink when word boxes are measured."""
PAD = 3
"""Empty mask pixels around a word, so that interpolation fades to nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """Words of one line and their font size in flat pixels."""

    words: tuple[str, ...]
    size: float


@dataclass(frozen=True, slots=True)
class TextBlock:
    """The words of a sign and how they are typeset.

    Attributes:
        lines: from top to bottom.
        font: number in the font library.
        stretch: horizontal stretch of the letters.
        spacing: extra space between letters, share of the font size.
        word_gap: space between words, share of the font size.
        leading: distance of lines, share of the line height.
        align: 0 = left, 0.5 = centred, 1 = right.
        outline: width of the outline, share of the font size; 0 = none.
        margin: space between ink and word box, share of the line height.
    """

    lines: tuple[Line, ...]
    font: int
    stretch: float = 1.0
    spacing: float = 0.0
    word_gap: float = 0.35
    leading: float = 1.3
    align: float = 0.5
    outline: float = 0.0
    margin: float = 0.04

    def scaled(self, factor: float) -> TextBlock:
        """The same sign with all sizes multiplied."""
        lines = tuple(Line(line.words, line.size * factor) for line in self.lines)
        return TextBlock(
            lines,
            self.font,
            self.stretch,
            self.spacing,
            self.word_gap,
            self.leading,
            self.align,
            self.outline,
            self.margin,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Lettering:
    """A rasterised text block. Flat coordinates have their origin at the middle of the masks.

    Attributes:
        masks: (h, w, 1 or 2) uint8 coverage: letters, then letters with their outline where there is one.
        scale: mask pixels per flat pixel.
        texts: the words.
        boxes: (len(texts), 4) float64, flat (left, top, right, bottom) of the ink, outline and margin included.
        characters: for every word (len(word), 4) float64, the same of each of its characters: as high as its ink, as
            wide as it advances; None where letters may be shaped by their neighbours (all but ASCII).
    """

    masks: np.ndarray
    scale: float
    texts: tuple[str, ...]
    boxes: np.ndarray
    characters: tuple[np.ndarray | None, ...]

    def extent(self) -> np.ndarray:
        """(4,) flat box around all words."""
        return np.concatenate([self.boxes[:, :2].min(axis=0), self.boxes[:, 2:].max(axis=0)])


@dataclass(frozen=True, slots=True, eq=False)
class _Word:
    """Masks (h, w, c) of one word; `box` is its ink, `characters` that of each, `baseline` a row; in mask pixels."""

    text: str
    masks: np.ndarray
    box: tuple[int, int, int, int]
    baseline: int
    characters: np.ndarray | None


def rasterise(block: TextBlock, fonts: FontLibrary) -> Lettering:
    """Draws a text block; see `Lettering`."""
    line_height = fonts.line_height(block.font)
    smallest = min(line.size for line in block.lines)
    scale = max(2.0 if smallest < FINE_BELOW else 1.0, SMALLEST_FACE / smallest)
    lines = []
    for line in block.lines:
        face = fonts.face(block.font, max(1, round(line.size * scale)))
        lines.append([_draw_word(word, face, block) for word in line.words])
    corners_of_words, size = _arrange(lines, block, line_height * scale, scale)
    channels = 2 if block.outline else 1
    masks = np.zeros((size[1], size[0], channels), dtype=np.uint8)
    boxes: list[np.ndarray] = []
    characters: list[np.ndarray | None] = []
    words = [word for line in lines for word in line]
    margins = [_margin(block, line_height, line.size) for line in block.lines for _ in line.words]
    for word, (left, top), margin in zip(words, corners_of_words, margins, strict=True):
        height, width = word.masks.shape[:2]
        target = masks[top : top + height, left : left + width]
        np.maximum(target, word.masks, out=target)
        origin = np.array([left, top, left, top]) - np.tile(size, 2) / 2
        boxes.append((word.box + origin) / scale + np.array([-margin, -margin, margin, margin]))
        characters.append(None if word.characters is None else (word.characters + origin) / scale)
    return Lettering(masks, scale, tuple(word.text for word in words), np.array(boxes), tuple(characters))


def _arrange(
    lines: list[list[_Word]], block: TextBlock, height: float, scale: float
) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """(left, top) of every word's masks, and (width, height) of the whole, in mask pixels.

    Args:
        height: line height of a font of size 1 flat pixel, in mask pixels.
    """
    gap_share = block.stretch * (block.word_gap + 2 * max(0.0, block.spacing))
    gaps = [gap_share * line.size * scale for line in block.lines]
    widths = [
        sum(word.box[2] - word.box[0] for word in line) + gap * (len(line) - 1)
        for line, gap in zip(lines, gaps, strict=True)
    ]
    full = max(widths)
    positions: list[tuple[float, float]] = []
    baselines = _baselines(lines, block, height, scale)
    for line, gap, width, baseline in zip(lines, gaps, widths, baselines, strict=True):
        left = (full - width) * block.align
        for word in line:
            positions.append((left - word.box[0], baseline - word.baseline))
            left += word.box[2] - word.box[0] + gap
    words = [word for line in lines for word in line]
    lefts, tops = zip(*positions, strict=True)
    shift = (min(lefts), min(tops))
    whole = [(round(left - shift[0]), round(top - shift[1])) for left, top in positions]
    right = max(left + word.masks.shape[1] for (left, _), word in zip(whole, words, strict=True))
    bottom = max(top + word.masks.shape[0] for (_, top), word in zip(whole, words, strict=True))
    return whole, (right, bottom)


def _baselines(lines: list[list[_Word]], block: TextBlock, height: float, scale: float) -> list[float]:
    """Vertical position of every line in mask pixels, from 0; ink that reaches far up or down pushes lines apart."""
    baselines = [0.0]
    for upper, lower, above, below in zip(lines, lines[1:], block.lines, block.lines[1:], strict=False):
        regular = block.leading * height * (0.25 * above.size + 0.75 * below.size)
        descent = max(word.box[3] - word.baseline for word in upper)
        ascent = max(word.baseline - word.box[1] for word in lower)
        clearance = 0.08 * height * max(above.size, below.size) + scale * _margin(block, height / scale, above.size)
        clearance += scale * _margin(block, height / scale, below.size)
        baselines.append(baselines[-1] + max(regular, descent + ascent + clearance))
    return baselines


def _margin(block: TextBlock, line_height: float, size: float) -> float:
    """Flat pixels between the ink and the box of a word."""
    return block.margin * line_height * size + 0.5


def _draw_word(word: str, face: ImageFont.FreeTypeFont, block: TextBlock) -> _Word:
    stroke = max(1, round(block.outline * face.size)) if block.outline else 0
    pieces = _spaced(word, face, block.spacing)
    left, top, right, bottom = face.getbbox(word, anchor="ls", stroke_width=stroke)
    pad = PAD + stroke
    origin = pad - int(np.floor(left))
    baseline = pad - int(np.floor(top))
    width = max(int(np.ceil(right)), pieces[-1][1] + int(np.ceil(face.getlength(pieces[-1][0])))) + origin + 2 * pad
    size = (width, int(np.ceil(bottom)) + baseline + pad)
    layers = []
    for stroke_width in (0, stroke) if stroke else (0,):
        layer = Image.new("L", size)
        draw = ImageDraw.Draw(layer)
        for text, offset in pieces:
            draw.text((origin + offset, baseline), text, 255, face, anchor="ls", stroke_width=stroke_width)
        layers.append(np.asarray(layer))
    masks = np.stack(layers, axis=-1)
    characters = _character_boxes(word, pieces, face, stroke)
    if characters is not None:
        characters += np.array([origin, baseline, origin, baseline])
    if block.stretch != 1:
        stretched = max(1, round(masks.shape[1] * block.stretch))
        if characters is not None:
            characters[:, ::2] *= stretched / masks.shape[1]
        interpolation = cv2.INTER_AREA if block.stretch < 1 else cv2.INTER_LINEAR
        masks = cv2.resize(masks, (stretched, masks.shape[0]), interpolation=interpolation)
        masks = masks.reshape(masks.shape[0], masks.shape[1], -1)
    x, y, ink_width, ink_height = cv2.boundingRect((masks[..., -1] > INK_THRESHOLD).astype(np.uint8))
    return _Word(word, masks, (x, y, x + max(1, ink_width), y + max(1, ink_height)), baseline, characters)


def _character_boxes(
    word: str, pieces: list[tuple[str, int]], face: ImageFont.FreeTypeFont, stroke: int
) -> np.ndarray | None:
    """(len(word), 4) float64 of every character, from the start of the baseline; None where it may be shaped."""
    if not word.isascii():
        return None
    lefts = [float(offset) for _, offset in pieces]
    if len(pieces) < len(word):  # drawn as a whole: kerning moves a character against the one before it
        lefts = [face.getlength(word[: end + 1]) - face.getlength(word[end]) for end in range(len(word))]
    cells = [face.getbbox(character, anchor="ls", stroke_width=stroke) for character in word]
    return np.array([np.add(cell, (left, 0, left, 0)) for cell, left in zip(cells, lefts, strict=True)])


def _spaced(word: str, face: ImageFont.FreeTypeFont, spacing: float) -> list[tuple[str, int]]:
    """Pieces to draw with their horizontal offsets in pixels; words that may need shaping stay in one piece."""
    if not spacing or not word.isascii() or len(word) == 1:
        return [(word, 0)]
    pieces = []
    offset = 0.0
    for character in word:
        pieces.append((character, round(offset)))
        offset += face.getlength(character) + spacing * face.size
    return pieces
