"""The neck of TextSnake and DRRG: a U-Net over an encoder's levels, up to the size of the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.errors import ConfigError
from scenetext.layers.convolution import initialise_uniformly


class FpnUnet(nn.Module):
    """Four levels to one feature at the size of the image (TextSnake, section 3.2; FPN-UNet in MMOCR).

    The coarsest level is enlarged first. The next finer level is then joined behind the feature and both pass a block
    that doubles the size, three times; the last block joins nothing. Without normalisation, all with bias.

    Args:
        channels: of the four levels, at strides 4, 8, 16 and 32.
        width: channels of the result; the blocks before it have 8, 4, 2 and 1 times as many.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        if len(channels) != 4:
            raise ConfigError(
                f"this neck needs an encoder with four levels at strides 4, 8, 16, 32; this one has {len(channels)}"
            )
        self.first = _double_size(channels[3], 8 * width)
        self.blocks = nn.ModuleList(
            (
                UpBlock(8 * width + channels[2], 4 * width),
                UpBlock(4 * width + channels[1], 2 * width),
                UpBlock(2 * width + channels[0], width),
                UpBlock(width, width),
            )
        )
        self.apply(initialise_uniformly)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """levels: (B, channels[i], H / s, W / s) for the strides s = 4, 8, 16, 32, to (B, width, H, W)."""
        feature = F.relu(self.first(levels[3]))
        *joining, last = self.blocks
        for block, level in zip(joining, (levels[2], levels[1], levels[0]), strict=True):
            feature = F.relu(block(torch.cat((feature, level), dim=1)))
        result: Tensor = last(feature)
        return result


class UpBlock(nn.Module):
    """Two convolutions, then one that doubles the size.

    Args:
        channels: of the input, kept by the first convolution.
        width: channels of the result.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)
        self.reduce = nn.Conv2d(channels, width, 3, padding=1)
        self.enlarge = _double_size(width, width)

    def forward(self, feature: Tensor) -> Tensor:
        """feature: (B, channels, h, w), to (B, width, 2 h, 2 w)."""
        result: Tensor = self.enlarge(F.relu(self.reduce(F.relu(self.mix(feature)))))
        return result


def _double_size(channels: int, width: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1)
