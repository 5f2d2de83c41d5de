"""Samples what a sign is like before it has a position: words, typesetting, curvature, rotation, paints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenetext.data.transforms.contrast import lightness
from scenetext.errors import DataError
from scenetext.scenes import colors
from scenetext.scenes.composition import LetterStyle, Shadow
from scenetext.scenes.fonts import FontLibrary
from scenetext.scenes.lettering import Lettering, Line, TextBlock
from scenetext.scenes.settings import LetteringSettings, SceneSettings
from scenetext.scenes.warps import Warp, box_outline
from scenetext.scenes.words import WordSource

WORD_TRIES = 20
LARGEST_BEND = 0.5
"""Line height over radius; more would crush the inner side of the letters."""
LARGEST_TURN = np.radians(55)


@dataclass(frozen=True, slots=True)
class SignPlan:
    """A sign without a position.

    Attributes:
        block: words and typesetting.
        on_board: whether it is on a board.
        arc: angle of the arc over the width of the sign, radians, positive = arch; 0 = straight.
        turn: (yaw, pitch, roll) against the other planes of the scene, radians.
    """

    block: TextBlock
    on_board: bool
    arc: float
    turn: tuple[float, float, float]


def sample_sign(
    settings: SceneSettings, source: WordSource, fonts: FontLibrary, most_words: int, generator: np.random.Generator
) -> SignPlan:
    """A random sign with at most `most_words` words."""
    on_board = generator.random() < settings.surface.board_probability
    block = _sample_block(settings, source, fonts, most_words, generator)
    layout = settings.layout
    arc = 0.0
    if len(block.lines) <= 2 and generator.random() < layout.curve_probability:
        arc = np.radians(generator.uniform(*layout.curve_angle)) * (1 if generator.random() < 0.5 else -1)
    roll = 0.6 * sample_rotation(settings, generator)
    if on_board:
        freedom = 0.35 * layout.perspective * LARGEST_TURN
        return SignPlan(block, on_board, arc, (generator.normal(0, freedom), generator.normal(0, 0.4 * freedom), roll))
    return SignPlan(block, on_board, arc, (0.0, 0.0, 0.5 * roll))


def sample_rotation(settings: SceneSettings, generator: np.random.Generator) -> float:
    """An angle of the rotation range, radians; values near 0 are more likely."""
    low, high = settings.layout.rotation
    if low == high:
        return float(np.radians(low))
    return float(np.radians(generator.triangular(low, min(max(0.0, low), high), high)))


def curvature_of(plan: SignPlan, lettering: Lettering) -> float:
    """1 / radius, 1 / flat pixels, at which the lettering spans the arc of the plan; limited by LARGEST_BEND."""
    if not plan.arc:
        return 0.0
    left, top, right, bottom = lettering.extent()
    return float(np.sign(plan.arc) * min(abs(plan.arc) / (right - left), LARGEST_BEND / (bottom - top)))


def word_polygons(lettering: Lettering, warp: Warp, points_per_side: int) -> list[np.ndarray]:
    """Image polygon of every word: 4 points, or 2 * points_per_side along a curve; (V, 2) float64."""
    points = points_per_side if warp.curvature else 2
    return [warp.forward(box_outline(box, points)) for box in lettering.boxes]


def character_quads(lettering: Lettering, warp: Warp) -> list[np.ndarray | None]:
    """Image quadrangles of the characters of every word, (n, 4, 2) float64; None where they are not known."""
    return [
        None if boxes is None else np.stack([warp.forward(box_outline(box, 2)) for box in boxes])
        for boxes in lettering.characters
    ]


def sample_style(
    settings: LetteringSettings,
    block: TextBlock,
    color: np.ndarray,
    painted: bool,
    shadow_direction: tuple[float, float],
    generator: np.random.Generator,
) -> LetterStyle:
    """How the letters of a sign are painted in `color`; `shadow_direction` is (x, y) per unit of depth."""
    size = max(line.size for line in block.lines)
    light = float(lightness(color[None])[0])
    outline = None
    if block.outline:
        outline = colors.vary(np.asarray((16, 16, 18) if light > 50 else (246, 244, 238)), generator)
    shadow = None
    if generator.random() < settings.shadow_probability:
        depth = max(1.0, size * generator.uniform(0.03, 0.09))
        offset = (shadow_direction[0] * depth, shadow_direction[1] * depth)
        drawn = generator.random() < 0.3
        paint = np.asarray((12, 12, 14) if light > 35 else (225, 222, 215), dtype=np.float32)
        if drawn:
            shadow = Shadow(offset, 0.0, generator.uniform(0.7, 1.0), paint)
        elif light > 35:
            shadow = Shadow(offset, 0.5 * depth, generator.uniform(0.3, 0.65), paint)
    worn = painted and generator.random() < settings.wear
    return LetterStyle(
        color=color,
        gradient=generator.normal(0, 0.12) if generator.random() < 0.3 else 0.0,
        outline=outline,
        shadow=shadow,
        relief=generator.uniform(0.5, 1.0) if painted else 0.0,
        opacity=generator.uniform(0.82, 1.0) if painted else 1.0,
        wear=generator.uniform(0.1, 0.35) if worn else 0.0,
    )


def _sample_block(
    settings: SceneSettings, source: WordSource, fonts: FontLibrary, most_words: int, generator: np.random.Generator
) -> TextBlock:
    layout, lettering = settings.layout, settings.lettering
    case = source.sample_case(generator)
    words, font = _sample_words(layout.lines, layout.words_per_line, source, fonts, case, most_words, generator)
    low, high = layout.text_height
    height = float(np.exp(generator.uniform(np.log(low), np.log(high))))
    lines = []
    for number, line in enumerate(words):
        share = generator.uniform(0.5, 1.0) if number and generator.random() < 0.5 else 1.0
        lines.append(Line(line, max(height * share, min(low, height)) / fonts.line_height(font)))
    has_outline = generator.random() < lettering.outline_probability
    return TextBlock(
        lines=tuple(lines),
        font=font,
        stretch=generator.uniform(*lettering.stretch),
        spacing=generator.uniform(*lettering.spacing) if generator.random() < 0.5 else 0.0,
        word_gap=generator.uniform(0.3, 0.55),
        leading=generator.uniform(1.22, 1.6),
        align=float(generator.choice([0.0, 0.5, 1.0], p=[0.25, 0.7, 0.05])),
        outline=generator.uniform(0.03, 0.07) if has_outline else 0.0,
        margin=layout.polygon_margin,
    )


def _sample_words(
    lines: tuple[int, int],
    words_per_line: tuple[int, int],
    source: WordSource,
    fonts: FontLibrary,
    case: str,
    most_words: int,
    generator: np.random.Generator,
) -> tuple[list[tuple[str, ...]], int]:
    """Words of every line and a font that has all of their characters; words without a common font stand alone."""
    for _ in range(WORD_TRIES):
        counts = generator.integers(*words_per_line, size=generator.integers(*lines, endpoint=True), endpoint=True)
        words = [tuple(source.sample(generator, case) for _ in range(count)) for count in _limited(counts, most_words)]
        order = generator.permutation(len(fonts))
        for choice in (words, [words[0][:1]]):
            text = "".join(word for line in choice for word in line)
            font = next((int(number) for number in order if fonts.supports(int(number), text)), None)
            if font is not None:
                return choice, font
    raise DataError(
        f"no font can write {words[0][0]!r}, nor {WORD_TRIES - 1} other words that were tried; "
        "name a folder of fonts that have these characters, or other words"
    )


def _limited(counts: np.ndarray, most: int) -> list[int]:
    """Counts from the first on, cut where their sum reaches `most`."""
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return [int(count) for count in np.minimum(counts, most - before) if count > 0]
