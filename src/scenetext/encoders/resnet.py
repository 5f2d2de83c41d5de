"""torchvision's ResNet (He et al. 2016), with deformable convolutions on request (Zhu et al. 2019, DCNv2)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn

from scenetext.contracts import EncoderSpec
from scenetext.encoders.settings import EncoderSettings
from scenetext.structures import Features
from scenetext.weights.files import read_weights
from scenetext.weights.image_encoder import load_image_encoder
from scenetext.weights.torchvision import imagenet_weights

SHALLOW_DEPTHS = (18, 34)
"""Depths whose blocks are two 3x3 convolutions; the others are bottlenecks."""
DEEP_STEM_WIDTH = 128
"""Channels that a deep stem puts out; its first two convolutions have half of them."""


class ResNetSettings(EncoderSettings):
    """torchvision's ResNet; the defaults are ResNet-50 as torchvision has it."""

    name: Literal["resnet"] = "resnet"
    depth: Literal[18, 34, 50, 101, 152] = 50
    """Layers with weights, as in the names of these models."""
    stem: Literal["plain", "deep"] = "plain"
    """plain: a 7x7 convolution to 64 channels, as torchvision has it. deep: three 3x3 convolutions to 64, 64 and 128
    channels, as in the published PAN on ResNet-18; `weights: imagenet` then leaves the stem, and the first layer that
    reads it, at random."""
    deformable_stages: tuple[Literal[1, 2, 3, 4], ...] = ()
    """Stages whose 3x3 convolutions are deformable; (2, 3, 4) in the published detectors that are called DCNv2."""
    deformable_groups: PositiveInt = 1
    """Groups of channels with offsets of their own; 2 in the published FCENet."""
    bottleneck_stride: Literal["3x3", "1x1"] = "3x3"
    """Convolution of a bottleneck that strides: the 3x3 one in torchvision, the first 1x1 one in the paper and where
    MMOCR says style "caffe" (its PAN on ResNet-50). Weights do not show it."""
    weights: Path | Literal["imagenet"] | None = None
    """Weights to start from: any file with torchvision's ResNet that `scenetext.weights.sources` knows (torchvision's
    own, MMOCR, a scenetext checkpoint or backbone); imagenet = what torchvision publishes, downloaded once into torch's
    cache; None = random."""

    @model_validator(mode="after")
    def _check_blocks(self) -> ResNetSettings:
        if self.depth in SHALLOW_DEPTHS and (self.deformable_stages or self.bottleneck_stride != "3x3"):
            raise ValueError(
                f"a ResNet-{self.depth} has no bottlenecks, which deformable_stages and bottleneck_stride are about; "
                "use depth 50 or more"
            )
        if len(set(self.deformable_stages)) != len(self.deformable_stages):
            raise ValueError(f"deformable_stages names a stage twice: {list(self.deformable_stages)}")
        return self


class ResNet(nn.Module):
    """torchvision's ResNet without its classifier as an `Encoder` of four levels, strides 4, 8, 16, 32.

    Parameters have torchvision's names; a deep stem has `stem` for `conv1` and `bn1`, and deformable convolutions add
    `conv2.conv_offset`, as in published checkpoints.

    Attributes:
        channels: (64, 128, 256, 512) for depths 18 and 34, (256, 512, 1024, 2048) for the others.
        stem_channels: 64, or 128 of a deep stem.
        strides: (4, 8, 16, 32).
        pixel_mean, pixel_std: RGB statistics of its input; those of ImageNet unless the settings say otherwise.
    """

    strides: tuple[int, ...] = (4, 8, 16, 32)
    pixel_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    pixel_std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __init__(self, settings: ResNetSettings) -> None:
        super().__init__()
        from torchvision.models import get_model

        self.settings = settings
        self.pixel_mean = settings.pixel_mean or self.pixel_mean
        self.pixel_std = settings.pixel_std or self.pixel_std
        narrowest = 64 if settings.depth in SHALLOW_DEPTHS else 256
        self.channels: tuple[int, ...] = tuple(narrowest * 2**stage for stage in range(4))
        self.stem_channels = DEEP_STEM_WIDTH if settings.stem == "deep" else 64
        model = get_model(f"resnet{settings.depth}", weights=None, num_classes=1)
        if settings.stem == "deep":
            self.stem = _deep_stem()
            model.layer1[0] = _widened(model.layer1[0], DEEP_STEM_WIDTH, narrowest)
        else:
            self.conv1, self.bn1, self.relu = model.conv1, model.bn1, model.relu
        self.has_deep_stem = settings.stem == "deep"
        self.maxpool = model.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = model.layer1, model.layer2, model.layer3, model.layer4
        stages = (self.layer1, self.layer2, self.layer3, self.layer4)
        if settings.bottleneck_stride == "1x1":
            for stage in stages:
                stage[0].conv1.stride, stage[0].conv2.stride = stage[0].conv2.stride, stage[0].conv1.stride
        for number in settings.deformable_stages:
            for block in stages[number - 1]:
                block.conv2 = DeformableConv2d(block.conv2, settings.deformable_groups)

    def forward(self, images: Tensor) -> Features:
        """images: (B, 3, H, W) float, normalised; sizes that 32 does not divide give levels of sizes rounded up."""
        halved = self.stem(images) if self.has_deep_stem else self.relu(self.bn1(self.conv1(images)))
        stem = self.maxpool(halved)
        first = self.layer1(stem)
        second = self.layer2(first)
        third = self.layer3(second)
        return Features(levels=(first, second, third, self.layer4(third)), side={"stem": stem})

    def load_weights(self, weights: Path | None = None) -> list[str]:
        """As `Encoder.load_weights`, from a file or ImageNet's."""
        chosen = weights or self.settings.weights
        if chosen is None:
            return []
        return load_image_encoder(
            self, imagenet_weights(self.settings.depth) if chosen == "imagenet" else read_weights(chosen)
        )


