"""Chooses the paints of a placed sign and puts it into the picture."""

from __future__ import annotations

import numpy as np

from scenetext.data.transforms.contrast import PLAIN_COLORS, choose_lettering, measure_ground
from scenetext.scenes import colors
from scenetext.scenes.arrangement import PlacedSign
from scenetext.scenes.boards import draw_board
from scenetext.scenes.composition import Picture, Shadow
from scenetext.scenes.occupancy import Occupancy
from scenetext.scenes.settings import SceneSettings
from scenetext.scenes.signs import sample_style
from scenetext.scenes.warps import bounds, pixel_box

MOST_EDGE_STRENGTH = 45.0
"""Edge strength (see `Occupancy.edge_strength`) above which nothing is painted straight on the background."""
LARGEST_SPREAD = 28.0
"""Range of lightness L* above which the ground is more than one surface, on which no word is painted."""
SHADOW_COLOR = np.array([14, 14, 18], dtype=np.float32)
LEAST_POST = 12
"""Pixels of a post that have to show for it to be drawn."""


def paint_sign(
    picture: Picture,
    occupancy: Occupancy,
    sign: PlacedSign,
    scene_colors: np.ndarray,
    shadow_direction: tuple[float, float],
    settings: SceneSettings,
    generator: np.random.Generator,
) -> None:
    """Paints a sign, on its board or, where that is asked for and can be read, straight on the background.

    Args:
        scene_colors: (N, 3) colours of the scene, to choose from.
        shadow_direction: (x, y) per unit of depth.
    """
    minimum = settings.lettering.contrast_minimum
    color = None
    if not sign.plan.on_board and sign.edge_strength <= MOST_EDGE_STRENGTH:
        box = pixel_box(np.concatenate(sign.polygons), 1, picture.size)
        ground = measure_ground(picture.pixels_below(box))
        if ground.high - ground.low <= LARGEST_SPREAD:
            color = choose_lettering(ground, _paints(scene_colors), picture.mean_light(box), minimum, generator)
    painted = color is not None
    if color is None:
        color = _paint_board(picture, occupancy, sign, scene_colors, shadow_direction, settings, generator)
    occupancy.take(sign.hull())
    style = sample_style(settings.lettering, sign.plan.block, color, painted, shadow_direction, generator)
    picture.paint_letters(sign.lettering, sign.warp, style, generator)


def _paint_board(
    picture: Picture,
    occupancy: Occupancy,
    sign: PlacedSign,
    scene_colors: np.ndarray,
    shadow_direction: tuple[float, float],
    settings: SceneSettings,
    generator: np.random.Generator,
) -> np.ndarray:
    """Adds the board, on a post perhaps; returns the colour for the letters, (3,) float32."""
    if generator.random() < settings.surface.post_probability:
        _paint_post(picture, occupancy, sign, generator)
    light = picture.mean_light(pixel_box(np.concatenate(sign.polygons), 1, picture.size))
    board_color, letters = _board_colors(settings.lettering.contrast_minimum, scene_colors, light, generator)
    pixels, scale = draw_board(sign.board, board_color, letters, generator)
    depth = max(picture.size) * generator.uniform(0.002, 0.012)
    shadow = Shadow(
        offset=(shadow_direction[0] * depth, shadow_direction[1] * depth),
        sigma=0.5 * depth,
        strength=generator.uniform(0.35, 0.7),
        color=SHADOW_COLOR,
    )
    picture.paint_board(pixels, sign.board, scale, sign.board_warp, shadow)
    return letters


def _board_colors(
    minimum: float, scene_colors: np.ndarray, light: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(board, letters) with enough contrast in the light (3,); black on white where no other pair has it."""
    board, letters = colors.choose_board(scene_colors, generator)
    ground = measure_ground((board * light)[None])
    for paints in (letters[None], _paints(scene_colors)):
        chosen = choose_lettering(ground, paints, light, minimum, generator)
        if chosen is not None:
            return board, chosen
    white, black = np.asarray(PLAIN_COLORS[:2], dtype=np.float32)
    return white, black


def _paints(scene_colors: np.ndarray) -> np.ndarray:
    """(N, 3) colours that letters may be painted in: those of the scene and the usual ones."""
    return np.concatenate([scene_colors, np.asarray(PLAIN_COLORS, dtype=np.float32)])


def _paint_post(picture: Picture, occupancy: Occupancy, sign: PlacedSign, generator: np.random.Generator) -> None:
    """Adds a post from the lower edge of the board to the border of the image, where that is free."""
    hull = sign.hull()
    left, _, right, _ = bounds(hull)
    middle = hull[2:].mean(axis=0)
    half = max(1.5, (right - left) * generator.uniform(0.015, 0.04))
    height, width = picture.size
    box = (round(middle[0] - half), max(0, round(middle[1]) - 6), round(middle[0] + half), height)
    corners = np.array([[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]], dtype=np.float64)
    if box[0] < 0 or box[2] > width or box[3] - box[1] < LEAST_POST or not occupancy.is_free(corners):
        return
    occupancy.take(corners)
    grey = generator.uniform(60, 190)
    picture.paint_post(box, np.array([grey, grey, grey * 1.02], dtype=np.float32))
