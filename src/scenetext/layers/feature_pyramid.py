"""The feature pyramid network: every level gets the features of the coarser ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class FeaturePyramid(nn.Module):
    """Levels of an encoder to as many levels of one width: summed top-down, then smoothed.

    Source: Feature Pyramid Networks (Lin et al., CVPR 2017, arXiv:1612.03144), section 3.

    Args:
        channels: of every level, finest first.
        width: channels of every level of the result.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        for convolution in (*self.lateral, *self.smooth):
            nn.init.xavier_uniform_(convolution.weight)
            nn.init.zeros_(convolution.bias)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """levels: (B, channels[i], h_i, w_i), finest first, to (B, width, h_i, w_i)."""
        summed = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        for index in range(len(summed) - 1, 0, -1):
            finer = summed[index - 1]
            summed[index - 1] = finer + F.interpolate(summed[index], size=finer.shape[-2:], mode="nearest")
        return [smooth(level) for smooth, level in zip(self.smooth, summed, strict=True)]
