from __future__ import annotations

import importlib.util

import pytest
import torch

from golden import golden_json
from scenetext.detectors.textsnake.config import TextSnakeSettings
from scenetext.detectors.textsnake.mmocr import NAMES
from scenetext.detectors.textsnake.model import MAPS, head
from scenetext.errors import ConfigError
from scenetext.structures import Features
from text_samples import features, golden_module, to_mmocr

PUBLISHED_CHANNELS = (256, 512, 1024, 2048)


def test_head_equals_published_one() -> None:
    parameters, outputs, inputs = golden_module("textsnake_head")
    network = head(TextSnakeSettings(width=inputs[0].shape[1]), (8, 8, 8, 8))
    network.maps.load_state_dict({name.removeprefix("out_conv."): value for name, value in parameters.items()})
    network.neck.forward = lambda levels: levels[0]  # type: ignore[method-assign]  # the golden's input is its output
    maps = network(Features(tuple(inputs)))
    torch.testing.assert_close(torch.stack(list(maps.values()), dim=1), outputs["0"], atol=1e-4, rtol=1e-4)
    assert tuple(maps) == MAPS


def test_names_and_shapes_are_those_of_the_published_model() -> None:
    listed = golden_json("detectors", "state_dict_keys.json")["textsnake_resnet50-oclip_fpn-unet_1200e_ctw1500"]
    published = {name: tuple(shape) for name, shape, _ in listed["state_dict"] if not name.startswith("backbone.")}
    with torch.device("meta"):
        state = head(TextSnakeSettings(), PUBLISHED_CHANNELS).state_dict()
    assert {to_mmocr(name, NAMES): tuple(tensor.shape) for name, tensor in state.items()} == published


def test_any_widths_give_five_maps() -> None:
    channels = (3, 5, 7, 9)
    maps = head(TextSnakeSettings(width=1), channels)(features(channels))
    assert {name: tuple(tensor.shape) for name, tensor in maps.items()} == dict.fromkeys(MAPS, (2, 64, 96))


def test_missing_scikit_image_is_reported_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"scikit-image, which is not installed; .* pip install scenetext\[textsnake\]"
    ):
        head(TextSnakeSettings(), (8, 8, 8, 8))
