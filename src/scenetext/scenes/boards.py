"""Sign boards: plates, panels and posters, drawn flat, with border, frame, screws, grime, and sometimes a symbol."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from scenetext.scenes import textures

LARGEST_SIDE = 1600
"""Mask pixels; larger boards are drawn coarser, which their plain surface does not show."""
ARROW = np.array([[0.0, 0.36], [0.5, 0.36], [0.5, 0.1], [1.0, 0.5], [0.5, 0.9], [0.5, 0.64], [0.0, 0.64]])
CROSS = np.array(
    [[0.36, 0], [0.64, 0], [0.64, 0.36], [1, 0.36], [1, 0.64], [0.64, 0.64], [0.64, 1], [0.36, 1], [0.36, 0.64],
     [0, 0.64], [0, 0.36], [0.36, 0.36]]
)  # fmt: skip
DIAMOND = np.array([[0.5, 0.0], [1.0, 0.5], [0.5, 1.0], [0.0, 0.5]])
CIRCLE = 0.5 + 0.5 * np.column_stack([np.cos(np.linspace(0, 2 * np.pi, 24)), np.sin(np.linspace(0, 2 * np.pi, 24))])
SYMBOLS = (ARROW, ARROW, CROSS, DIAMOND, CIRCLE)


@dataclass(frozen=True, slots=True, eq=False)
class BoardPlan:
    """Where a board and its symbol are, before it is drawn.

    Attributes:
        rectangle: (4,) flat (left, top, right, bottom).
        symbol: flat box of a square symbol, or None.
        padding: least flat room between the edge and what is on the board.
    """

    rectangle: np.ndarray
    symbol: np.ndarray | None
    padding: float

    def corners(self) -> np.ndarray:
        """(4, 2) flat, clockwise from the top left."""
        left, top, right, bottom = self.rectangle
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def plan_board(extent: np.ndarray, line_height: float, has_symbol: bool, generator: np.random.Generator) -> BoardPlan:
    """A board around text with the flat box `extent` (4,) whose lines are about `line_height` high."""
    side = line_height * generator.uniform(0.3, 1.1)
    if generator.random() < 0.2:
        side *= generator.uniform(1.5, 4.0)
    above, below = line_height * generator.uniform(0.25, 0.65), line_height * generator.uniform(0.25, 0.65)
    if generator.random() < 0.6:
        below = above
    rectangle = extent + np.array([-side, -above, side, below])
    padding = min(side, above, below)
    if not has_symbol:
        return BoardPlan(rectangle, None, padding)
    size = min(extent[3] - extent[1], 2 * line_height)
    top = (extent[1] + extent[3] - size) / 2
    if generator.random() < 0.5:
        left = extent[0] - 0.4 * line_height - size
        rectangle[0] = left - side
    else:
        left = extent[2] + 0.4 * line_height
        rectangle[2] = left + size + side
    return BoardPlan(rectangle, np.array([left, top, left + size, top + size]), padding)


def draw_board(
    plan: BoardPlan, color: np.ndarray, accent: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Paints a board.

    Args:
        color, accent: (3,) float32 in 0..255, of the surface and of border and symbol.

    Returns:
        (h, w, 4) uint8, RGB and coverage, and the number of its pixels per flat pixel.
    """
    flat_width, flat_height = plan.rectangle[2:] - plan.rectangle[:2]
    scale = min(1.0 if min(flat_width, flat_height) > 60 else 2.0, LARGEST_SIDE / max(flat_width, flat_height))
    height, width = max(4, round(flat_height * scale)), max(4, round(flat_width * scale))
    short = min(height, width)
    radius = short * generator.choice([0.0, 0.04, 0.12, 0.25], p=[0.4, 0.3, 0.2, 0.1])
    inside = _depth_inside((height, width), radius)
    surface = _surface((height, width), color, generator)
    padding = plan.padding * scale
    rim = 0.0
    if generator.random() < 0.3:
        rim = padding * generator.uniform(0.2, 0.45)
        _add_frame(surface, inside, rim, generator)
    if generator.random() < 0.4:
        start = rim + (padding - rim) * generator.uniform(0.1, 0.5)
        _blend_band(surface, inside, start, start + max(1.2, (padding - start) * generator.uniform(0.2, 0.6)), accent)
    if plan.symbol is not None:
        _add_symbol(surface, (plan.symbol - np.tile(plan.rectangle[:2], 2)) * scale, accent, generator)
    if not rim and generator.random() < 0.35:
        _add_screws(surface, padding, generator)
    _wear_edges(surface, inside, short, generator)
    cover = np.clip(inside + 0.5, 0, 1) * 255
    return np.dstack([np.clip(surface, 0, 255), cover]).astype(np.uint8), scale


def _depth_inside(size: tuple[int, int], radius: float) -> np.ndarray:
    """(h, w) float32: distance in pixels from the edge of a rectangle with round corners, positive inside."""
    height, width = size
    y = np.abs(np.arange(height, dtype=np.float32) + np.float32(0.5 - height / 2)) - np.float32(height / 2 - 1 - radius)
    x = np.abs(np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) - np.float32(width / 2 - 1 - radius)
    outside = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None])
    nearest = np.minimum(np.maximum(x[None, :], y[:, None]), 0)
    return np.float32(radius) - outside - nearest


