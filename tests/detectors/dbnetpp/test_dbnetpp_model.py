from __future__ import annotations

import pytest
import torch
from torch import Tensor

from golden import golden_arrays
from scenetext.detectors.dbnet.config import DBNetSettings
from scenetext.detectors.dbnet.model import head as dbnet_head
from scenetext.detectors.dbnetpp.config import DBNetPPSettings
from scenetext.detectors.dbnetpp.mmocr import NAMES
from scenetext.detectors.dbnetpp.model import ScaleAttention, ScaleFusedPyramid, head
from scenetext.errors import ConfigError
from scenetext.weights.mmocr import rename_prefix


def test_pyramid_equals_published_one() -> None:
    arrays = golden_arrays("detectors", "module_fpnc_asf")
    pyramid = ScaleFusedPyramid(channels=(8, 16, 32, 64), inner_channels=16, level_channels=8)
    published = {name: rename_prefix(f"pyramid.{name}", NAMES) or "" for name in pyramid.state_dict()}
    keys = {name: f"param/{mmocr_name.removeprefix('neck.')}" for name, mmocr_name in published.items()}
    assert set(keys.values()) == {key for key in arrays if key.startswith("param/")}
    pyramid.load_state_dict({name: torch.from_numpy(arrays[key]) for name, key in keys.items()})
    inputs = [torch.from_numpy(arrays[f"input/{level}"]) for level in range(4)]
    torch.testing.assert_close(pyramid(inputs), torch.from_numpy(arrays["output/0"]), atol=1e-4, rtol=1e-4)


def test_attention_follows_its_definition() -> None:
    """Against the three attentions written out, in double precision."""
    torch.manual_seed(0)
    attention = ScaleAttention(8, 4).double()
    feature = torch.randn(2, 8, 5, 6, dtype=torch.float64)

    def matrix(values: Tensor) -> Tensor:
        return values[:, :, 0, 0]

    inner = (feature.mean(dim=(2, 3)) @ matrix(attention.channel_reduce.weight).T).clamp(min=0)
    channel = 1 / (1 + torch.exp(-(inner @ matrix(attention.channel_restore.weight).T)))
    feature_after = feature + channel[:, :, None, None]
    padded = torch.nn.functional.pad(feature_after.mean(dim=1), (1, 1, 1, 1))
    kernel = attention.spatial_filter.weight[0, 0]
    filtered = sum(kernel[i, j] * padded[:, i : i + 5, j : j + 6] for i in range(3) for j in range(3))
    assert isinstance(filtered, Tensor)
    spatial = 1 / (1 + torch.exp(-attention.spatial_scale.weight.item() * filtered.clamp(min=0)))
    feature_after = feature_after + spatial[:, None]
    logits = torch.einsum("lc,bchw->blhw", matrix(attention.level_weights.weight), feature_after)
    torch.testing.assert_close(attention(feature), 1 / (1 + torch.exp(-logits)))


def test_default_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        network, plain = head(DBNetPPSettings(), (256, 512, 1024, 2048)), dbnet_head(DBNetSettings(), (256,) * 4)
    counts = [sum(parameter.numel() for parameter in one.parameters()) for one in (network.pyramid, plain.probability)]
    # MMOCR's DBNet++: the neck of DBNet, asf_conv 589,824 + 256, asf_attn 2 x 16,384 + 9 + 1 + 1,024.
    assert counts == [983_040 + 589_824 + 590_080 + 33_802, 164_417]


def test_first_bias_is_zero() -> None:
    network = head(DBNetPPSettings(inner_channels=8, level_channels=4), (8, 8, 8, 8))
    assert isinstance(network.pyramid, ScaleFusedPyramid)
    assert network.pyramid.mix.bias is not None
    assert network.pyramid.mix.bias.eq(0).all()


def test_encoder_with_another_number_of_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="four levels"):
        head(DBNetPPSettings(), (8, 8, 8))
