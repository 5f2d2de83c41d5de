from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings, PooledClipResNet
from scenetext.errors import CheckpointError
from scenetext.layers.transformer import resize_positions
from scenetext.weights.files import WeightFile
from scenetext.weights.image_encoder import extract_image_encoder, load_image_encoder
from scenetext.weights.mmocr import to_mmocr_name
from scenetext.weights.sources import (
    CLIP,
    MMOCR,
    OCLIP,
    SCENETEXT_DETECTOR,
    SCENETEXT_ENCODER,
    SCENETEXT_PRETRAINING,
    Source,
)
from weight_layouts import SMALL, clip_layout, oclip_layout, small_encoder

HEAD = {"head.weight": torch.zeros(2)}


def held(tensors: dict[str, Tensor], *others: str) -> WeightFile:
    return WeightFile(Path("file.pt"), tensors, others)


def backbone(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix("visual."): value
        for name, value in tensors.items()
        if name.startswith("visual.") and "attnpool" not in name
    }


def layouts() -> list[tuple[Source, dict[str, Tensor], int]]:
    """Every source with weights of its layout that all hold the same backbone, and how many names are dropped."""
    oclip = oclip_layout()
    encoder = backbone(oclip)
    visual = {name.removeprefix("visual."): value for name, value in oclip.items() if name.startswith("visual.")}
    clip = {**clip_layout(), **{f"visual.{name}": value for name, value in encoder.items()}}
    outside = len(oclip) - len(visual)
    return [
        (OCLIP, oclip, outside),
        (SCENETEXT_PRETRAINING, {f"network.{name}": value for name, value in oclip.items()}, outside),
        (SCENETEXT_DETECTOR, {**{f"encoder.{name}": value for name, value in encoder.items()}, **HEAD}, 1),
        (SCENETEXT_ENCODER, encoder, 0),
        (SCENETEXT_ENCODER, visual, 0),
        (CLIP, clip, len([name for name in clip if not name.startswith("visual.")])),
        (MMOCR, {to_mmocr_name(name): value for name, value in encoder.items()}, 0),
        (MMOCR, {**{f"backbone.{to_mmocr_name(name)}": value for name, value in encoder.items()}, **HEAD}, 1),
    ]


@pytest.mark.parametrize("index", range(8))
def test_encoder_of_every_source_gives_the_same_features(index: int) -> None:
    source, tensors, outside = layouts()[index]
    found = extract_image_encoder(held(tensors, "epoch"))
    assert found.source is source
    assert found.settings == {"name": "clip_resnet", **SMALL}
    assert len(found.weights) + len(found.pool) + len(found.dropped) == len(tensors) + 1
    assert len(found.dropped) == outside + 1
    assert found.dropped[0] == "epoch"
    encoder = ClipResNet(ClipResNetSettings(**SMALL)).eval()
    lines = load_image_encoder(encoder, held(tensors))
    assert source.name in lines[0]
    original = small_encoder(oclip_layout())
    images = torch.randn(2, 3, 64, 96)
    for loaded, published in zip(encoder(images).levels, original(images).levels, strict=True):
        assert torch.equal(loaded, published)


def test_half_precision_becomes_single() -> None:
    tensors = {name: value.half() if value.is_floating_point() else value for name, value in clip_layout().items()}
    found = extract_image_encoder(held(tensors))
    assert all(value.dtype in (torch.float32, torch.int64) for value in [*found.weights.values(), *found.pool.values()])
    for name in ("conv1.weight", "layer4.0.bn1.running_var"):
        assert torch.equal(found.weights[name], tensors[f"visual.{name}"].float())


def pooled(grid: int, output: int) -> PooledClipResNet:
    return PooledClipResNet(ClipResNetSettings(**SMALL), grid, output).eval()


def test_pool_of_the_same_width_is_taken_and_gives_the_same_tokens() -> None:
    tensors = clip_layout()
    encoder, original = pooled(2, 24), small_encoder(tensors)
    lines = load_image_encoder(encoder, held(tensors))
    assert "attention pool: loaded" in lines
    grid = torch.randn(2, 256, 2, 2)
    assert torch.equal(encoder.attnpool(grid), original.attnpool(grid))


def test_positions_of_another_grid_are_resized_and_the_mean_kept() -> None:
    tensors = clip_layout()
    encoder = pooled(5, 24)
    lines = load_image_encoder(encoder, held(tensors))
    assert "attention pool: loaded, positions resized from 2 x 2 to 5 x 5" in lines
    published = tensors["visual.attnpool.positional_embedding"]
    loaded = encoder.attnpool.positional_embedding.detach()
    assert torch.equal(loaded[0], published[0])
    torch.testing.assert_close(loaded[1:], resize_positions(published[1:], 5, 5))


def test_pool_that_does_not_fit_is_dropped_and_reported() -> None:
    tensors = clip_layout()
    encoder = pooled(2, 32)
    before = {name: value.clone() for name, value in encoder.attnpool.state_dict().items()}
    lines = load_image_encoder(encoder, held(tensors))
    assert any("(24, 256)" in line and "(32, 256)" in line and "random" in line for line in lines)
    assert any(line.startswith("dropped: ") and "visual.attnpool (9)" in line for line in lines)
    assert all(torch.equal(value, before[name]) for name, value in encoder.attnpool.state_dict().items())
    assert torch.equal(encoder.conv1.weight, tensors["visual.conv1.weight"])
    without = {name: value for name, value in tensors.items() if "attnpool" not in name}
    assert any("none in the file" in line for line in load_image_encoder(pooled(2, 24), held(without)))


def test_incomplete_pool_is_refused() -> None:
    tensors = clip_layout()
    del tensors["visual.attnpool.q_proj.bias"]
    with pytest.raises(CheckpointError, match=r"missing from the file: attnpool\.q_proj\.bias"):
        load_image_encoder(pooled(2, 24), held(tensors))
    tensors = {**clip_layout(), "visual.attnpool.positional_embedding": torch.zeros(7, 256)}
    with pytest.raises(CheckpointError, match=r"attnpool\.positional_embedding: file \(7, 256\)"):
        load_image_encoder(pooled(2, 24), held(tensors))


def test_encoder_of_other_sizes_is_refused_with_both_named() -> None:
    encoder = ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=16))
    with pytest.raises(CheckpointError) as caught:
        load_image_encoder(encoder, held(oclip_layout()))
    message = str(caught.value)
    assert "file.pt (clip_resnet of layers [1, 2, 1, 1], width 8, from published oCLIP)" in message
    assert "conv1.weight: file (4, 3, 3, 3), model (8, 3, 3, 3)" in message
    assert "layer2.1.conv1.weight" in message


def test_what_is_no_resnet_is_refused() -> None:
    tensors = {"visual.conv3.weight": torch.zeros(4, 4, 3, 3), "token_embedding.weight": torch.zeros(97, 4)}
    with pytest.raises(CheckpointError, match=r"file\.pt: .*four stages"):
        extract_image_encoder(held(tensors))
    both = {**layouts()[6][1], **layouts()[7][1]}
    with pytest.raises(CheckpointError, match="twice"):
        extract_image_encoder(held(both))
