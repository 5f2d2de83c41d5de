"""What every encoder keeps to, found by name: a new one is checked once it has a line in `SMALL`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from scenetext.contracts import Encoder
from scenetext.runs.encoders import ENCODERS, auxiliary_loss, build_encoder, encoder_settings

SMALL: dict[str, dict[str, Any]] = {
    "clip_resnet": {"layers": (1, 1, 1, 1), "width": 4},
    "resnet": {"depth": 18},
    "tcm": {
        "layers": (1, 1, 1, 1),
        "width": 4,
        "pool_heads": 4,
        "embed_dim": 16,
        "text": {"width": 8, "heads": 2, "layers": 1},
        "decoder": {"width": 8, "heads": 2, "layers": 1},
    },
}


def build(name: str) -> Any:
    torch.manual_seed(0)
    return build_encoder(encoder_settings(name).model_validate({"name": name, **SMALL[name]}))


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_levels_are_what_the_encoder_says(name: str) -> None:
    encoder = build(name)
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, nn.Module)
    assert len(encoder.pixel_mean) == len(encoder.pixel_std) == 3
    for mode in (True, False):
        features = encoder.train(mode)(torch.randn(2, 3, 64, 96))
        for level, channels, stride in zip(features.levels, encoder.channels, encoder.strides, strict=True):
            assert level.shape == (2, channels, 64 // stride, 96 // stride)
        assert all(len(value) == 2 for value in features.side.values())


@pytest.mark.parametrize("name", ENCODERS)
def test_a_loss_of_its_own_works_on_what_it_leaves_beside_the_levels(name: str) -> None:
    encoder = build(name)
    loss = auxiliary_loss(encoder_settings(name).model_validate({"name": name, **SMALL[name]}))
    if loss is None:
        assert not encoder(torch.randn(1, 3, 64, 64)).side
        return
    side = encoder.train()(torch.randn(2, 3, 64, 64)).side
    for text in (torch.zeros(2, 64, 64), (torch.rand(2, 64, 64) > 0.5).float(), torch.ones(2, 8, 8)):
        found = loss(side, text, torch.ones_like(text))
        assert found.keys() == loss.loss_weights.keys()
        for value in found.values():
            assert (value.shape, value.dtype) == ((), torch.float32)
            assert value.isfinite()
            assert value.requires_grad
