from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.errors import CheckpointError
from scenetext.oclip.config import OclipSettings
from scenetext.oclip.model import OclipModel
from scenetext.weights.backbone import extract_backbone
from scenetext.weights.report import load_weights

SMALL = OclipSettings(
    encoder=ClipResNetSettings(layers=(1, 2, 1, 1), width=8),
    input_size=64,
    embed_dim=32,
    text_width=16,
    text_heads=2,
    text_layers=1,
    decoder_layers=1,
    decoder_heads=2,
)


def pretrained() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return OclipModel(SMALL, 97).state_dict()


@pytest.mark.parametrize("prefix", ["", "network.", "module."])
def test_backbone_of_a_pretraining_gives_the_same_features(prefix: str) -> None:
    model = OclipModel(SMALL, 97).eval()
    backbone = extract_backbone({prefix + name: value for name, value in model.state_dict().items()})
    assert backbone.layers == (1, 2, 1, 1)
    assert backbone.width == 8
    encoder = ClipResNet(ClipResNetSettings(layers=backbone.layers, width=backbone.width)).eval()
    load_weights(encoder, backbone.weights, "test")
    images = torch.randn(2, 3, 64, 96)
    for ours, theirs in zip(encoder(images).levels, model.visual(images).levels, strict=True):
        assert torch.equal(ours, theirs)


def test_everything_is_kept_or_named_as_left_out() -> None:
    weights = pretrained()
    backbone = extract_backbone(weights)
    assert len(backbone.weights) + len(backbone.left_out) == len(weights)
    assert any("attnpool" in name for name in backbone.left_out)
    assert "token_embedding.weight" in backbone.left_out


def test_weights_without_an_image_encoder_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"no image encoder.*head"):
        extract_backbone({"head.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="four ResNet stages"):
        extract_backbone({"visual.conv3.weight": torch.zeros(4, 4, 3, 3)})
