from __future__ import annotations

import pytest
import torch

from scenetext.errors import ConfigError
from scenetext.layers.fpn_unet import FpnUnet
from text_samples import features, golden_module

PARTS = {"mix": "conv1x1", "reduce": "conv3x3", "enlarge": "deconv"}


def published_name(name: str) -> str:
    first, *rest = name.split(".")
    if first == "first":
        return f"up4.{rest[0]}"
    number, part, parameter = rest
    return f"up_block{3 - int(number)}.{PARTS[part]}.{parameter}"


def test_neck_equals_published_one() -> None:
    parameters, outputs, inputs = golden_module("fpn_unet")
    network = FpnUnet([level.shape[1] for level in inputs], outputs["0"].shape[1])
    network.load_state_dict({name: parameters[published_name(name)] for name in network.state_dict()})
    torch.testing.assert_close(network(inputs), outputs["0"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [(1, 1, 1, 1), (3, 5, 7, 9)])
def test_result_has_the_size_of_the_image(channels: tuple[int, ...]) -> None:
    assert FpnUnet(channels, 2)(features(channels).levels).shape == (2, 2, 64, 96)


def test_biases_begin_at_zero_and_weights_within_xavier_s_limit() -> None:
    network = FpnUnet((8, 8, 8, 8), 4)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            limit = (6 / ((parameter.shape[0] + parameter.shape[1]) * parameter[0, 0].numel())) ** 0.5
            assert 0.8 * limit < parameter.abs().max() <= limit


def test_encoder_with_another_number_of_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="four levels"):
        FpnUnet((8, 8, 8), 4)
