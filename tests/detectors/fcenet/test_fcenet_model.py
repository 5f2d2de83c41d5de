from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.detectors.fcenet.config import FCENetSettings
from scenetext.detectors.fcenet.mmocr import NAMES
from scenetext.detectors.fcenet.model import FCENetHead, head
from scenetext.errors import ConfigError
from scenetext.structures import Features

PUBLISHED_CHANNELS = (256, 512, 1024, 2048)
PUBLISHED_MODELS = (
    "fcenet_resnet50-oclip_fpn_1500e_icdar2015",
    "fcenet_resnet50-dcnv2_fpn_1500e_ctw1500",
    "fcenet_resnet50-oclip_fpn_1500e_ctw1500",
)


def features(channels: tuple[int, ...], size: tuple[int, int] = (64, 96), batch: int = 2) -> Features:
    generator = torch.Generator().manual_seed(0)
    height, width = size
    levels = [
        torch.randn(batch, count, height // stride, width // stride, generator=generator)
        for count, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]
    return Features(tuple(levels))


def mmocr_name(name: str) -> str:
    """MMOCR's name of a parameter, by the longest prefix that fits."""
    prefix = max((prefix for prefix in NAMES if name.startswith(prefix + ".")), key=len)
    return NAMES[prefix] + name.removeprefix(prefix)


def golden_outputs(arrays: Any, network: FCENetHead) -> dict[str, Tensor]:
    """The outputs that the published parameters give, from the level that the golden's convolutions read."""
    prefixed = {f"det_head.{key.removeprefix('param/')}": arrays[key] for key in arrays if key.startswith("param/")}
    state = network.state_dict()
    for name in state:
        if mmocr_name(name) in prefixed:
            state[name] = torch.from_numpy(prefixed[mmocr_name(name)])
    network.load_state_dict(state)
    # The pyramid is taken out: the golden's inputs are its outputs.
    network.pyramid.forward = lambda levels: list(levels)  # type: ignore[method-assign]
    inputs = tuple(torch.from_numpy(arrays[f"input/{index}"]) for index in range(3))
    outputs: dict[str, Tensor] = network.eval()(Features((inputs[0], *inputs)))
    return outputs


def test_head_equals_published_one() -> None:
    arrays = golden_arrays("detectors", "module_fce_head")
    outputs = golden_outputs(arrays, head(FCENetSettings(pyramid_channels=16), (16, 16, 16, 16)))
    for level, stride in (("p3", 8), ("p4", 16), ("p5", 32)):
        regions, contour = (torch.from_numpy(arrays[f"output/{level}_{kind}"]) for kind in ("cls", "reg"))
        for name, index in (("text", 0), ("centre", 2)):
            published = regions[:, index : index + 2].softmax(dim=1)[:, 1]
            torch.testing.assert_close(outputs[f"{name}_{stride}"].sigmoid(), published, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(outputs[f"contour_{stride}"], contour, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("model", PUBLISHED_MODELS)
def test_names_and_shapes_are_those_of_published_models(model: str) -> None:
    listed = golden_json("detectors", "state_dict_keys.json")[model]["state_dict"]
    published = {name: tuple(shape) for name, shape, _ in listed if not name.startswith("backbone.")}
    state = head(FCENetSettings(), PUBLISHED_CHANNELS).state_dict()
    assert {mmocr_name(name): tuple(tensor.shape) for name, tensor in state.items()} == published


@pytest.mark.parametrize("channels", [(1, 1, 1, 1), (3, 5, 7, 9), PUBLISHED_CHANNELS])
@pytest.mark.parametrize(("width", "degree"), [(1, 1), (5, 8)])
def test_any_widths_give_maps_of_three_levels(channels: tuple[int, ...], width: int, degree: int) -> None:
    network = head(FCENetSettings(pyramid_channels=width, degree=degree), channels)
    maps = network(features(channels))
    expected: dict[str, tuple[int, ...]] = {}
    for stride in (8, 16, 32):
        size = (64 // stride, 96 // stride)
        expected |= {f"text_{stride}": (2, *size), f"centre_{stride}": (2, *size)}
        expected[f"contour_{stride}"] = (2, 2 * (2 * degree + 1), *size)
    assert {name: tuple(tensor.shape) for name, tensor in maps.items()} == expected


def test_first_maps_are_near_zero() -> None:
    torch.manual_seed(0)
    maps = head(FCENetSettings(), (64, 64, 64, 64))(features((64, 64, 64, 64)))
    assert all(tensor.abs().max() < 5 for tensor in maps.values())
    assert all(tensor.any() for tensor in maps.values())


def test_encoder_with_another_number_of_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="four levels"):
        head(FCENetSettings(), (8, 8, 8))
