from __future__ import annotations

import pytest
import torch

from golden import golden_json
from scenetext.detectors.pan.config import PANSettings
from scenetext.detectors.pan.mmocr import NAMES
from scenetext.detectors.pan.model import EnhancedPyramid, head
from scenetext.errors import ConfigError
from text_samples import features, golden_module, to_mmocr


@pytest.mark.parametrize(("name", "width", "pyramids"), [("fpem_ffm", 16, 2), ("fpem_ffm_repeat4", 8, 4)])
def test_pyramid_equals_published_one(name: str, width: int, pyramids: int) -> None:
    parameters, outputs, inputs = golden_module(name)
    pyramid = EnhancedPyramid((8, 16, 32, 64), width, pyramids)
    assert len(parameters) == len(pyramid.state_dict())
    pyramid.load_state_dict(
        {key: parameters[to_mmocr(f"pyramid.{key}", NAMES).removeprefix("neck.")] for key in pyramid.state_dict()}
    )
    expected = torch.cat([outputs[str(level)] for level in range(4)], dim=1)
    torch.testing.assert_close(pyramid.eval()(inputs), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "channels", "pyramids"),
    [
        ("panet_resnet18_fpem-ffm_600e_icdar2015", (64, 128, 256, 512), 2),
        ("panet_resnet50_fpem-ffm_600e_icdar2017", (256, 512, 1024, 2048), 2),
    ],
)
def test_names_and_shapes_are_those_of_the_published_models(
    name: str, channels: tuple[int, ...], pyramids: int
) -> None:
    entry = golden_json("detectors", "state_dict_keys.json")[name]
    (listed,) = (value for value in entry.values() if isinstance(value, list))
    expected = {name: shape for name, shape, _ in listed if not name.startswith(("backbone.", "data_preprocessor."))}
    with torch.device("meta"):
        network = head(PANSettings(pyramids=pyramids), channels)
    found = {to_mmocr(name, NAMES): list(value.shape) for name, value in network.state_dict().items()}
    assert found == expected


@pytest.mark.parametrize("channels", [(1, 1, 1, 1), (3, 5, 7, 9), (256, 512, 1024, 2049)])
@pytest.mark.parametrize("pyramids", [1, 8])
def test_any_widths_give_all_maps(channels: tuple[int, ...], pyramids: int) -> None:
    config = PANSettings(pyramid_channels=5, head_channels=3, embedding_channels=2, pyramids=pyramids)
    maps = head(config, channels)(features(channels))
    assert {name: tuple(logits.shape) for name, logits in maps.items()} == {
        "text": (2, 16, 24),
        "kernel": (2, 16, 24),
        "embedding": (2, 2, 16, 24),
    }


def test_first_logits_are_small() -> None:
    torch.manual_seed(0)
    maps = head(PANSettings(), (64, 64, 64, 64))(features((64, 64, 64, 64)))
    assert max(logits.abs().max() for logits in maps.values()) < 2


def test_encoder_with_another_number_of_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="four levels"):
        head(PANSettings(), (8, 8, 8))
