"""What a generated scene may look like; one file of `configs/scenes` is one `SceneSettings`."""

from __future__ import annotations

import string
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from scenetext.config import Settings
from scenetext.data.transforms.camera import CameraSettings


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError(f"a range is [smallest, largest]; got {limits[0]} above {limits[1]}")
    return limits


def _without_blanks(characters: str) -> str:
    if not characters or not characters.isprintable() or any(character.isspace() for character in characters):
        raise ValueError("needs at least one character, all printable and none of them blank")
    return characters


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
PositiveRange = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]],
    AfterValidator(_ordered),
]
CountRange = Annotated[tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]], AfterValidator(_ordered)]
SideRange = Annotated[
    tuple[Annotated[int, Field(ge=32, le=4096)], Annotated[int, Field(ge=32, le=4096)]],
    AfterValidator(_ordered),
]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


class TextSettings(Settings):
    """What is written. Weights are relative to each other; they need not sum to one."""

    listed: Weight = 0.7
    """Weight of words from the word list."""
    numbers: Weight = 0.15
    """Weight of prices, telephone numbers, times, years, house numbers."""
    random: Weight = 0.15
    """Weight of random strings."""
    list_length: CountRange = (1, 14)
    """Fewest and most characters of a word that is taken from the list; others are dropped."""
    random_length: CountRange = (2, 8)
    """Fewest and most characters of a random string."""
    random_characters: Annotated[str, AfterValidator(_without_blanks)] = string.ascii_letters + string.digits
    """What random strings are made of, before the case is set."""
    upper: Weight = 0.45
    """Weight of signs set in CAPITALS."""
    title: Weight = 0.3
    """Weight of signs whose words begin With A Capital."""
    lower: Weight = 0.2
    """Weight of signs set in small letters."""
    unchanged: Weight = 0.05
    """Weight of signs whose words stay as they are in the list."""

    @model_validator(mode="after")
    def _something_to_choose(self) -> TextSettings:
        if not self.listed + self.numbers + self.random > 0:
            raise ValueError("one of the weights listed, numbers and random must be above 0")
        if not self.upper + self.title + self.lower + self.unchanged > 0:
            raise ValueError("one of the weights upper, title, lower and unchanged must be above 0")
        return self


class LayoutSettings(Settings):
    """Where and how words stand. A sign is a group of lines with one font, one colour and one position."""

    text_height: PositiveRange = (8.0, 72.0)
    """Height in pixels of a line from the top of an ascender to the bottom of a descender, before perspective. A sign
    too large for the image is made smaller until it fits, so a range above the image's height means "fill it"."""
    lines: CountRange = (1, 3)
    """Lines of a sign."""
    words_per_line: CountRange = (1, 3)
    """Words of a line."""
    rotation: Range = (-12.0, 12.0)
    """Rotation in the image plane, degrees, clockwise positive; values near 0 are more likely."""
    perspective: Share = 0.6
    """How obliquely a surface may be seen: 0 = from the front, 1 = turned by up to 55 degrees."""
    curve_probability: Share = 0.15
    """Share of signs of one or two lines that are set along an arc."""
    curve_angle: PositiveRange = (30.0, 110.0)
    """Angle that the arc spans over the width of the sign, degrees; half of the arcs open upward."""
    curve_points: Annotated[int, Field(ge=2, le=64)] = 7
    """Polygon points per side of a curved word; 7 gives the 14 points of Total-Text."""
    polygon_margin: Annotated[float, Field(ge=0, le=0.2)] = 0.04
    """Space between ink and polygon, as a share of the height of the line."""


class LetteringSettings(Settings):
    """What letters look like."""

    contrast_minimum: Annotated[float, Field(ge=0, le=80)] = 34.0
    """Smallest difference of CIE lightness L* (0 to 100) between letters and what is below them, in the light that is
    there; black on white where the light is too weak for it. Worn paint, shadows and blur may lower it locally."""
    stretch: PositiveRange = (0.8, 1.2)
    """Horizontal stretch of the letters."""
    spacing: Range = (-0.02, 0.15)
    """Extra space between letters, as a share of the font size; half of the signs have none."""
    outline_probability: Share = 0.12
    """Share of signs whose letters have an outline of another colour."""
    shadow_probability: Share = 0.2
    """Share of signs whose letters cast a shadow, soft or drawn."""
    wear: Share = 0.3
    """Share of painted signs whose paint is partly worn off."""


class SurfaceSettings(Settings):
    """What words stand on."""

    board_probability: Share = 0.6
    """Share of signs on a board (plate, panel, poster); the others are painted on a calm part of the background. A sign
    that cannot reach the minimum contrast on the background gets a board in any case."""
    post_probability: Share = 0.15
    """Share of boards that stand on a post."""
    symbol_probability: Share = 0.15
    """Share of boards with an arrow or another plain symbol beside the text."""
    photograph_share: Share = 1.0
    """Share of images whose background is a real image, where a folder of images is given; the rest are procedural."""
    facade_probability: Share = 0.75
    """Share of procedural backgrounds with windows, ground or sky; the rest show one wall from near."""


class SceneSettings(Settings):
    """Everything about a set of generated scenes."""

    width: SideRange = (512, 640)
    """Image width, pixels."""
    height: SideRange = (384, 480)
    """Image height, pixels."""
    words: CountRange = (3, 12)
    """Words per image. A crowded image may end up with fewer, but not without any."""
    ignore_height: Annotated[float, Field(ge=0)] = 8.0
    """Words lower than this in the image (pixels, mean over the word, polygon margin included) are marked `ignore`."""
    margin: Annotated[float, Field(ge=0)] = 3.0
    """Pixels between every polygon and the border of the image."""
    text: TextSettings = TextSettings()
    layout: LayoutSettings = LayoutSettings()
    lettering: LetteringSettings = LetteringSettings()
    surface: SurfaceSettings = SurfaceSettings()
    camera: CameraSettings = CameraSettings()

    @model_validator(mode="after")
    def _margin_leaves_room(self) -> SceneSettings:
        if 4 * self.margin > min(self.width[0], self.height[0]):
            raise ValueError(f"margin {self.margin} leaves less than half of an image {self.width[0]}x{self.height[0]}")
        return self
