from __future__ import annotations

from typing import Literal

import pytest
import torch

from golden import golden_json
from scenetext.detectors.psenet.config import PSENetSettings
from scenetext.detectors.psenet.mmocr import NAMES
from scenetext.detectors.psenet.model import SmoothedPyramid, head
from scenetext.errors import ConfigError
from text_samples import features, golden_module, to_mmocr


@pytest.mark.parametrize(("name", "fusion"), [("fpnf_concat", "concatenate"), ("fpnf_add", "add")])
def test_pyramid_equals_published_one(name: str, fusion: Literal["concatenate", "add"]) -> None:
    parameters, outputs, inputs = golden_module(name)
    pyramid = SmoothedPyramid((8, 16, 32, 64), 256, fusion)
    pyramid.load_state_dict(
        {key: parameters[to_mmocr(f"pyramid.{key}", NAMES).removeprefix("neck.")] for key in pyramid.state_dict()}
    )
    torch.testing.assert_close(pyramid.eval()(inputs), outputs["0"], atol=1e-4, rtol=1e-4)


def test_names_and_shapes_are_those_of_the_published_model() -> None:
    keys = golden_json("detectors", "state_dict_keys.json")
    entry = keys["psenet_resnet50_fpnf_600e_icdar2015"]
    (listed,) = (value for value in entry.values() if isinstance(value, list))
    expected = {name: shape for name, shape, _ in listed if not name.startswith(("backbone.", "data_preprocessor."))}
    with torch.device("meta"):
        network = head(PSENetSettings(), (256, 512, 1024, 2048))
    found = {to_mmocr(name, NAMES): list(value.shape) for name, value in network.state_dict().items()}
    assert found == expected


@pytest.mark.parametrize("channels", [(1, 1, 1, 1), (3, 5, 7, 9), (256, 512, 1024, 2049)])
@pytest.mark.parametrize("fusion", ["concatenate", "add"])
def test_any_widths_give_a_map_per_kernel(channels: tuple[int, ...], fusion: Literal["concatenate", "add"]) -> None:
    config = PSENetSettings(pyramid_channels=5, head_channels=3, fusion=fusion, shrink_ratios=(1, 0.7, 0.4))
    maps = head(config, channels)(features(channels))
    assert {name: tuple(logits.shape) for name, logits in maps.items()} == {"kernels": (2, 3, 16, 24)}


def test_first_logits_are_small() -> None:
    torch.manual_seed(0)
    logits = head(PSENetSettings(), (64, 64, 64, 64))(features((64, 64, 64, 64)))["kernels"]
    assert logits.abs().max() < 2


def test_encoder_with_another_number_of_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="four levels"):
        head(PSENetSettings(), (8, 8, 8))
