"""Pixels to the numbers that an encoder expects, on the device; and layer norm for maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PixelNormalization(nn.Module):
    """(B, 3, H, W) uint8 RGB to float: divided by 255, minus mean, over standard deviation, in one multiply-add.

    Args:
        mean, std: RGB statistics of pixels in [0, 1].
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        mean_3, std_3 = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
        self.register_buffer("scale", 1 / (255 * std_3), persistent=False)
        self.register_buffer("shift", -mean_3 / std_3, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W) uint8; returns the same shape and memory layout in float32."""
        return torch.addcmul(self.shift, images.float(), self.scale)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every position of (B, C, H, W)."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return super().forward(features.movedim(1, -1)).movedim(-1, 1)
