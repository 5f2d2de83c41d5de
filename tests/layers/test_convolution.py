from __future__ import annotations

import pytest
import torch
from torch import nn

from golden import golden_arrays
from scenetext.layers.convolution import ConvolutionBlock, MapPredictor, initialise_uniformly

HEAD_NAMES = {"conv1": "reduce.convolution", "bn1": "reduce.norm", "conv2": "predict"}


@pytest.mark.parametrize(("name", "channels", "maps"), [("pse_head", 32, 7), ("pan_head", 64, 6)])
def test_predictor_equals_published_heads(name: str, channels: int, maps: int) -> None:
    arrays = golden_arrays("detectors", f"module_{name}")
    predictor = MapPredictor(channels, 16, maps).eval()
    published = {key.removeprefix("param/"): arrays[key] for key in arrays if key.startswith("param/")}
    predictor.load_state_dict(
        {
            f"{HEAD_NAMES[key.partition('.')[0]]}.{key.partition('.')[2]}": torch.from_numpy(array)
            for key, array in published.items()
        }
    )
    inputs = [torch.from_numpy(arrays[key]) for key in arrays if key.startswith("input/")]
    expected = torch.from_numpy(arrays["output/0"])
    torch.testing.assert_close(predictor(torch.cat(inputs, dim=1)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_block_keeps_the_size_and_is_normalised(size: int, bias: bool) -> None:
    block = ConvolutionBlock(3, 8, size, bias)
    assert (block.convolution.bias is not None) == bias
    feature = block(torch.randn(4, 3, 9, 13, generator=torch.Generator().manual_seed(0)))
    assert feature.shape == (4, 8, 9, 13)
    assert feature.min() == 0
    # Half of a normal distribution is left by the ReLU: its mean square is a half.
    assert feature.square().mean().item() == pytest.approx(0.5, abs=0.1)


def test_first_weights() -> None:
    torch.manual_seed(0)
    predictor = MapPredictor(64, 64, 7)
    assert predictor.reduce.convolution.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert predictor.predict.weight.std().item() == pytest.approx(0.01, rel=0.2)
    assert not predictor.predict.bias.any()
    convolution = nn.Conv2d(16, 32, 3).apply(initialise_uniformly)
    bound = (6 / (9 * 16 + 9 * 32)) ** 0.5
    assert convolution.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert not convolution.bias.any()
