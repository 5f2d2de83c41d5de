"""What every encoder keeps to, found by name: a new one is checked as soon as its file is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from scenetext.contracts import Encoder
from scenetext.errors import CheckpointError
from scenetext.runs.encoders import auxiliary_loss, build_encoder, encoder_names, find_encoder
from small_swin import small_swin

FAMILIES = {
    "convnext": {"model": "test_convnext"},
    "mobilenetv4": {"model": "mobilenetv4_conv_small_035"},
    "efficientnet": {"model": "test_efficientnet"},
    "swin": {"model": small_swin.__name__},
    "vit": {"model": "test_vit", "pyramid_channels": 8},
}
"""Models of timm beside that of its small settings, a MobileNetV3."""
every_encoder = pytest.mark.parametrize("name", [*encoder_names(), *(f"timm {family}" for family in FAMILIES)])


def settings_of(name: str, **values: Any) -> Any:
    name, _, family = name.partition(" ")
    spec = find_encoder(name)
    return spec.settings.model_validate({"name": name, **spec.small, **FAMILIES.get(family, {}), **values})


def build(name: str, seed: int = 0, **values: Any) -> Any:
    torch.manual_seed(seed)
    return build_encoder(settings_of(name, **values))


@every_encoder
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
        assert hasattr(encoder, "stem_channels") == ("stem" in features.side)
        if "stem" in features.side:
            assert features.side["stem"].shape == (2, encoder.stem_channels, 16, 24)


@every_encoder
def test_a_loss_of_its_own_works_on_what_it_leaves_beside_the_levels(name: str) -> None:
    encoder = build(name)
    loss = auxiliary_loss(settings_of(name))
    if loss is None:
        assert encoder(torch.randn(1, 3, 64, 64)).side.keys() <= {"stem"}
        return
    side = encoder.train()(torch.randn(2, 3, 64, 64)).side
    for text in (torch.zeros(2, 64, 64), (torch.rand(2, 64, 64) > 0.5).float(), torch.ones(2, 8, 8)):
        found = loss(side, text, torch.ones_like(text))
        assert found.keys() == loss.loss_weights.keys()
        for value in found.values():
            assert (value.shape, value.dtype) == ((), torch.float32)
            assert value.isfinite()
            assert value.requires_grad


def saved(path: Path, encoder: nn.Module) -> Path:
    """The encoder as a detector's checkpoint has it."""
    torch.save({"model": {f"encoder.{name}": value for name, value in encoder.state_dict().items()}}, path)
    return path


@every_encoder
def test_weights_of_a_detector_on_it_are_loaded_and_reported(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "best.pt", build(name, seed=1))
    # "none" in the small settings stands for a part that is to stay random, for which there are weights here.
    named = {key: None for key, value in find_encoder(name.partition(" ")[0]).small.items() if value == "none"}
    encoder = build(name, weights=path, **named)
    expected = {key.removeprefix("encoder."): value for key, value in torch.load(path)["model"].items()}
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    assert any(not torch.equal(before[key], value) for key, value in expected.items())
    lines = encoder.load_weights()
    assert any(str(path) in line and "tensors fit" in line for line in lines), lines
    after = encoder.state_dict()
    assert all(torch.equal(after[key], value) for key, value in expected.items())


@every_encoder
def test_without_weights_named_it_stays_as_it_is(name: str) -> None:
    encoder = build(name)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    assert all(isinstance(line, str) for line in encoder.load_weights())
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())


@every_encoder
def test_weights_that_do_not_fit_are_refused_by_name(name: str, tmp_path: Path) -> None:
    encoder = build(name)
    content = {f"encoder.{key}": value for key, value in encoder.state_dict().items()}
    convolutions = [key for key, value in content.items() if value.ndim == 4]
    removed = convolutions[len(convolutions) // 2]
    torch.save({"model": {key: value for key, value in content.items() if key != removed}}, tmp_path / "holed.pt")
    torch.save({"model": {"foreign.weight": torch.zeros(1)}}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match=r"holed\.pt(.|\n)*1 missing from the file: ([\w.]+)$") as refused:
        build(name, weights=tmp_path / "holed.pt").load_weights()
    assert removed.endswith("." + str(refused.value).rpartition(" ")[2])
    with pytest.raises(CheckpointError, match=r"foreign\.pt(.|\n)*no known source"):
        build(name, weights=tmp_path / "foreign.pt").load_weights()
