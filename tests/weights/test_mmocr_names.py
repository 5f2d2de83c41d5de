from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from golden import golden_json
from scenetext.weights.mmocr import from_mmocr_name, to_mmocr_name
from weight_layouts import SMALL, oclip_layout, small_encoder


@pytest.mark.parametrize("name", ["RN50", "RN101"])
def test_names_equal_the_published_converters_in_both_directions(name: str) -> None:
    golden = golden_json("oclip", f"mmocr_name_map_{name}.json")
    new_names = {old.removeprefix("module.visual."): new for old, new in golden["map"].items()}
    assert len(new_names) == golden["n_converted"]
    assert {old: to_mmocr_name(old) for old in new_names} == new_names
    assert {new: from_mmocr_name(new) for new in new_names.values()} == {new: old for old, new in new_names.items()}
    assert {new: from_mmocr_name(f"backbone.{new}") for new in new_names.values()} == {
        new: old for old, new in new_names.items()
    }


@pytest.mark.parametrize(
    "name",
    ["neck.conv.weight", "stem.2.weight", "stem.10.weight", "layer1.0.downsample.0.weight", "layer5.0.conv1.weight"],
)
def test_other_names_are_no_part_of_the_backbone(name: str) -> None:
    assert from_mmocr_name(name) is None


class TheirBlock(nn.Module):
    """A bottleneck with MMOCR's names: the pool of the shortcut is its first part."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.pool = nn.AvgPool2d(stride)
        self.downsample = None
        if channels != 4 * width or stride > 1:
            self.downsample = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(channels, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, values: Tensor) -> Tensor:
        inner = self.bn1(self.conv1(values)).relu()
        inner = self.bn3(self.conv3(self.pool(self.bn2(self.conv2(inner)).relu())))
        return (inner + (values if self.downsample is None else self.downsample(values))).relu()


class TheirResNet(nn.Module):
    """MMOCR's CLIPResNet, written from its description: one sequence for the stem, with ReLUs that count."""

    def __init__(self, layers: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 2, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width // 2, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        channels = width
        for stage, blocks in enumerate(layers):
            inner = width * 2**stage
            parts = [TheirBlock(channels, inner, 1 if stage == 0 else 2)]
            parts += [TheirBlock(4 * inner, inner, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*parts))
            channels = 4 * inner

    def forward(self, images: Tensor) -> list[Tensor]:
        values = nn.functional.avg_pool2d(self.stem(images), 2)
        levels = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            values = stage(values)
            levels.append(values)
        return levels


def test_renamed_weights_give_the_same_features_in_a_model_of_their_names() -> None:
    tensors = oclip_layout()
    scenetext_encoder = small_encoder(tensors)
    published = TheirResNet(SMALL["layers"], SMALL["width"]).eval()
    inside = {name.removeprefix("visual."): value for name, value in tensors.items() if name.startswith("visual.")}
    renamed = {to_mmocr_name(name): value for name, value in inside.items() if not name.startswith("attnpool")}
    published.load_state_dict(renamed)
    images = torch.randn(2, 3, 64, 96)
    for one, other in zip(scenetext_encoder(images).levels, published(images), strict=True):
        torch.testing.assert_close(one, other)
