"""Materials seen from the front, as colour arrays (H, W, 3) float32 in 0..255, before any light falls on them."""

from __future__ import annotations

import cv2
import numpy as np

Size = tuple[int, int]
"""(height, width) in pixels."""

WALL_COLORS = (
    (196, 186, 168), (222, 214, 198), (176, 170, 160), (150, 148, 146), (204, 178, 140), (186, 150, 118),
    (128, 134, 140), (160, 172, 176), (120, 108, 98), (208, 196, 150), (148, 160, 140), (92, 98, 108),
    (214, 206, 204), (170, 120, 100), (230, 228, 222), (110, 128, 124),
)  # fmt: skip
BRICK_COLORS = ((150, 82, 62), (168, 100, 76), (126, 70, 58), (186, 140, 104), (140, 122, 108), (198, 180, 158))
WOOD_COLORS = ((134, 94, 60), (104, 72, 48), (168, 128, 88), (122, 116, 108), (78, 88, 84), (92, 116, 128))


def noise(size: Size, cell: tuple[float, float], generator: np.random.Generator, octaves: int = 3) -> np.ndarray:
    """Smooth value noise (H, W) float32, mean about 0, most values within -1..1.

    Args:
        cell: (vertical, horizontal) pixels between the random values of the coarsest octave; every further octave has
            half the cell and half the amplitude.
    """
    total: np.ndarray = np.zeros(size, dtype=np.float32)
    amplitude = 0.6
    for octave in range(octaves):
        steps = [max(1.0, side / 2**octave) for side in cell]
        grid = [int(np.ceil(length / step)) + 2 for length, step in zip(size, steps, strict=True)]
        values: np.ndarray = generator.standard_normal(grid, dtype=np.float32)
        if max(steps) > 1:
            full = [int(np.ceil(count * step)) for count, step in zip(grid, steps, strict=True)]
            values = cv2.resize(values, (full[1], full[0]), interpolation=cv2.INTER_LINEAR)
        total += np.float32(amplitude) * values[: size[0], : size[1]]
        amplitude /= 2
    return total


