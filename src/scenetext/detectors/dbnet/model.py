"""Neck and head of DBNet: a feature pyramid fused at stride 4, and one branch for each of the two maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.detectors.dbnet.config import DBNetSettings
from scenetext.errors import ConfigError
from scenetext.structures import Features


class FusedPyramid(nn.Module):
    """Four levels to one map at the stride of the finest: summed top-down, smoothed, enlarged and concatenated.

    Args:
        channels: of every level, finest first.
        inner_channels: of every level while they are summed.
        level_channels: what every level gives to the result.

    Attributes:
        channels: of the result.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, channels: Sequence[int], inner_channels: int, level_channels: int) -> None:
        super().__init__()
        if len(channels) != 4:
            raise ConfigError(
                "differentiable binarization needs an encoder with four levels at strides 4, 8, 16, 32; "
                f"this one has {len(channels)}"
            )
        self.channels = level_channels * len(channels)
        self.lateral = nn.ModuleList(nn.Conv2d(width, inner_channels, 1, bias=False) for width in channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(inner_channels, level_channels, 3, padding=1, bias=False) for _ in channels
        )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """levels: (B, channels[i], h_i, w_i), finest first, to (B, level_channels * len(levels), h_0, w_0)."""
        return torch.cat(self.smoothed(levels), dim=1)

    def smoothed(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """The levels before they are concatenated: (B, level_channels, h_0, w_0) each."""
        summed = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        for index in range(len(summed) - 1, 0, -1):
            finer = summed[index - 1]
            summed[index - 1] = finer + F.interpolate(summed[index], size=finer.shape[-2:], mode="nearest")
        finest = summed[0].shape[-2:]
        smoothed = [smooth(level) for smooth, level in zip(self.smooth, summed, strict=True)]
        return [smoothed[0], *(F.interpolate(level, size=finest, mode="nearest") for level in smoothed[1:])]


class MapBranch(nn.Module):
    """The fused feature at stride 4 to one map of logits at the input's size.

    Args:
        channels: of the fused feature.
        width: channels in between.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(width)
        self.enlarge = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.enlarge_norm = nn.BatchNorm2d(width)
        self.predict = nn.ConvTranspose2d(width, 1, 2, stride=2)

    def forward(self, feature: Tensor) -> Tensor:
        """feature: (B, channels, h, w), to logits (B, 4 h, 4 w)."""
        reduced = F.relu(self.reduce_norm(self.reduce(feature)))
        enlarged = F.relu(self.enlarge_norm(self.enlarge(reduced)))
        return self.predict(enlarged).squeeze(1)


class DBNetHead(nn.Module):
    """Features to the probability and the threshold map (figure 3 of the paper).

    Args:
        pyramid: levels at strides 4, 8, 16 and 32 to one map at stride 4; DBNet's, or one that fuses them otherwise.
        width: channels within the two branches.
    """

    def __init__(self, pyramid: FusedPyramid, width: int) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.probability = MapBranch(pyramid.channels, width)
        self.threshold = MapBranch(pyramid.channels, width)
        self.apply(_initialise)

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W), to logits "probability" and "threshold", (B, H, W) each.

        Inference has no branch "threshold", and then there is no such map (`DetectorSpec.training_maps`).
        """
        fused = self.pyramid(features.levels)
        return {name: branch(fused) for name, branch in self.named_children() if isinstance(branch, MapBranch)}


def head(config: DBNetSettings, channels: Sequence[int]) -> DBNetHead:
    """Neck and head for an encoder with these channels.

    Raises:
        ConfigError: the encoder has not four levels.
    """
    return DBNetHead(FusedPyramid(channels, config.inner_channels, config.level_channels), config.level_channels)


def _initialise(module: nn.Module) -> None:
    """Kaiming's normal distribution for convolutions (biases 0), 1 and 1e-4 for normalisations; the rest as torch does.

    As in MMOCR, whose DBNet the published oCLIP results were trained with; the official code draws the transposed
    convolutions from Kaiming's as well, counting four times too few inputs, so that logits start near -5 and 5.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.constant_(module.weight, 1.0)
        nn.init.constant_(module.bias, 1e-4)
