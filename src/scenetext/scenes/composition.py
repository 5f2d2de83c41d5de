"""Paints boards and letters into a picture: warped, with its light and sharpness, and with their shadows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from scenetext.scenes import textures
from scenetext.scenes.backgrounds import Background
from scenetext.scenes.boards import BoardPlan
from scenetext.scenes.lettering import Lettering
from scenetext.scenes.warps import Warp, box_outline, pixel_box

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in whole pixels."""
LEAST_PAINT = 0.45
"""Share of the paint that stays where it is most worn, so that words can still be read."""
OUTLINE_POINTS = 24
"""Points per side of the outline that bounds a warped mask; many, since arcs bulge between them."""


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """Attributes:
    offset: (x, y) pixels.
    sigma: softness, pixels; 0 = a hard, drawn shadow.
    strength: 0 to 1.
    color: (3,) float32 paint.
    """  # fmt: skip

    offset: tuple[float, float]
    sigma: float
    strength: float
    color: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class LetterStyle:
    """How letters are painted. Colours are (3,) float32 paints in 0..255.

    Attributes:
        color: of the letters.
        gradient: share by which the letters are lighter at the top than at the bottom.
        outline: colour of the outline, for lettering that has one.
        shadow: below the letters.
        relief: share of the ground's own texture that shows in the paint.
        opacity: of the paint.
        wear: share of the paint that has come off.
    """

    color: np.ndarray
    gradient: float = 0.0
    outline: np.ndarray | None = None
    shadow: Shadow | None = None
    relief: float = 0.0
    opacity: float = 1.0
    wear: float = 0.0


