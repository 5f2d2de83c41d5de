"""Settings of FCENet; defaults are the published ones for ICDAR 2015."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from scenetext.config import Settings

STRIDES = (8, 16, 32)
"""Input pixels per map pixel of the three levels; those of the last three of an encoder's four."""


def _is_range(bounds: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= bounds[0] < bounds[1]:
        raise ValueError(f"a range goes from 0 or more to a larger number; this one is {bounds}")
    return bounds


SizeRange = Annotated[tuple[float, float], AfterValidator(_is_range)]
"""(low, high), both exclusive, shares of the image size."""


class FCENetLossWeights(Settings):
    """Weight of every loss term; all the same in the published training."""

    text: float = Field(default=1.0, ge=0)
    """Cross-entropy of the text region."""
    centre: float = Field(default=1.0, ge=0)
    """Cross-entropy of the centre region."""
    contour_x: float = Field(default=1.0, ge=0)
    """Smooth L1 distance of the contour points, horizontally."""
    contour_y: float = Field(default=1.0, ge=0)
    """Smooth L1 distance of the contour points, vertically."""


class FCENetDecoding(Settings):
    """How maps become polygons."""

    text_exponent: float = Field(default=1.2, ge=0)
    """alpha: the score is (probability of text)^alpha (probability of centre)^beta; 1 for CTW1500."""
    centre_exponent: float = Field(default=1.0, ge=0)
    """beta; 2 for CTW1500."""
    score_threshold: float = Field(default=0.3, gt=0, lt=1)
    """Map pixels with a score above this are candidates."""
    maximum_candidates: int = Field(default=3000, ge=1)
    """Candidates of one level, the best ones; an image has some hundred. The published decoding has no limit, without
    which the maps of an untrained head may take minutes."""
    overlap_threshold: float = Field(default=0.1, ge=0, le=1)
    """Candidates with an IoU above this with a better one are dropped."""
    points: int = Field(default=50, ge=4)
    """Points of a contour."""
    polygon_shape: Literal["quad", "polygon"] = "quad"
    """Rectangle of least area (ICDAR 2015), or the contour itself (Total-Text, CTW1500)."""


class FCENetSettings(Settings):
    """FCENet: Fourier Contour Embedding for Arbitrary-Shaped Text Detection (CVPR 2021)."""

    name: Literal["fcenet"] = "fcenet"
    """Chooses this detector."""

    pyramid_channels: int = Field(default=256, ge=1)
    """Channels of every level of the feature pyramid."""
    degree: int = Field(default=5, ge=1, le=50)
    """K: contours have the 2 K + 1 Fourier coefficients of orders -K to K."""

    level_ranges: tuple[SizeRange, SizeRange, SizeRange] = ((0.0, 0.4), (0.3, 0.7), (0.6, 1.0))
    """Sizes of text that the maps at strides 8, 16 and 32 learn; CTW1500: 0-0.25, 0.2-0.65, 0.55-1."""
    size_reference: Literal["height", "longer_side"] = "height"
    """The size of a text is the longer side of its bounding box divided by this. The published rule takes the height of
    the image, so that a text wider than the image is high fits no level; text that fits none is ignored."""
    centre_shrink: float = Field(default=0.3, gt=0, le=1)
    """Height of the centre region, as a share of the height of the text."""
    centre_step: float = Field(default=4.0, gt=0)
    """Distance between the points of a centre line, in map pixels; its ends are shortened by whole steps."""

    loss_points: int = Field(default=50, ge=4)
    """Points of the contours that the loss compares; N' in section 3.3."""
    negative_ratio: float = Field(default=3.0, gt=0)
    """Hardest negatives that count in the text loss, per positive pixel of a level."""
    negatives_without_text: int = Field(default=100, ge=0)
    """Negatives that count in the text loss of a level that has no positive pixel."""
    loss_weights: FCENetLossWeights = FCENetLossWeights()
    """Weight of every loss term."""

    decoding: FCENetDecoding = FCENetDecoding()
    """How maps become polygons."""
