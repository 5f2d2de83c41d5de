"""What is behind the signs: a real image, or a procedural wall or facade; and the light that falls there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from scenetext.data.records.images import read_image
from scenetext.scenes import textures
from scenetext.scenes.textures import Size
from scenetext.scenes.warps import Pose

OVERSCAN = 1.2
"""The flat facade is this much larger than the image, so that perspective seldom shows its mirrored border."""
DARKEST_EXPOSURE = 0.42


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Attributes:
    image: (H, W, 3) float32 RGB, 0..255.
    illumination: (H, W) float32 around 1: how much light a plain surface gets at every pixel.
    white: (3,) float32 in (0, 1]: what pure white paint looks like in this picture, as a share of 255.
    softness: Gaussian sigma in pixels of the sharpest edges in the picture.
    """  # fmt: skip

    image: np.ndarray
    illumination: np.ndarray
    white: np.ndarray
    softness: float


def from_image(paths: Sequence[Path], size: Size, generator: np.random.Generator) -> Background:
    """A random crop of a random image file, of the proportions of `size`, perhaps mirrored.

    Raises:
        ImageError: the file cannot be decoded.
    """
    source = read_image(paths[int(generator.integers(len(paths)))])
    fit = min(source.shape[0] / size[0], source.shape[1] / size[1])
    zoom = fit * (0.65 + 0.35 * generator.random())
    height, width = max(1, int(size[0] * zoom)), max(1, int(size[1] * zoom))
    top = int(generator.integers(source.shape[0] - height + 1))
    left = int(generator.integers(source.shape[1] - width + 1))
    part = source[top : top + height, left : left + width]
    if generator.random() < 0.5:
        part = part[:, ::-1]
    interpolation = cv2.INTER_AREA if zoom > 1 else cv2.INTER_CUBIC
    part = cv2.resize(np.ascontiguousarray(part), size[::-1], interpolation=interpolation)
    image = part.astype(np.float32)
    small = cv2.resize(image, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    return Background(image, _light_of(small, size), _white_of(small), softness=0.35 * max(1.0, 1 / zoom))


def procedural(size: Size, pose: Pose, facade_share: float, generator: np.random.Generator) -> Background:
    """A wall seen by the camera, with windows, sky and ground (a facade) or without, in light and shade."""
    flat_size = (round(size[0] * OVERSCAN), round(size[1] * OVERSCAN))
    unit = max(size) / (18 + 34 * generator.random())
    if generator.random() < facade_share:
        flat = _facade(flat_size, unit, generator)
    else:
        flat = textures.wall(flat_size, unit * 1.6, generator)
    shift = np.array([[1, 0, -flat_size[1] / 2], [0, 1, -flat_size[0] / 2], [0, 0, 1]])
    image = cv2.warpPerspective(
        flat, pose.plane(pose.center) @ shift, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    light = _sample_light(size, generator)
    image = np.clip(image, 6, 250)
    image *= light[..., None]
    return Background(np.clip(image, 0, 255, out=image), light, np.ones(3, dtype=np.float32), softness=0.35)


def _light_of(small: np.ndarray, size: Size) -> np.ndarray:
    """Light and shade guessed from a picture that is scaled down: brightness with all detail blurred away, damped."""
    luminance = small.mean(axis=2)
    luminance = cv2.GaussianBlur(luminance, (0, 0), max(1.0, 0.09 * max(small.shape)))
    light = np.clip(np.sqrt((luminance + 20) / (luminance.mean() + 20)), 0.7, 1.3)
    return cv2.resize(light, size[::-1], interpolation=cv2.INTER_LINEAR)


def _white_of(small: np.ndarray) -> np.ndarray:
    """The brightest colours of a picture, half of their tint kept, never too dark to read by."""
    bright = np.percentile(small.reshape(-1, 3), 97, axis=0)
    grey = bright.mean()
    return np.clip((grey + 0.5 * (bright - grey)) / 245, DARKEST_EXPOSURE, 1).astype(np.float32)


def _sample_light(size: Size, generator: np.random.Generator) -> np.ndarray:
    """(H, W) float32: a gradient, faint unevenness, sometimes the edge of a shadow or the shade of leaves."""
    rows = np.linspace(-0.5, 0.5, size[0], dtype=np.float32)[:, None]
    columns = np.linspace(-0.5, 0.5, size[1], dtype=np.float32)[None, :]
    angle = generator.random() * 2 * np.pi
    slope = rows * np.float32(np.sin(angle)) + columns * np.float32(np.cos(angle))
    light = 1 + np.float32(0.1 + 0.35 * generator.random()) * slope
    light += 0.05 * textures.noise(size, (size[0] / 2, size[1] / 2), generator, 2)
    kind = generator.random()
    if kind < 0.3:
        edge = (slope - np.float32(generator.normal(0, 0.2))) * np.float32(20 + 100 * generator.random())
        light *= 1 - np.float32(0.2 + 0.35 * generator.random()) / (1 + np.exp(np.clip(edge, -30, 30)))
    elif kind < 0.42:
        leaves = textures.noise(size, (size[0] / 5, size[1] / 6), generator, 3)
        light *= 1 - np.float32(0.4) / (1 + np.exp(np.clip(-6 * leaves, -30, 30)))
    level = 0.8 + 0.3 * generator.random()
    return np.clip(light * np.float32(level), 0.3, 1.3)


def _facade(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """A house front from sky to pavement; parts are omitted at random and a calm wall always remains."""
    flat = textures.wall(size, unit, generator)
    height, width = size
    top, bottom = 0, height
    if generator.random() < 0.3:
        top = round(height * (0.12 + 0.15 * generator.random()))
        flat[:top] = textures.sky((top, width), generator)
        flat[top : top + max(2, height // 60)] *= 0.55
    if generator.random() < 0.5:
        bottom = round(height * (0.8 + 0.12 * generator.random()))
        flat[bottom:] = textures.pavement((height - bottom, width), unit, generator)
        flat[bottom - max(2, height // 80) : bottom] *= 0.7
    kind = generator.random()
    if kind < 0.35:
        _shop_front(flat, bottom, generator)
    elif kind < 0.8:
        _window_row(flat, top, bottom, generator)
    if generator.random() < 0.3:
        side = round(width * (0.1 + 0.2 * generator.random()))
        part = np.s_[top:bottom, :side] if generator.random() < 0.5 else np.s_[top:bottom, width - side :]
        flat[part] = textures.wall((bottom - top, side), unit, generator)
    return flat


def _shop_front(flat: np.ndarray, bottom: int, generator: np.random.Generator) -> None:
    """Draws shop windows along the lower wall, a fascia above them and sometimes a striped awning."""
    height, width = flat.shape[:2]
    top = round(bottom * (0.5 + 0.12 * generator.random()))
    fascia = round(height * (0.1 + 0.08 * generator.random()))
    panes = int(generator.integers(2, 5))
    edges = np.linspace(0.03 * width, 0.97 * width, panes + 1).astype(int)
    frame = _frame_color(generator)
    flat[top:bottom] = frame
    bar = max(2, width // 90)
    for left, right in pairwise(edges):
        _pane(flat, (left + bar, top + bar, right - bar, bottom - bar), generator)
    color = np.asarray(generator.integers(30, 215, 3), dtype=np.float32)
    color = color.mean() + (color - color.mean()) * np.float32(generator.uniform(0.2, 0.9))
    flat[top - fascia : top] = color * (1 + 0.02 * textures.noise((fascia, width), (8, 60), generator, 2))[..., None]
    flat[top - fascia : top - fascia + bar] *= 1.15
    flat[top : top + bar] *= 0.5
    if generator.random() < 0.35:
        drop = round(height * 0.08)
        stripes = (np.arange(width) // max(4, width // 30)) % 2
        awning = np.where(stripes[:, None] == 0, color, np.float32(232)).astype(np.float32)
        flat[top : top + drop] = awning * np.linspace(1.05, 0.75, drop, dtype=np.float32)[:, None, None]


def _window_row(flat: np.ndarray, top: int, bottom: int, generator: np.random.Generator) -> None:
    """Draws one row of windows, high or low on the wall."""
    width = flat.shape[1]
    count = int(generator.integers(1, 5))
    side = width / count
    pane_width = round(side * (0.3 + 0.25 * generator.random()))
    pane_height = min(round(pane_width * (1 + 0.8 * generator.random())), round(0.4 * (bottom - top)))
    row = top + round((bottom - top - pane_height) * (0.08 if generator.random() < 0.5 else 0.9))
    frame = _frame_color(generator)
    bar = max(2, width // 110)
    for index in range(count):
        left = round(side * (index + 0.5) - pane_width / 2)
        shade = np.s_[row - 2 * bar : row + pane_height + 3 * bar, max(0, left - 2 * bar) : left + pane_width + 2 * bar]
        flat[shade] = frame
        _pane(flat, (left, row, left + pane_width, row + pane_height), generator)
        middle = left + pane_width // 2
        flat[row : row + pane_height, middle - bar // 2 : middle + bar - bar // 2] = frame
        flat[
            row + pane_height + 3 * bar : row + pane_height + 5 * bar, left - 2 * bar : left + pane_width + 2 * bar
        ] *= 0.75


def _pane(flat: np.ndarray, box: tuple[int, int, int, int], generator: np.random.Generator) -> None:
    left, top, right, bottom = box
    left, top = max(0, left), max(0, top)
    if right - left < 2 or bottom - top < 2:
        return
    target = flat[top:bottom, left:right]
    target[:] = textures.glass((target.shape[0], target.shape[1]), generator)


def _frame_color(generator: np.random.Generator) -> np.ndarray:
    grey = 235.0 if generator.random() < 0.4 else 40 + 90 * generator.random()
    return np.asarray(grey + generator.normal(0, 6, 3), dtype=np.float32)
