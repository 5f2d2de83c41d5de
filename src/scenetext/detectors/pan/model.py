"""Neck and head of PAN: light pyramids one after the other, summed, and one head for all maps (section 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.detectors.pan.config import PANSettings
from scenetext.errors import ConfigError
from scenetext.layers.convolution import ConvolutionBlock, MapPredictor, initialise_uniformly
from scenetext.structures import Features


class SeparableConvolution(nn.Module):
    """3x3 convolution within every channel, 1x1 convolution across them, batch normalisation, ReLU.

    Args:
        channels: of the input and the output.
        stride: by which the map becomes smaller.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.within = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels)
        self.across = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, feature: Tensor) -> Tensor:
        """feature: (B, channels, h, w), to (B, channels, h / stride, w / stride)."""
        return F.relu(self.norm(self.across(self.within(feature))))


class PyramidEnhancement(nn.Module):
    """FPEM: levels of equal channels strengthened on the way up to the finest and again on the way down.

    Args:
        channels: of every level.
        levels: how many there are.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.to_finer = nn.ModuleList(SeparableConvolution(channels, stride=1) for _ in range(levels - 1))
        self.to_coarser = nn.ModuleList(SeparableConvolution(channels, stride=2) for _ in range(levels - 1))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """levels: (B, channels, h_i, w_i), finest first, each half as large as the one before; to the same shapes."""
        enhanced = list(levels)
        for index, convolution in zip(range(len(enhanced) - 2, -1, -1), self.to_finer, strict=True):
            enhanced[index] = convolution(_sum_at_finer(enhanced[index + 1], enhanced[index]))
        for index, convolution in enumerate(self.to_coarser):
            enhanced[index + 1] = convolution(_sum_at_finer(enhanced[index + 1], enhanced[index]))
        return enhanced


class EnhancedPyramid(nn.Module):
    """FPEMs one after the other and FFM: four levels to one feature at the stride of the finest.

    Args:
        channels: of every level, finest first.
        width: channels of every level within.
        pyramids: number of FPEMs.
    """

    def __init__(self, channels: Sequence[int], width: int, pyramids: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(ConvolutionBlock(count, width, 1, bias=True) for count in channels)
        self.enhancements = nn.ModuleList(PyramidEnhancement(width, len(channels)) for _ in range(pyramids))
        self.apply(initialise_uniformly)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """levels: (B, channels[i], h_i, w_i), finest first, to (B, width * len(levels), h_0, w_0)."""
        enhanced = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        summed: list[Tensor] = []
        for enhancement in self.enhancements:
            enhanced = enhancement(enhanced)
            summed = [total + level for total, level in zip(summed, enhanced, strict=True)] if summed else enhanced
        finest = summed[0].shape[-2:]
        return torch.cat([summed[0], *(F.interpolate(s, size=finest, mode="bilinear") for s in summed[1:])], dim=1)


class PANHead(nn.Module):
    """Features to the text map, the kernel map and the similarity vectors (figure 3 of the paper).

    Args:
        config: widths.
        channels: of the four levels, at strides 4, 8, 16 and 32.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, config: PANSettings, channels: Sequence[int]) -> None:
        super().__init__()
        if len(channels) != 4:
            raise ConfigError(
                f"pan needs an encoder with four levels at strides 4, 8, 16, 32; this one has {len(channels)}"
            )
        self.pyramid = EnhancedPyramid(channels, config.pyramid_channels, config.pyramids)
        fused_channels = config.pyramid_channels * len(channels)
        self.maps = MapPredictor(fused_channels, config.head_channels, 2 + config.embedding_channels)

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W), to maps at a quarter of their size, h = H / 4 and w = W / 4.

        text, kernel: logits (B, h, w). embedding: (B, E, h, w), the similarity vectors, unbounded.
        """
        maps = self.maps(self.pyramid(features.levels))
        return {"text": maps[:, 0], "kernel": maps[:, 1], "embedding": maps[:, 2:]}


def head(config: PANSettings, channels: Sequence[int]) -> PANHead:
    """Neck and head for an encoder with these channels; see `PANHead`."""
    return PANHead(config, channels)


def _sum_at_finer(coarse: Tensor, fine: Tensor) -> Tensor:
    """Two levels (B, C, h, w) added at the size of the finer; the coarser with the pixels it has, as published."""
    return fine + F.interpolate(coarse, size=fine.shape[-2:], mode="nearest")
