"""Settings of PAN; defaults are the published ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scenetext.config import Settings

LARGEST_NUMBER_OF_PYRAMIDS = 8
"""For more, `NAMES` in `mmocr.py` would need more entries; published models have 2 and 4."""


class PANLossWeights(Settings):
    """Weight of every loss term; the paper's alpha is 0.5, its beta 0.25."""

    text: float = Field(default=1.0, ge=0)
    """Dice loss of the whole texts."""
    kernel: float = Field(default=0.5, ge=0)
    """Dice loss of the kernels."""
    aggregation: float = Field(default=0.25, ge=0)
    """Draws the vectors of a text to the mean vector of its kernel."""
    discrimination: float = Field(default=0.25, ge=0)
    """Drives the mean vectors of different kernels apart."""
    length: float = Field(default=0.00025, ge=0)
    """Keeps the mean vectors short; not in the paper, but in the official code (0.001 times beta)."""


class PANDecoding(Settings):
    """How the maps become polygons."""

    text_threshold: float = Field(default=0.5, gt=0, lt=1)
    """Pixels of a text probability above this are text."""
    kernel_threshold: float = Field(default=0.5, gt=0, lt=1)
    """Text pixels of a kernel probability above this are kernels."""
    distance_threshold: float = Field(default=3.0, gt=0)
    """A pixel joins a kernel if its vector is nearer than this to the mean vector of the kernel."""
    minimum_area: int = Field(default=16, ge=0)
    """Smaller texts are dropped; pixels of the maps (16 of the input image)."""
    score_threshold: float = Field(default=0.3, ge=0, le=1)
    """Texts whose mean probability is below this are dropped."""
    polygon_shape: Literal["quad", "polygon"] = "quad"
    """Rectangle of least area (ICDAR 2015, TD500), or the outline itself (Total-Text, CTW1500)."""


class PANSettings(Settings):
    """PAN: Efficient and Accurate Arbitrary-Shaped Text Detection with Pixel Aggregation Network (ICCV 2019)."""

    name: Literal["pan"] = "pan"
    """Chooses this detector."""

    pyramid_channels: int = Field(default=128, ge=1)
    """Channels of every level of the pyramids."""
    pyramids: int = Field(default=2, ge=1, le=LARGEST_NUMBER_OF_PYRAMIDS)
    """Feature pyramid enhancement modules, one after the other."""
    head_channels: int = Field(default=128, ge=1)
    """Channels of the head in front of its maps."""
    embedding_channels: int = Field(default=4, ge=1)
    """Length of the similarity vectors."""

    shrink_ratio: float = Field(default=0.5, gt=0, lt=1)
    """r: the kernel is the polygon shrunk by D = A (1 - r^2) / L; the paper has 0.7 for curved text (CTW1500)."""
    maximum_shrink: int = Field(default=20, ge=0)
    """Limit of D; pixels of the training image."""

    negative_ratio: float = Field(default=3.0, gt=0)
    """Hardest negatives that count in the text loss, per positive pixel of an image."""
    aggregation_margin: float = Field(default=0.5, ge=0)
    """Vectors nearer than this to the mean of their kernel are near enough."""
    discrimination_margin: float = Field(default=3.0, ge=0)
    """Mean vectors of two kernels further apart than this are far enough."""
    full_size_loss: bool = True
    """Losses at the size of the image, the maps enlarged (MMOCR 1.x); false: at that of the maps (MMOCR 0.x)."""
    loss_weights: PANLossWeights = PANLossWeights()
    """Weight of every loss term."""

    decoding: PANDecoding = PANDecoding()
    """How the maps become polygons."""
