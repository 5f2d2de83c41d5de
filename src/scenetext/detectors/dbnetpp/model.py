"""Neck of DBNet++: DBNet's pyramid, whose levels are weighted at every position before they are concatenated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.detectors.dbnet.model import DBNetHead, FusedPyramid
from scenetext.detectors.dbnetpp.config import DBNetPPSettings

CHANNEL_REDUCTION = 4
"""The channel attention passes through a fourth of the channels, as published."""


class ScaleAttention(nn.Module):
    """Weights of the levels at every position: attention over channels, then positions, then levels (section 3.3).

    As in the published models, the outputs of the first two are added to the feature, and the weights of the levels
    are independent sigmoids, not a softmax.

    Args:
        channels: of the feature.
        levels: number of weights at every position.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        reduced = max(channels // CHANNEL_REDUCTION, 1)
        self.channel_reduce = nn.Conv2d(channels, reduced, 1, bias=False)
        self.channel_restore = nn.Conv2d(reduced, channels, 1, bias=False)
        self.spatial_filter = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.spatial_scale = nn.Conv2d(1, 1, 1, bias=False)
        self.level_weights = nn.Conv2d(channels, levels, 1, bias=False)

    def forward(self, feature: Tensor) -> Tensor:
        """feature: (B, channels, h, w), to weights (B, levels, h, w) in (0, 1)."""
        mean = feature.mean(dim=(2, 3), keepdim=True)
        feature = feature + self.channel_restore(F.relu(self.channel_reduce(mean))).sigmoid()
        mean = feature.mean(dim=1, keepdim=True)
        feature = feature + self.spatial_scale(F.relu(self.spatial_filter(mean))).sigmoid()
        return self.level_weights(feature).sigmoid()


class ScaleFusedPyramid(FusedPyramid):
    """DBNet's pyramid with adaptive scale fusion; arguments, result and errors are those of `FusedPyramid`."""

    def __init__(self, channels: Sequence[int], inner_channels: int, level_channels: int) -> None:
        super().__init__(channels, inner_channels, level_channels)
        self.mix = nn.Conv2d(self.channels, self.channels, 3, padding=1)
        self.attention = ScaleAttention(self.channels, len(channels))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """levels: (B, channels[i], h_i, w_i), finest first, to (B, level_channels * len(levels), h_0, w_0)."""
        smoothed = self.smoothed(levels)
        weights = self.attention(self.mix(torch.cat(smoothed, dim=1)))
        return torch.cat([level * weights[:, i : i + 1] for i, level in enumerate(smoothed)], dim=1)


def head(config: DBNetPPSettings, channels: Sequence[int]) -> DBNetHead:
    """Neck and head for an encoder with these channels.

    Raises:
        ConfigError: the encoder has not four levels.
    """
    return DBNetHead(ScaleFusedPyramid(channels, config.inner_channels, config.level_channels), config.level_channels)
