"""ViTDet's simple feature pyramid: levels of several strides from the one map of a plain vision transformer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from scenetext.layers.normalization import ChannelNorm


class SimplePyramid(nn.ModuleDict):
    """One map to a level for each stride (Li et al., ECCV 2022, section 3): finer by deconvolution, coarser by pooling.

    Every deconvolution doubles the size and halves the channels; layer norm and GELU stand between two of them. Each
    level ends with a 1x1 and a 3x3 convolution to the same width, a layer norm over the channels behind each.

    Args:
        channels: of the map.
        stride: input pixels per pixel of the map, a power of two.
        strides: those of the levels, powers of two; each level is the module of this name.
        width: channels of every level.
    """

    def __init__(self, channels: int, stride: int, strides: Sequence[int], width: int) -> None:
        super().__init__({str(target): _level(channels, stride, target, width) for target in strides})

    def forward(self, features: Tensor) -> list[Tensor]:
        """(B, channels, h, w) -> (B, width, h * stride / target, w * stride / target) for each target stride."""
        return [level(features) for level in self.values()]


def _level(channels: int, stride: int, target: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for step in range(int(math.log2(stride / target))):
        layers += [ChannelNorm(channels), nn.GELU()] if step else []
        layers.append(nn.ConvTranspose2d(channels, channels // 2, kernel_size=2, stride=2))
        channels //= 2
    if target > stride:
        layers.append(nn.MaxPool2d(target // stride))
    return nn.Sequential(
        *layers,
        *(nn.Conv2d(channels, width, 1, bias=False), ChannelNorm(width)),
        *(nn.Conv2d(width, width, 3, padding=1, bias=False), ChannelNorm(width)),
    )
