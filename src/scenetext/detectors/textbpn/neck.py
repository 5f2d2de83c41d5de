"""The neck of TextBPN: a U-Net from an encoder's levels and its stem up to the size of the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (128, 64, 32, 32)
"""Channels after every block, coarsest first."""
DEEPEST = 256
"""Channels of the coarsest level once it is enlarged."""


class StemUnet(nn.Module):
    """Levels and stem of an encoder to one feature (figure 2 of the paper; its shared convolutions).

    The coarsest level is enlarged; then a block after another joins the next finer level, the last one the stem. Blocks
    double the size, but for the last ones where the stride is larger than 1. Without normalisation, all with bias.

    Args:
        channels: of the four levels at strides 4, 8, 16 and 32.
        stem: channels of the stem, at stride 4; 0 = there is none, and the last block joins nothing.
        stride: input pixels per pixel of the result: 1, 2 or 4.
    """

    width = WIDTHS[-1]
    """Channels of the result."""

    def __init__(self, channels: Sequence[int], stem: int, stride: int) -> None:
        super().__init__()
        self.stem_channels = stem
        self.first = _double_size(channels[3], DEEPEST)
        self.enlarge_stem = _double_size(stem, stem) if stem and stride < 4 else None
        joined = (channels[2], channels[1], channels[0], stem)
        running = (DEEPEST, *WIDTHS[:-1])
        doubled = (True, True, stride < 4, stride < 2)
        self.blocks = nn.ModuleList(
            JoiningBlock(level + feature, width, enlarge)
            for level, feature, width, enlarge in zip(joined, running, WIDTHS, doubled, strict=True)
        )

    def forward(self, levels: Sequence[Tensor], stem: Tensor | None) -> Tensor:
        """levels: (B, channels[i], H / s, W / s), s = 4, 8, 16, 32; stem: (B, C, H / 4, W / 4), where there is one.

        Returns:
            (B, 32, H / stride, W / stride).
        """
        feature = F.relu(self.first(levels[3]))
        *joining, last = self.blocks
        for block, level in zip(joining, (levels[2], levels[1], levels[0]), strict=True):
            feature = block(torch.cat((level, feature), dim=1))
        if self.stem_channels and stem is not None:
            enlarged = stem if self.enlarge_stem is None else self.enlarge_stem(stem)
            feature = torch.cat((enlarged, feature), dim=1)
        result: Tensor = last(feature)
        return result


class JoiningBlock(nn.Module):
    """Two convolutions and, on request, one that doubles the size, each with a ReLU.

    Args:
        channels: of the input.
        width: channels of the result.
        enlarge: whether the size is doubled.
    """

    def __init__(self, channels: int, width: int, enlarge: bool) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, width, 1)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)
        self.enlarge = _double_size(width, width) if enlarge else None

    def forward(self, feature: Tensor) -> Tensor:
        """feature: (B, channels, h, w), to (B, width, h, w) or (B, width, 2 h, 2 w)."""
        feature = F.relu(self.smooth(F.relu(self.reduce(feature))))
        return feature if self.enlarge is None else F.relu(self.enlarge(feature))


def _double_size(channels: int, width: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1)
