"""Settings of DBNet; defaults are the published ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scenetext.config import Settings


class DBNetLossWeights(Settings):
    """Weight of every loss term; the published training uses 5 : 10 : 1."""

    probability: float = Field(default=5.0, ge=0)
    """Balanced cross-entropy of the probability map."""
    threshold: float = Field(default=10.0, ge=0)
    """L1 distance of the threshold map, near the borders of text."""
    binary: float = Field(default=1.0, ge=0)
    """Dice loss of the approximate binary map."""


class DBNetDecoding(Settings):
    """How a probability map becomes polygons."""

    mask_threshold: float = Field(default=0.3, gt=0, lt=1)
    """Pixels of a probability above this are text."""
    score_threshold: float = Field(default=0.3, ge=0, le=1)
    """Candidates whose mean probability is below this are dropped."""
    unclip_ratio: float = Field(default=1.5, gt=0)
    """u: a candidate of area A and perimeter L is grown by A u / L to make up for the shrunk training target."""
    minimum_width: float = Field(default=5.0, ge=0)
    """Rectangles ("quad") with a shorter side than this are dropped; pixels of the input image."""
    maximum_candidates: int = Field(default=1000, ge=1)
    """Contours considered in one image, the largest ones; those of specks (fewer than four points) are none."""
    polygon_shape: Literal["quad", "polygon"] = "quad"
    """Rectangle of least area (ICDAR 2015, TD500), or the grown contour itself (Total-Text, CTW1500)."""
    epsilon_ratio: float = Field(default=0.01, ge=0, lt=1)
    """Largest deviation of the simplified contour, as a share of its perimeter."""


class BinarizationSettings(Settings):
    """What all detectors with differentiable binarization share: DBNet, and those that change its neck alone."""

    name: str
    """Chooses the detector."""

    inner_channels: int = Field(default=256, ge=1)
    """Channels of every level while the levels are summed top-down."""
    level_channels: int = Field(default=64, ge=1)
    """Channels that every level gives to the fused feature, and width of the two branches of the head."""

    shrink_ratio: float = Field(default=0.4, gt=0, lt=1)
    """r: the text kernel is the polygon shrunk by D = A (1 - r^2) / L; the border ring is 2 D wide."""
    minimum_side: float = Field(default=8.0, ge=0)
    """Text whose least rectangle has a shorter side is ignored; pixels of the training image."""
    threshold_low: float = Field(default=0.3, ge=0, le=1)
    """Threshold map far from any border."""
    threshold_high: float = Field(default=0.7, ge=0, le=1)
    """Threshold map on a border."""

    amplification: float = Field(default=50.0, gt=0)
    """k of the approximate step function 1 / (1 + exp(-k (P - T))); section 3.2."""
    negative_ratio: float = Field(default=3.0, gt=0)
    """Hardest negatives that count in the probability loss, per positive pixel of the batch."""
    negatives_without_text: int = Field(default=0, ge=0)
    """Negatives that count in the probability loss of a batch that has no positive pixel; 0 as published."""
    loss_weights: DBNetLossWeights = DBNetLossWeights()
    """Weight of every loss term."""

    decoding: DBNetDecoding = DBNetDecoding()
    """How a probability map becomes polygons."""

    @model_validator(mode="after")
    def _check_threshold_range(self) -> BinarizationSettings:
        if self.threshold_low >= self.threshold_high:
            raise ValueError(
                f"threshold_low ({self.threshold_low}) must be below threshold_high ({self.threshold_high})"
            )
        return self


class DBNetSettings(BinarizationSettings):
    """DBNet: Real-time Scene Text Detection with Differentiable Binarization (AAAI 2020)."""

    name: Literal["dbnet"] = "dbnet"
    """Chooses this detector."""
