"""Neck and head of PSENet: a feature pyramid fused at stride 4, and one map for every kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.detectors.psenet.config import PSENetSettings
from scenetext.errors import ConfigError
from scenetext.layers.convolution import ConvolutionBlock, MapPredictor, initialise_uniformly
from scenetext.structures import Features


class SmoothedPyramid(nn.Module):
    """Four levels to one map at the stride of the finest: summed and smoothed top-down, enlarged and fused.

    Args:
        channels: of every level, finest first.
        width: of every level of the pyramid and of the result.
        fusion: how the levels are fused.
    """

    def __init__(self, channels: Sequence[int], width: int, fusion: Literal["concatenate", "add"]) -> None:
        super().__init__()
        self.fusion = fusion
        self.lateral = nn.ModuleList(ConvolutionBlock(count, width, 1) for count in channels)
        self.smooth = nn.ModuleList(ConvolutionBlock(width, width, 3) for _ in channels[1:])
        self.fuse = ConvolutionBlock(width * len(channels) if fusion == "concatenate" else width, width, 3)
        self.apply(initialise_uniformly)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """levels: (B, channels[i], h_i, w_i), finest first, to (B, width, h_0, w_0)."""
        summed = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        for index in range(len(summed) - 1, 0, -1):
            finer = summed[index - 1]
            above = F.interpolate(summed[index], size=finer.shape[-2:], mode="nearest")
            summed[index - 1] = self.smooth[index - 1](finer + above)
        finest = summed[0].shape[-2:]
        enlarged = [summed[0], *(F.interpolate(level, size=finest, mode="nearest") for level in summed[1:])]
        return self.fuse(torch.cat(enlarged, dim=1) if self.fusion == "concatenate" else torch.stack(enlarged).sum(0))


class PSENetHead(nn.Module):
    """Features to the maps of the kernels (figure 3 of the paper).

    Args:
        config: widths and kernels.
        channels: of the four levels, at strides 4, 8, 16 and 32.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, config: PSENetSettings, channels: Sequence[int]) -> None:
        super().__init__()
        if len(channels) != 4:
            raise ConfigError(
                f"psenet needs an encoder with four levels at strides 4, 8, 16, 32; this one has {len(channels)}"
            )
        self.pyramid = SmoothedPyramid(channels, config.pyramid_channels, config.fusion)
        self.kernels = MapPredictor(config.pyramid_channels, config.head_channels, len(config.shrink_ratios))

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W), to logits "kernels", (B, K, H / 4, W / 4), the whole texts first."""
        return {"kernels": self.kernels(self.pyramid(features.levels))}


def head(config: PSENetSettings, channels: Sequence[int]) -> PSENetHead:
    """Neck and head for an encoder with these channels; see `PSENetHead`."""
    return PSENetHead(config, channels)
