from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from golden import golden_arrays
from scenetext.detectors.dbnet.config import DBNetSettings
from scenetext.detectors.dbnet.model import FusedPyramid, MapBranch, head
from scenetext.errors import ConfigError
from scenetext.structures import Features

PYRAMID_NAMES = {"lateral_convs": "lateral", "smooth_convs": "smooth"}
BRANCH_NAMES = {"0": "reduce", "1": "reduce_norm", "3": "enlarge", "4": "enlarge_norm", "6": "predict"}


def golden(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
    """Published parameters, outputs and inputs of a module."""
    arrays = golden_arrays("detectors", f"module_{name}")
    tensors = {key: torch.from_numpy(arrays[key]) for key in arrays if key != "meta"}

    def below(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    return below("param/"), below("output/"), list(below("input/").values())


def features(channels: tuple[int, ...], size: tuple[int, int] = (64, 96), batch: int = 2) -> Features:
    generator = torch.Generator().manual_seed(0)
    height, width = size
    levels = [
        torch.randn(batch, count, height // stride, width // stride, generator=generator)
        for count, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]
    return Features(tuple(levels))


def test_pyramid_equals_published_one() -> None:
    parameters, outputs, inputs = golden("fpnc")
    pyramid = FusedPyramid(channels=(8, 16, 32, 64), inner_channels=16, level_channels=8)
    translated = {}
    for key, value in parameters.items():
        kind, index, _, tensor = key.split(".")
        translated[f"{PYRAMID_NAMES[kind]}.{index}.{tensor}"] = value
    pyramid.load_state_dict(translated)
    torch.testing.assert_close(pyramid(inputs), outputs["0"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("published_branch", "output"),
    [("binarize", "prob_logits"), ("threshold", "thr_map")],
    ids=["probability", "threshold"],
)
def test_branch_equals_published_one(published_branch: str, output: str) -> None:
    parameters, outputs, inputs = golden("db_head")
    branch = MapBranch(channels=32, width=8)
    translated = {}
    for key, value in parameters.items():
        name, index, tensor = key.split(".")
        if name == published_branch:
            translated[f"{BRANCH_NAMES[index]}.{tensor}"] = value
    branch.load_state_dict(translated)
    logits = branch.eval()(inputs[0])
    found = logits if output == "prob_logits" else logits.sigmoid()
    torch.testing.assert_close(found, outputs[output], atol=1e-4, rtol=1e-4)


def test_binary_map_of_the_loss_is_the_published_one() -> None:
    _, outputs, _ = golden("db_head")
    binary = torch.sigmoid(DBNetSettings().amplification * (outputs["prob_map"] - outputs["thr_map"]))
    torch.testing.assert_close(binary, outputs["binary_map"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [(1, 1, 1, 1), (3, 5, 7, 9), (256, 512, 1024, 2049)])
@pytest.mark.parametrize("widths", [(1, 1), (5, 3)])
def test_any_widths_give_full_size_maps(channels: tuple[int, ...], widths: tuple[int, int]) -> None:
    network = head(DBNetSettings(inner_channels=widths[0], level_channels=widths[1]), channels)
    maps = network(features(channels))
    assert {name: tuple(logits.shape) for name, logits in maps.items()} == {
        "probability": (2, 64, 96),
        "threshold": (2, 64, 96),
    }


def test_default_sizes_are_the_published_ones() -> None:
    network = head(DBNetSettings(), (256, 512, 1024, 2048))
    # MMOCR's DBNet: neck 983,040 + 589,824; head 2 x (147,456 + 128 + 16,448 + 128 + 257).
    assert sum(parameter.numel() for parameter in network.pyramid.parameters()) == 983_040 + 589_824
    assert sum(parameter.numel() for parameter in network.probability.parameters()) == 164_417
    assert sum(parameter.numel() for parameter in network.threshold.parameters()) == 164_417


def test_first_weights() -> None:
    torch.manual_seed(0)
    network = head(DBNetSettings(), (64, 64, 64, 64))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(1e-4).all()
    assert network.pyramid.lateral[0].weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)
    logits = network(features((64, 64, 64, 64)))["probability"]
    assert logits.abs().max() < 20


def test_encoder_with_another_number_of_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="four levels"):
        head(DBNetSettings(), (8, 8, 8))
