"""Levels from one map: their sizes, and what is computed for each."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.encoders.simple_pyramid import SimplePyramid


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_levels_cover_the_image_at_their_strides(stride: int) -> None:
    pyramid = SimplePyramid(channels=16, stride=stride, strides=(4, 8, 16, 32), width=6)
    levels = pyramid(torch.randn(2, 16, 128 // stride, 192 // stride))
    assert [tuple(level.shape) for level in levels] == [(2, 6, 128 // side, 192 // side) for side in (4, 8, 16, 32)]


def norm(features: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    gain, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return F.layer_norm(features.permute(0, 2, 3, 1), gain.shape, gain, bias).permute(0, 3, 1, 2)


@torch.no_grad()
def test_levels_are_those_of_the_paper() -> None:
    """Written out: section 3 of ViTDet, with the norms of its implementation."""
    torch.manual_seed(0)
    pyramid = SimplePyramid(channels=8, stride=16, strides=(4, 8, 16, 32), width=6)
    weights = {name: torch.randn_like(value) for name, value in pyramid.state_dict().items()}
    pyramid.load_state_dict(weights)
    features = torch.randn(1, 8, 4, 6)

    def deconvolved(maps: Tensor, name: str) -> Tensor:
        return F.conv_transpose2d(maps, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=2)

    def ended(maps: Tensor, stride: int, first: int) -> Tensor:
        maps = norm(F.conv2d(maps, weights[f"{stride}.{first}.weight"]), weights, f"{stride}.{first + 1}")
        maps = F.conv2d(maps, weights[f"{stride}.{first + 2}.weight"], padding=1)
        return norm(maps, weights, f"{stride}.{first + 3}")

    twice = deconvolved(F.gelu(norm(deconvolved(features, "4.0"), weights, "4.1")), "4.3")
    expected = [
        ended(twice, 4, 4),
        ended(deconvolved(features, "8.0"), 8, 1),
        ended(features, 16, 0),
        ended(F.max_pool2d(features, 2), 32, 1),
    ]
    for level, one in zip(pyramid(features), expected, strict=True):
        torch.testing.assert_close(level, one)