class Picture:
    """A scene in the making; starts as its background.

    Attributes:
        image: (H, W, 3) float32, 0..255, changed in place.
        coverage: (H, W) float32 in [0, 1], changed in place: share of every pixel that is paint of letters, outlines
            included, boards and shadows not.
        background: light, exposure and softness that everything added has to match.
    """

    def __init__(self, background: Background) -> None:
        self.background = background
        self.image = background.image.copy()
        self.coverage = np.zeros(self.size, dtype=np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.shape[0], self.image.shape[1]

    def paint_board(self, pixels: np.ndarray, plan: BoardPlan, scale: float, warp: Warp, shadow: Shadow) -> None:
        """Adds a board, (h, w, 4) uint8 with `scale` pixels per flat pixel, and its shadow on what is behind."""
        box = pixel_box(warp.forward(plan.corners()), 2, self.size)
        if _is_empty(box):
            return
        layer = _warp_pixels(pixels, tuple(plan.rectangle[:2]), scale, warp, box)
        cover = self._softened(layer[..., 3])
        self._cast_shadow(cover, box, shadow)
        color = layer[..., :3].astype(np.float32)
        color *= self._light(box)
        self._blend(box, cover, color)

    def paint_letters(
        self, lettering: Lettering, warp: Warp, style: LetterStyle, generator: np.random.Generator
    ) -> None:
        """Adds lettering with its outline and shadow."""
        height, width = lettering.masks.shape[:2]
        origin = (-width / 2 / lettering.scale, -height / 2 / lettering.scale)
        outline = box_outline(np.array([*origin, -origin[0], -origin[1]]), OUTLINE_POINTS)
        box = pixel_box(warp.forward(outline), 2, self.size)
        if _is_empty(box):
            return
        layers = _warp_pixels(lettering.masks, origin, lettering.scale, warp, box)
        layers = layers.reshape(*layers.shape[:2], -1)
        covers = [self._softened(layers[..., index]) for index in range(layers.shape[2])]
        light = self._light(box)
        if style.relief:
            light = light * self._relief(box, style.relief)[..., None]
        if style.shadow is not None:
            self._cast_shadow(covers[-1], box, style.shadow)
        strength = np.float32(style.opacity)
        if style.wear:
            strength = strength * _worn(covers[0].shape, style.wear, generator)
        if style.outline is not None and len(covers) > 1:
            self._blend(box, covers[1] * strength, style.outline * light)
            self._cover(box, covers[1] * strength)
        color = style.color * light
        if style.gradient:
            rows = np.linspace(0.5, -0.5, box[3] - box[1], dtype=np.float32)[:, None, None]
            color = color * (1 + np.float32(style.gradient) * rows)
        self._blend(box, covers[0] * strength, color)
        self._cover(box, covers[0] * strength)

    def paint_post(self, box: Box, color: np.ndarray) -> None:
        """Adds an upright round post."""
        left, top, right, bottom = box
        across = np.linspace(-1, 1, right - left, dtype=np.float32)[None, :]
        tone = (0.55 + 0.5 * np.sqrt(np.maximum(1 - np.square(across + 0.25) * 0.64, 0))).repeat(bottom - top, axis=0)
        cover = np.ones((bottom - top, right - left), dtype=np.float32)
        self._blend(box, cover, textures.tinted(tone, color) * self._light(box))

    def pixels_below(self, box: Box) -> np.ndarray:
        """(N, 3) colours in a box, some 2000 of them."""
        left, top, right, bottom = box
        step = max(1, (right - left) * (bottom - top) // 2000)
        return self.image[top:bottom, left:right].reshape(-1, 3)[::step]

    def mean_light(self, box: Box) -> np.ndarray:
        """(3,) float32: what a paint is multiplied by there, on average."""
        return self._light(box).mean(axis=(0, 1))

    def _light(self, box: Box) -> np.ndarray:
        """(h, w, 3) float32: what a paint is multiplied by there."""
        left, top, right, bottom = box
        return self.background.illumination[top:bottom, left:right, None] * self.background.white

    def _relief(self, box: Box, share: float) -> np.ndarray:
        """(h, w) float32 around 1: brightness of the ground's fine texture."""
        left, top, right, bottom = box
        luminance = self.image[top:bottom, left:right].mean(axis=2)
        smooth = cv2.GaussianBlur(luminance, (0, 0), 4.0)
        return 1 + np.float32(share) * np.clip((luminance - smooth) / (smooth + 30), -0.35, 0.35)

    def _softened(self, cover: np.ndarray) -> np.ndarray:
        """Coverage (h, w) uint8 as float32 in [0, 1], with edges as soft as those of the picture."""
        softened = cover.astype(np.float32) * np.float32(1 / 255)
        sigma = self.background.softness
        return cv2.GaussianBlur(softened, (0, 0), sigma) if sigma > 0.3 else softened

    def _cast_shadow(self, cover: np.ndarray, box: Box, shadow: Shadow) -> None:
        reach = int(np.ceil(max(map(abs, shadow.offset)) + 2.5 * shadow.sigma)) + 1
        padded = cv2.copyMakeBorder(cover, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
        move = np.array([[1, 0, shadow.offset[0]], [0, 1, shadow.offset[1]]], dtype=np.float64)
        moved = cv2.warpAffine(padded, move, padded.shape[::-1], flags=cv2.INTER_LINEAR)
        if shadow.sigma > 0.3:
            moved = cv2.GaussianBlur(moved, (0, 0), shadow.sigma)
        left, top = max(0, box[0] - reach), max(0, box[1] - reach)
        right, bottom = min(self.size[1], box[2] + reach), min(self.size[0], box[3] + reach)
        row, column = top - (box[1] - reach), left - (box[0] - reach)
        part = moved[row : row + bottom - top, column : column + right - left] * np.float32(shadow.strength)
        self._blend((left, top, right, bottom), part, shadow.color * self._light((left, top, right, bottom)))

    def _blend(self, box: Box, cover: np.ndarray, color: np.ndarray) -> None:
        left, top, right, bottom = box
        target = self.image[top:bottom, left:right]
        target += cover[..., None] * (color - target)

    def _cover(self, box: Box, cover: np.ndarray) -> None:
        """Adds letters to the coverage: paint over paint."""
        left, top, right, bottom = box
        target = self.coverage[top:bottom, left:right]
        target += cover * (1 - target)


def _warp_pixels(pixels: np.ndarray, origin: tuple[float, float], scale: float, warp: Warp, box: Box) -> np.ndarray:
    """Flat pixels, whose first corner is at `origin` with `scale` of them per flat pixel, as seen in an image box."""
    u, v = warp.inverse_grid(box)
    u = (u - np.float32(origin[0])) * np.float32(scale) - np.float32(0.5)
    v = (v - np.float32(origin[1])) * np.float32(scale) - np.float32(0.5)
    border = cv2.BORDER_REPLICATE if pixels.shape[2] == 4 else cv2.BORDER_CONSTANT
    layer = cv2.remap(pixels, u, v, cv2.INTER_LINEAR, borderMode=border)
    if border == cv2.BORDER_REPLICATE:
        height, width = pixels.shape[:2]
        layer[..., 3][(u < -1) | (v < -1) | (u > width) | (v > height)] = 0
    return layer


def _worn(size: tuple[int, ...], share: float, generator: np.random.Generator) -> np.ndarray:
    """(h, w) float32 in [0, 1]: where paint is left; `share` of it, roughly, has come off."""
    patches = textures.noise((size[0], size[1]), (8, 14), generator, 4)
    return np.clip(2.2 + 3.5 * (patches - np.float32(share) + 0.35), LEAST_PAINT, 1)


def _is_empty(box: Box) -> bool:
    return box[2] - box[0] < 1 or box[3] - box[1] < 1