def _surface(size: tuple[int, int], color: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Plastic, brushed metal, wood or paper in one colour, with a gradient and sometimes a gloss."""
    height, width = size
    kind = generator.random()
    if kind < 0.45:
        tone = 1 + 0.012 * textures.noise(size, (height / 3, width / 3), generator, 2)
    elif kind < 0.65:
        tone = 1 + 0.03 * textures.noise(size, (1.5, max(8.0, width / 4)), generator, 2)
    elif kind < 0.8:
        tone = 1 + 0.08 * textures.noise(size, (max(2.0, height / 24), max(8.0, width / 2)), generator, 3)
    else:
        tone = 1 + 0.025 * textures.noise(size, (2, 2), generator, 1)
        tone += 0.03 * textures.noise(size, (height / 2, width / 4), generator, 2)
    down = np.linspace(0.5, -0.5, height, dtype=np.float32)[:, None]
    across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    tone += np.float32(generator.normal(0.06, 0.08)) * down + np.float32(generator.normal(0, 0.06)) * across
    surface = textures.tinted(tone, color)
    if generator.random() < 0.2:
        slant = across * np.float32(width / height) + down - np.float32(generator.normal(0, 0.5))
        gloss = np.exp(-np.square(slant / np.float32(generator.uniform(0.1, 0.4))))
        surface += np.float32(generator.uniform(8, 34)) * gloss[..., None]
    return surface


def _blend_band(surface: np.ndarray, inside: np.ndarray, start: float, end: float, color: np.ndarray) -> None:
    """Paints where the depth lies between start and end, with soft edges."""
    cover = np.clip(inside - start + 0.5, 0, 1) * np.clip(end - inside + 0.5, 0, 1)
    surface += cover[..., None] * (color - surface)


def _add_frame(surface: np.ndarray, inside: np.ndarray, rim: float, generator: np.random.Generator) -> None:
    """A raised frame: wood, metal or dark plastic; lit from above, dark where it meets the surface."""
    frames = ((112, 78, 50), (190, 192, 194), (38, 38, 42), (228, 226, 220), (70, 74, 80))
    color = np.asarray(frames[generator.integers(len(frames))], dtype=np.float32) + generator.normal(0, 8)
    _blend_band(surface, inside, -2, rim, color.astype(np.float32))
    bevel = max(1, round(0.3 * rim))
    surface[:bevel] *= 1.15
    surface[-bevel:] *= 0.72
    surface[:, -bevel:] *= 0.85
    _blend_band(surface, inside, rim, rim + max(1.0, 0.25 * rim), 0.6 * surface.mean(axis=(0, 1)))


def _add_screws(surface: np.ndarray, padding: float, generator: np.random.Generator) -> None:
    """Two or four screws in the room between edge and text."""
    height, width = surface.shape[:2]
    radius = max(1.0, padding * generator.uniform(0.1, 0.18))
    inset = 0.45 * padding
    rows = [height / 2] if generator.random() < 0.4 else [inset, height - inset]
    for y in rows:
        for x in (inset, width - inset):
            _disc(surface, (x, y), 1.25 * radius, np.float32(60))
            _disc(surface, (x - 0.15 * radius, y - 0.15 * radius), radius, np.float32(175))
            _disc(surface, (x, y), 0.3 * radius, np.float32(90))


def _disc(surface: np.ndarray, center: tuple[float, float], radius: float, grey: np.float32) -> None:
    left, top = max(0, int(center[0] - radius - 2)), max(0, int(center[1] - radius - 2))
    part = surface[top : int(center[1] + radius + 3), left : int(center[0] + radius + 3)]
    y = np.arange(part.shape[0])[:, None] + top + 0.5 - center[1]
    x = np.arange(part.shape[1])[None, :] + left + 0.5 - center[0]
    cover = np.clip(radius - np.hypot(x, y) + 0.5, 0, 1).astype(np.float32)
    part += cover[..., None] * (grey - part)


def _add_symbol(surface: np.ndarray, box: np.ndarray, color: np.ndarray, generator: np.random.Generator) -> None:
    """An arrow, cross, diamond or disc: what stands on signs and is not text."""
    shape = SYMBOLS[generator.integers(len(SYMBOLS))]
    if generator.random() < 0.5:
        shape = shape * (-1, 1) + (1, 0)
    if generator.random() < 0.25:
        shape = shape[:, ::-1]
    inset = 0.12 + 0.1 * generator.random()
    points = box[:2] + (inset + (1 - 2 * inset) * shape) * (box[2:] - box[:2])
    cover = np.zeros(surface.shape[:2], dtype=np.uint8)
    cv2.fillPoly(cover, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    surface += (cover.astype(np.float32) / 255)[..., None] * (color - surface)


def _wear_edges(surface: np.ndarray, inside: np.ndarray, short: int, generator: np.random.Generator) -> None:
    """A thin light upper and dark lower edge, and on some boards grime that creeps in from the edges."""
    surface[:1] *= 1.12
    surface[-2:] *= 0.7
    if generator.random() < 0.4:
        reach = short * generator.uniform(0.05, 0.2) + 1
        stains = 1 + 0.8 * textures.noise(inside.shape, (short / 4 + 2, short / 4 + 2), generator, 3)
        grime = np.exp(-np.maximum(inside, 0) / np.float32(reach)) * np.clip(stains, 0, 2)
        surface *= (1 - np.float32(generator.uniform(0.1, 0.4)) * np.clip(grime, 0, 1))[..., None]
