from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from scenetext.contracts import Encoder
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.encoders.resnet import DeformableConv2d, ResNet, ResNetSettings
from scenetext.runs.encoders import build_encoder, find_encoder
from weight_layouts import randomised


@pytest.mark.parametrize("depth", [18, 50])
def test_levels_equal_torchvisions(depth: int) -> None:
    from torchvision.models import get_model
    from torchvision.models.feature_extraction import create_feature_extractor

    torch.manual_seed(0)
    model = get_model(f"resnet{depth}", weights=None).eval()
    encoder = ResNet(ResNetSettings(depth=depth)).eval()
    own = {name: value for name, value in model.state_dict().items() if not name.startswith("fc.")}
    encoder.load_state_dict(own, strict=True)
    images = torch.randn(2, 3, 64, 96)
    stages = [f"layer{number}" for number in (1, 2, 3, 4)]
    expected = create_feature_extractor(model, stages)(images)
    for level, stage in zip(encoder(images).levels, stages, strict=True):
        assert torch.equal(level, expected[stage])


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_encoder_keeps_the_contract(depth: int) -> None:
    assert find_encoder("resnet").settings is ResNetSettings
    with torch.device("meta"):
        encoder = build_encoder(ResNetSettings(depth=depth))
        assert isinstance(encoder, Encoder)
        levels = encoder(torch.randn(2, 3, 64, 96)).levels
    for level, channels, stride in zip(levels, encoder.channels, encoder.strides, strict=True):
        assert level.shape == (2, channels, 64 // stride, 96 // stride)
    assert encoder.pixel_mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("depth", [18, 50])
def test_deep_stem_is_three_convolutions(depth: int) -> None:
    torch.manual_seed(0)
    plain, deep = (ResNet(ResNetSettings(depth=depth, stem=stem)).eval() for stem in ("plain", "deep"))
    images = torch.randn(1, 3, 64, 96)
    assert [level.shape for level in deep(images).levels] == [level.shape for level in plain(images).levels]
    deep.load_state_dict(randomised(deep))
    halved = images
    for index, stride in ((0, 2), (3, 1), (6, 1)):
        halved = nn.functional.conv2d(halved, deep.stem[index].weight, stride=stride, padding=1)
        halved = deep.stem[index + 1](halved).relu()
    assert halved.shape == (1, 128, 32, 48)
    first = deep.layer1(nn.functional.max_pool2d(halved, 3, 2, 1))
    torch.testing.assert_close(deep(images).levels[0], first)
    others = {name for name in plain.state_dict() if not name.startswith(("conv1.", "bn1.", "layer1.0."))}
    assert all(deep.state_dict()[name].shape == plain.state_dict()[name].shape for name in others)


def test_stride_can_lie_on_the_first_convolution() -> None:
    torch.manual_seed(0)
    here, there = (ResNet(ResNetSettings(bottleneck_stride=convolution)).eval() for convolution in ("3x3", "1x1"))
    there.load_state_dict(here.state_dict())
    images = torch.randn(1, 3, 64, 64)
    first, second = here(images).levels, there(images).levels
    assert torch.equal(first[0], second[0]), "the first stage does not stride"
    assert [level.shape for level in first] == [level.shape for level in second]
    assert not torch.equal(first[1], second[1])
    block, features = there.layer2[0], torch.randn(1, 256, 8, 8)
    inner = block.bn1(nn.functional.conv2d(features[..., ::2, ::2], block.conv1.weight)).relu()
    inner = block.bn3(block.conv3(block.bn2(nn.functional.conv2d(inner, block.conv2.weight, padding=1)).relu()))
    torch.testing.assert_close(block(features), (inner + block.downsample(features)).relu())


def deformed(layer: DeformableConv2d, features: Tensor, groups: int) -> Tensor:
    """The definition, number by number: each tap reads a shifted position, weighted; outside of the image is zero."""
    batch, channels, height, width = features.shape
    controls = layer.conv_offset(features)
    rows, columns = controls.shape[-2:]
    shifts = controls[:, : 18 * groups].view(batch, groups, 9, 2, rows, columns)
    weights = controls[:, 18 * groups :].view(batch, groups, 9, rows, columns).sigmoid()
    output = torch.zeros(batch, layer.out_channels, rows, columns, dtype=features.dtype)
    for b, row, column in ((b, r, c) for b in range(batch) for r in range(rows) for c in range(columns)):
        for channel in range(channels):
            group = channel * groups // channels
            for tap in range(9):
                shift_y, shift_x = shifts[b, group, tap, :, row, column].tolist()
                y = row * layer.stride[0] - 1 + tap // 3 + shift_y
                x = column * layer.stride[1] - 1 + tap % 3 + shift_x
                value = 0.0
                for near_y in (math.floor(y), math.floor(y) + 1):
                    for near_x in (math.floor(x), math.floor(x) + 1):
                        if 0 <= near_y < height and 0 <= near_x < width:
                            share = (1 - abs(y - near_y)) * (1 - abs(x - near_x))
                            value += share * features[b, channel, near_y, near_x].item()
                value *= weights[b, group, tap, row, column].item()
                output[b, :, row, column] += layer.weight[:, channel, tap // 3, tap % 3] * value
    return output


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (1, 2), (2, 1)])
def test_deformable_convolution_follows_its_definition(groups: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = DeformableConv2d(nn.Conv2d(4, 3, 3, stride, 1, bias=False), groups).double()
    nn.init.normal_(layer.conv_offset.weight, std=0.3)
    nn.init.normal_(layer.conv_offset.bias, std=0.5)  # type: ignore[arg-type]
    features = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer(features), deformed(layer, features, groups))


