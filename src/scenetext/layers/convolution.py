"""Convolutions as the necks and heads of several detectors stack them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ConvolutionBlock(nn.Module):
    """Convolution, batch normalisation, ReLU; the map keeps its size.

    Args:
        channels: of the input.
        width: channels of the output.
        size: side of the kernel, odd.
        bias: whether the convolution has one; the normalisation cancels it, but published weights have it.
    """

    def __init__(self, channels: int, width: int, size: int, bias: bool = False) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, size, padding=size // 2, bias=bias)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, feature: Tensor) -> Tensor:
        """feature: (B, channels, h, w), to (B, width, h, w)."""
        return F.relu(self.norm(self.convolution(feature)))


class MapPredictor(nn.Module):
    """A fused feature to maps of logits of the same size: the head of PSENet and PAN.

    Args:
        channels: of the feature.
        width: channels in between.
        maps: channels of the result.
    """

    def __init__(self, channels: int, width: int, maps: int) -> None:
        super().__init__()
        self.reduce = ConvolutionBlock(channels, width, 3, bias=True)
        self.predict = nn.Conv2d(width, maps, 1)
        for convolution in (self.reduce.convolution, self.predict):
            nn.init.normal_(convolution.weight, std=0.01)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)

    def forward(self, feature: Tensor) -> Tensor:
        """feature: (B, channels, h, w), to (B, maps, h, w)."""
        return self.predict(self.reduce(feature))


def initialise_uniformly(module: nn.Module) -> None:
    """Xavier's uniform distribution for the weights of a convolution, 0 for its bias; other modules stay as they are.

    For `nn.Module.apply`. As in MMOCR's necks.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