def tinted(tone: np.ndarray, color: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """A colour multiplied by a tone (H, W) around 1."""
    return tone[..., None] * np.asarray(color, dtype=np.float32)


def wall(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """A wall of a random material; `unit` is the height in pixels of a brick on it."""
    makers = (plaster, plaster, concrete, bricks, bricks, tiles, planks, shutter, panel)
    return makers[generator.integers(len(makers))](size, unit, generator)


def plaster(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """Painted or rendered wall: fine grain, faint clouds, streaks of rain from above."""
    tone = 1 + 0.035 * noise(size, (2, 2), generator, 1) + 0.05 * noise(size, (6 * unit, 6 * unit), generator)
    tone += 0.03 * noise(size, (12 * unit, unit), generator, 2)
    return tinted(tone, _pick(WALL_COLORS, generator))


def concrete(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """Grey slabs with seams and stains."""
    tone = 1 + 0.05 * noise(size, (2, 2), generator, 1) + 0.1 * noise(size, (5 * unit, 7 * unit), generator, 4)
    slab = 10 * unit
    rows, columns = np.arange(size[0]) + generator.random() * slab, np.arange(size[1]) + generator.random() * slab
    width = max(1.0, 0.08 * unit)
    tone[rows % slab < width, :] *= 0.72
    tone[:, columns % (1.6 * slab) < width] *= 0.72
    grey = 110 + 80 * generator.random()
    return tinted(tone, (grey, grey * 0.99, grey * 0.96))


def bricks(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """Courses of bricks or stone blocks in mortar."""
    unit = max(unit, 4.0)
    length = unit * (2.2 + 0.8 * generator.random())
    return _masonry(size, (unit, length), 0.5, _pick(BRICK_COLORS, generator), 0.12, generator)


def tiles(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """Square or oblong tiles with thin joints."""
    unit = max(1.6 * unit, 6.0)
    length = unit * (1 + generator.integers(2))
    return _masonry(size, (unit, length), 0.0, _pick(WALL_COLORS, generator), 0.03, generator)


def _masonry(
    size: Size,
    block: tuple[float, float],
    shift: float,
    color: np.ndarray,
    variety: float,
    generator: np.random.Generator,
) -> np.ndarray:
    rows, top = np.divmod(
        np.arange(size[0], dtype=np.float32) + generator.random(dtype=np.float32) * block[0], block[0]
    )
    along = np.arange(size[1], dtype=np.float32)[None, :] + (rows[:, None] % 2) * np.float32(shift * block[1])
    columns, left = np.divmod(along, np.float32(block[1]))
    tones = generator.normal(1, variety, (int(rows[-1]) + 1, int(columns.max()) + 1)).astype(np.float32)
    tone = tones[rows.astype(np.int32)[:, None], columns.astype(np.int32)]
    tone += 0.05 * noise(size, (2, 2), generator, 1) + 0.05 * noise(size, (8 * block[0], 8 * block[0]), generator, 2)
    joint = max(1.0, 0.1 * block[0])
    mortar = (top < joint)[:, None] | (left < joint)
    surface = tinted(tone, color)
    grey = np.float32(120 + 90 * generator.random())
    surface[mortar] = 0.35 * surface[mortar] + 0.65 * grey * (1 + 0.05 * generator.standard_normal(dtype=np.float32))
    lit = ((top >= joint) & (top < 2 * joint))[:, None] & ~mortar
    surface[lit] *= 1.06
    return surface


def planks(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """Wooden boards, upright or lying, with grain."""
    upright = generator.random() < 0.5
    height, width = size if not upright else size[::-1]
    board = max(5.0, 2.5 * unit)
    rows, offset = np.divmod(np.arange(height, dtype=np.float32) + generator.random(dtype=np.float32) * board, board)
    tones = generator.normal(1, 0.08, int(rows[-1]) + 1).astype(np.float32)
    tone: np.ndarray = tones[rows.astype(np.int32)][:, None] + 0.08 * noise(
        (height, width), (max(2.0, 0.2 * unit), 9 * unit), generator, 2
    )
    tone[offset < max(1.0, 0.05 * board), :] *= 0.5
    if upright:
        tone = np.ascontiguousarray(tone.T)
    return tinted(tone, _pick(WOOD_COLORS, generator))


def shutter(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """A roller shutter: round slats that catch light from above."""
    slat = max(4.0, 1.2 * unit)
    phase = np.arange(size[0], dtype=np.float32) / np.float32(slat) * np.float32(2 * np.pi)
    tone = 1 + np.float32(0.12) * np.sin(phase)[:, None] + 0.04 * noise(size, (10 * unit, 10 * unit), generator)
    return tinted(tone.astype(np.float32), _pick(WALL_COLORS, generator))


def panel(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """Painted sheet metal: nearly even, brushed a little."""
    tone = 1 + 0.015 * noise(size, (1, 20 * unit), generator, 1) + 0.03 * noise(size, (12 * unit, 12 * unit), generator)
    color = _pick(WALL_COLORS, generator)
    if generator.random() < 0.5:
        color = np.clip(color.mean() + (color - color.mean()) * 4 + generator.normal(0, 40), 20, 240)
    return tinted(tone, color)


def glass(size: Size, generator: np.random.Generator) -> np.ndarray:
    """A window pane: dark inside, sky mirrored towards the top, slanting reflections."""
    rows = np.linspace(0, 1, size[0], dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, size[1], dtype=np.float32)[None, :]
    slant = np.sin((columns * 3 + rows * 2 + generator.random(dtype=np.float32)) * 4)
    inside = noise(size, (max(4.0, size[0] / 3), max(4.0, size[1] / 3)), generator, 3)
    tone = 0.45 + 0.5 * (1 - rows) * generator.random(dtype=np.float32) + 0.12 * np.maximum(slant, 0) + 0.14 * inside
    return tinted(np.maximum(tone, 0.1), (92, 104, 116))


def sky(size: Size, generator: np.random.Generator) -> np.ndarray:
    """Clear or clouded sky, lighter towards the horizon."""
    rows = np.linspace(0, 1, size[0], dtype=np.float32)[:, None]
    clouds = 0.06 * noise(size, (size[0] / 2 + 2, size[1] / 3 + 2), generator, 4)
    colors = ((120, 164, 214), (196, 202, 208), (168, 190, 214), (226, 228, 230))
    color = np.asarray(colors[generator.integers(len(colors))], dtype=np.float32)
    return np.clip(tinted(1 + 0.12 * rows + clouds, color), 0, 250)


def pavement(size: Size, unit: float, generator: np.random.Generator) -> np.ndarray:
    """Asphalt or slabs."""
    tone = 1 + 0.08 * noise(size, (2, 2), generator, 1) + 0.06 * noise(size, (2 * unit, 8 * unit), generator)
    grey = 70 + 90 * generator.random()
    return tinted(tone, (grey, grey, grey * 0.97))


def _pick(colors: tuple[tuple[float, float, float], ...], generator: np.random.Generator) -> np.ndarray:
    """One of the colours, varied in brightness and a little in hue."""
    color = np.asarray(colors[generator.integers(len(colors))], dtype=np.float32)
    return color * np.float32(0.75 + 0.35 * generator.random()) + generator.normal(0, 4, 3).astype(np.float32)
