"""Settings of TextSnake; defaults are the published ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scenetext.config import Settings


class TextSnakeLossWeights(Settings):
    """Weight of every loss term; all the same in the published training."""

    text: float = Field(default=1.0, ge=0)
    """Cross-entropy of the text region."""
    centre: float = Field(default=1.0, ge=0)
    """Cross-entropy of the centre region, inside text."""
    radius: float = Field(default=1.0, ge=0)
    """Smooth L1 distance of the radius, relative to the true one."""
    sin: float = Field(default=1.0, ge=0)
    """Smooth L1 distance of the sine of the direction."""
    cos: float = Field(default=1.0, ge=0)
    """Smooth L1 distance of the cosine of the direction."""


class TextSnakeDecoding(Settings):
    """How maps become polygons. The published configuration also has a threshold of text, which decides nothing."""

    centre_threshold: float = Field(default=0.2, gt=0, lt=1)
    """A pixel belongs to a centre region where (probability of text) (probability of centre) is above this."""
    minimum_area: float = Field(default=30.0, ge=0)
    """Centre regions whose outline encloses less are dropped, square pixels."""
    step_share: float = Field(default=0.03, gt=0, le=1)
    """Steps from the skeleton towards the border of the centre region, as a share of the radius there."""
    radius_growth: float = Field(default=1.03, gt=0)
    """Factor on the predicted radius of every disk."""
    merge_share: float = Field(default=0.03, ge=0)
    """Disks nearer to a better one than this share of the sum of both radii are merged with it."""
    polygon_shape: Literal["quad", "polygon"] = "quad"
    """Rectangle of least area around the disks, or their outline (published, on all datasets)."""


class TextSnakeSettings(Settings):
    """TextSnake: A Flexible Representation for Detecting Text of Arbitrary Shapes (ECCV 2018)."""

    name: Literal["textsnake"] = "textsnake"
    """Chooses this detector."""

    width: int = Field(default=32, ge=1)
    """Channels of the feature at the size of the image."""

    centre_shrink: float = Field(default=0.3, gt=0, le=1)
    """Height of the centre region, as a share of the height of the text."""
    centre_step: float = Field(default=4.0, gt=0)
    """Distance between the points of a centre line, pixels; its ends are shortened by whole steps."""

    negative_ratio: float = Field(default=3.0, gt=0)
    """Hardest negatives that count in the text loss, per positive pixel of the batch."""
    negatives_without_text: int = Field(default=100, ge=0)
    """Negatives that count in the text loss of a batch that has no positive pixel."""
    loss_weights: TextSnakeLossWeights = TextSnakeLossWeights()
    """Weight of every loss term."""

    decoding: TextSnakeDecoding = TextSnakeDecoding()
    """How maps become polygons."""