def test_new_deformable_convolution_is_half_the_ordinary_one() -> None:
    ordinary = nn.Conv2d(8, 8, 3, 2, 1, bias=False)
    features = torch.randn(1, 8, 9, 9)
    torch.testing.assert_close(DeformableConv2d(ordinary, 1)(features), ordinary(features) / 2)


def test_deformable_encoder_learns_everywhere_also_under_autocast() -> None:
    torch.manual_seed(0)
    encoder = ResNet(ResNetSettings(deformable_stages=(2, 3, 4), deformable_groups=2))
    assert {name.split(".conv_offset")[0] for name in encoder.state_dict() if "conv_offset" in name} == {
        f"layer{stage}.{block}.conv2" for stage, blocks in ((2, 4), (3, 6), (4, 3)) for block in range(blocks)
    }
    assert encoder.layer2[0].conv2.conv_offset.weight.shape == (54, 128, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        levels = encoder(torch.randn(2, 3, 64, 64)).levels
    torch.stack([level.float().square().mean() for level in levels]).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert encoder.layer4[2].conv2.conv_offset.bias.grad.any()


def test_channels_last_gives_the_same_levels() -> None:
    torch.manual_seed(0)
    encoder = ResNet(ResNetSettings(deformable_stages=(3,))).eval()
    encoder.load_state_dict(randomised(encoder))
    images = torch.randn(1, 3, 64, 64)
    expected = encoder(images).levels
    found = encoder.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last)).levels
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * other.abs().max().item())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": 20}, "depth"),
        ({"depth": 18, "deformable_stages": (2,)}, "no bottlenecks"),
        ({"depth": 34, "bottleneck_stride": "1x1"}, "no bottlenecks"),
        ({"deformable_stages": (5,)}, "deformable_stages"),
        ({"deformable_stages": (2, 2)}, "twice"),
        ({"deformable_groups": 0}, "deformable_groups"),
        ({"pixel_std": (0.2, 0, 0.2)}, "pixel_std"),
        ({"pixel_mean": (123.675, 116.28, 103.53)}, "pixel_mean"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ResNetSettings.model_validate(values)


def test_pixel_statistics_can_be_set_on_every_encoder() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    clip = ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=4, pixel_mean=mean, pixel_std=std))
    assert (clip.pixel_mean, clip.pixel_std) == (mean, std)
    plain = ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=4))
    assert (plain.pixel_mean, plain.pixel_std) == (ClipResNet.pixel_mean, ClipResNet.pixel_std)
    own = ResNet(ResNetSettings(depth=18, pixel_mean=(0.5, 0.5, 0.5)))
    assert (own.pixel_mean, own.pixel_std) == ((0.5, 0.5, 0.5), std)


def test_weights_are_a_file_or_imagenet() -> None:
    assert ResNetSettings(weights="imagenet").weights == "imagenet"
    settings = ResNetSettings.model_validate({"weights": "resnet50.pth"})
    assert settings.weights is not None
    assert not isinstance(settings.weights, str)
    assert ResNetSettings.model_validate(settings.model_dump(mode="json")) == settings
