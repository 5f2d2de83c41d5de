"""Settings of Blob."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scenetext.config import Settings


class BlobLossWeights(Settings):
    """Weight of every loss term."""

    kernel: float = Field(default=1.0, ge=0)
    """Balanced cross-entropy of the kernel map."""


class BlobDecoding(Settings):
    """From the map to detections."""

    polygon_shape: Literal["quad", "polygon"] = "polygon"
    """Outlines as they are, or as rotated rectangles; data sets set it."""


class BlobSettings(Settings):
    """Blob."""

    name: Literal["blob"] = "blob"
    """Chooses this detector."""
    channels: int = Field(default=64, ge=1)
    """Channels of the fused levels."""
    margin: int = Field(default=3, ge=1)
    """Distance between a text and its kernel; pixels."""
    decoding: BlobDecoding = BlobDecoding()
    """From the map to detections."""
    loss_weights: BlobLossWeights = BlobLossWeights()
    """Weight of every loss term."""
