"""The map of a region that recognisers look at, whatever the size of its features."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def encoded_map(features: Tensor, convolution: nn.Conv2d, size: tuple[int, int]) -> Tensor:
    """Features (R, C, h, w), resized, convolved and pooled to (R, channels, *size); Mask TextSpotter, section 3.4."""
    height, width = size
    sized = F.interpolate(features, size=(2 * height, 2 * width), mode="bilinear")
    return F.max_pool2d(F.relu(convolution(sized)), 2)
