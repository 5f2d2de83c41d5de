"""Weights as other programs wrap them: keys of mappings, parts that wrappers add to names, parent modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import resnet18

from scenetext.encoders.resnet import ResNet, ResNetSettings
from scenetext.errors import CheckpointError
from scenetext.weights.files import WeightFile, read_weights
from scenetext.weights.image_encoder import load_image_encoder
from scenetext.weights.sources import without_parents

WEIGHTS = {"layer.weight": torch.arange(6.0).view(2, 3), "layer.bias": torch.tensor([1.0, 2.0])}
STATE = {"state": {0: {"exp_avg": torch.zeros(2), "step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}


def named(prefix: str, weights: dict[str, Tensor] = WEIGHTS) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in weights.items()}


@pytest.mark.parametrize(
    ("content", "around", "others"),
    [
        ({"model_state_dict": WEIGHTS, "optimizer_state_dict": STATE, "epoch": 3}, ("model_state_dict",), 2),
        ({"net": WEIGHTS, "ema": named("x."), "acc": 0.9}, ("net",), 2),
        ({"weights": WEIGHTS}, ("weights",), 0),
        ({"state_dict": {"model": WEIGHTS}, "meta": {"x": 1}}, ("state_dict", "model"), 1),
        ({"checkpoint": {"net": {"state_dict": WEIGHTS}}}, ("checkpoint", "net", "state_dict"), 0),
        ({"my_detector": WEIGHTS, "optimizer": STATE, "scheduler": {}}, ("my_detector",), 2),
        ({"state_dict": named("module.")}, ("state_dict", "module"), 0),
        (named("_orig_mod."), ("_orig_mod",), 0),
        (named("module._orig_mod."), ("module", "_orig_mod"), 0),
        ({"layer._orig_mod.weight": WEIGHTS["layer.weight"], "layer.bias": WEIGHTS["layer.bias"]}, ("_orig_mod",), 0),
    ],
)
def test_weights_are_found_however_they_are_wrapped(
    content: dict[str, Any], around: tuple[str, ...], others: int, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "weights.pt")
    found = read_weights(tmp_path / "weights.pt")
    assert found.tensors.keys() == WEIGHTS.keys()
    assert all(torch.equal(found.tensors[name], value) for name, value in WEIGHTS.items())
    assert found.around == around
    assert len(found.others) == others


def test_several_models_in_a_file_are_not_guessed_between(tmp_path: Path) -> None:
    torch.save({"generator": WEIGHTS, "discriminator": WEIGHTS, "optimizer": STATE}, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=r"weights\.pt: holds several sets of weights, under generator, discrim"):
        read_weights(tmp_path / "weights.pt")


@pytest.mark.parametrize("prefix", ["module.", "model.module.encoder.", "student.backbone.net._orig_mod.", "x."])
def test_parent_modules_are_stripped_and_reported(prefix: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = {name: value for name, value in resnet18().state_dict().items() if not name.startswith("fc.")}
    torch.save({"model_state_dict": named(prefix, published)}, tmp_path / "weights.pt")
    encoder = ResNet(ResNetSettings(depth=18))
    lines = load_image_encoder(encoder, read_weights(tmp_path / "weights.pt"))
    own = encoder.state_dict()
    assert all(torch.equal(own[name], value) for name, value in published.items())
    assert any(line.startswith("around the weights, removed: model_state_dict") for line in lines)


def test_names_that_nothing_makes_known_stay() -> None:
    file = WeightFile(Path("x.pt"), named("a.b."), ())
    assert without_parents(file) is file
