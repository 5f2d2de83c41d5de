"""Settings of PSENet; defaults are the published ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator

from scenetext.config import Settings


class PSENetLossWeights(Settings):
    """Weight of every loss term; the paper's lambda is 0.7."""

    text: float = Field(default=0.7, ge=0)
    """Dice loss of the whole texts."""
    kernels: float = Field(default=0.3, ge=0)
    """Dice loss of the shrunk kernels, averaged over them."""


class PSENetDecoding(Settings):
    """How kernel maps become polygons."""

    mask_threshold: float = Field(default=0.5, gt=0, lt=1)
    """Pixels of a probability above this belong to a kernel."""
    minimum_kernel_area: int = Field(default=0, ge=0)
    """Smaller parts of the smallest kernel start no text; pixels of the maps (16 of the input image)."""
    progressive: bool = True
    """Grow through all kernels, from the smallest to the whole texts, as the paper has it; false grows the smallest
    kernel straight into the whole texts, which is what mmcv's operator, and so MMOCR, does."""
    minimum_area: int = Field(default=16, ge=0)
    """Smaller texts are dropped; pixels of the maps (16 of the input image)."""
    score_threshold: float = Field(default=0.3, ge=0, le=1)
    """Texts whose mean probability is below this are dropped."""
    polygon_shape: Literal["quad", "polygon"] = "polygon"
    """Rectangle of least area (ICDAR 2015, TD500), or the outline itself (Total-Text, CTW1500)."""


class PSENetSettings(Settings):
    """PSENet: Shape Robust Text Detection with Progressive Scale Expansion Network (CVPR 2019)."""

    name: Literal["psenet"] = "psenet"
    """Chooses this detector."""

    pyramid_channels: int = Field(default=256, ge=1)
    """Channels of every level of the pyramid, and of what they are fused to."""
    fusion: Literal["concatenate", "add"] = "concatenate"
    """How the levels are fused."""
    head_channels: int = Field(default=256, ge=1)
    """Channels of the head in front of its maps."""

    shrink_ratios: tuple[float, ...] = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
    """r of every kernel, the whole text first: the polygon is shrunk by D = A (1 - r^2) / L."""
    maximum_shrink: int = Field(default=20, ge=0)
    """Limit of D; pixels of the training image."""

    negative_ratio: float = Field(default=3.0, gt=0)
    """Hardest negatives that count in the text loss, per positive pixel of an image."""
    kernel_sampling: Literal["predicted", "labelled"] = "predicted"
    """The kernel loss counts where text is predicted, as in the paper, or where text is."""
    full_size_loss: bool = True
    """Losses at the size of the image, the maps enlarged (MMOCR 1.x); false: at that of the maps (MMOCR 0.x)."""
    loss_weights: PSENetLossWeights = PSENetLossWeights()
    """Weight of every loss term."""

    decoding: PSENetDecoding = PSENetDecoding()
    """How kernel maps become polygons."""

    @field_validator("shrink_ratios")
    @classmethod
    def _check_ratios(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        """Decoding grows from the last map to the first, and the levels of the targets assume that order."""
        falling = all(larger > smaller for larger, smaller in pairwise(ratios))
        if len(ratios) < 2 or ratios[0] != 1 or ratios[-1] <= 0 or not falling:
            raise ValueError(f"expected 1 and then ever smaller ratios above 0, not {list(ratios)}")
        return ratios