def _deep_stem() -> nn.Sequential:
    """(B, 3, H, W) to (B, 128, H / 2, W / 2); initialised as torchvision's convolutions are."""
    widths = (3, DEEP_STEM_WIDTH // 2, DEEP_STEM_WIDTH // 2, DEEP_STEM_WIDTH)
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(widths)):
        convolution = nn.Conv2d(before, after, 3, stride=2 if index == 0 else 1, padding=1, bias=False)
        layers += [_initialised(convolution), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _widened(block: nn.Module, channels: int, out_channels: int) -> nn.Module:
    """A first block of a ResNet with new layers for inputs of so many channels, a shortcut's convolution included."""
    narrow: nn.Conv2d = block.conv1  # type: ignore[assignment]
    wide = nn.Conv2d(channels, narrow.out_channels, narrow.kernel_size, padding=narrow.padding, bias=False)  # type: ignore[arg-type]
    block.conv1 = _initialised(wide)
    shortcut = _initialised(nn.Conv2d(channels, out_channels, 1, bias=False))
    block.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out_channels))
    return block


def _initialised(convolution: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution


class DeformableConv2d(nn.Conv2d):
    """A convolution that shifts and weighs each of its taps at every position (DCNv2, section 3.2).

    The convolution `conv_offset` puts out 2 G K shifts, (y, x) for each of the K taps of each of the G groups in
    pixels, and after them the G K logits of the weights: the order of published checkpoints. It starts at zero, so that
    a new one is half the ordinary convolution.

    Args:
        convolution: what it is made from, without bias or dilation; its weights are taken over.
        groups: groups of input channels with offsets of their own, G.
    """

    def __init__(self, convolution: nn.Conv2d, groups: int) -> None:
        height, width = convolution.kernel_size
        geometry = {
            "kernel_size": (height, width),
            "stride": (convolution.stride[0], convolution.stride[1]),
            "padding": (int(convolution.padding[0]), int(convolution.padding[1])),
        }
        super().__init__(convolution.in_channels, convolution.out_channels, bias=False, **geometry)  # type: ignore[arg-type]
        self.weight = convolution.weight
        self.conv_offset = nn.Conv2d(convolution.in_channels, 3 * groups * height * width, **geometry)  # type: ignore[arg-type]
        nn.init.zeros_(self.conv_offset.weight)
        if self.conv_offset.bias is not None:
            nn.init.zeros_(self.conv_offset.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride); computed in float32 or better, also under autocast."""
        from torchvision.ops import deform_conv2d

        precise = torch.promote_types(features.dtype, torch.float32)
        controls = self.conv_offset(features).to(precise)
        shifts, mask = controls.tensor_split([2 * self.conv_offset.out_channels // 3], dim=1)
        with torch.autocast(device_type=features.device.type, enabled=False):
            sampled = deform_conv2d(
                features.to(precise),
                shifts,
                self.weight.to(precise),
                stride=self.stride,
                padding=self.padding,
                mask=mask.sigmoid(),
            )
        return sampled.to(features.dtype)


SPEC = EncoderSpec(settings=ResNetSettings, build=ResNet, small={"depth": 18})
