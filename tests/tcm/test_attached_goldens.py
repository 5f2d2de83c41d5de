"""Attached TCM against the values of the published spotter code: score map, text, the level it is added to, loss."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden import golden_arrays
from scenetext.contracts import EncoderSpec
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.structures import Features
from scenetext.tcm import attached
from scenetext.tcm.attached import AttachedTcmEncoder
from scenetext.tcm.config import AttachedTcmSettings
from scenetext.tcm.matching import MatchingLoss
from scenetext.weights.published_tcm import PROJECTION, published_name

CASES: dict[str, dict[str, Any]] = {
    "plain": {"addition_gate": "off"},
    "gamma": {"addition_gate": "learnt"},
    "fast": {"addition_gate": "off", "fast": True},
    "no_refinement": {"addition_gate": "off", "text_refinement": False},
}
SIZES: dict[str, Any] = {
    "embed_dim": 32,
    "learnable_prompts": 4,
    "text": {"width": 16, "heads": 2, "layers": 2, "vocabulary_size": 600},
    "decoder": {"width": 16, "heads": 2, "layers": 1, "dropout": 0},
    "matching": {"loss": "image_dice"},
}


class GivenLevels(nn.Module):
    """An encoder whose third level is that of the golden file, whatever the images."""

    channels, strides = (4, 4, 24, 4), (4, 8, 16, 32)
    pixel_mean = pixel_std = (0.5, 0.5, 0.5)

    def forward(self, images: Tensor) -> Features:
        level = torch.from_numpy(arrays()["input/p4"])
        others = [torch.zeros(len(level), 4, 96 // stride, 128 // stride) for stride in self.strides]
        return Features((*others[:2], level, others[3]))


@cache
def arrays() -> dict[str, np.ndarray]:
    return golden_arrays("spotting", "tcm_spotter")


def tensor(name: str) -> Tensor:
    """The published value of one of the encoder's tensors."""
    if name == "prompts.meta_query":
        return torch.from_numpy(arrays()["fast/meta_query"])
    if name == PROJECTION:
        return torch.from_numpy(arrays()["fast/pix_w"]).T
    value = torch.from_numpy(arrays()[f"param/{published_name(name)}"])
    return value[None] if name == "addition" else value


@pytest.fixture
def given_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = EncoderSpec(settings=ClipResNetSettings, build=lambda _: GivenLevels(), small={})
    monkeypatch.setattr(attached, "backbones", lambda: {"clip_resnet": spec})


def encoder(case: str) -> AttachedTcmEncoder:
    settings = AttachedTcmSettings.model_validate({**SIZES, **CASES[case]})
    built = AttachedTcmEncoder(settings, [arrays()["token_ids"].tolist()])
    names = [name for name in built.state_dict() if not name.endswith("num_batches_tracked")]
    built.load_state_dict({name: tensor(name) for name in names}, strict=False)
    return built.eval()


def compare(found: Tensor, name: str) -> None:
    np.testing.assert_allclose(found.numpy(), arrays()[name], atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.usefixtures("given_levels")
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_level_score_and_text_of_every_case(case: str) -> None:
    built = encoder(case)
    features = built(torch.zeros(2, 3, 96, 128))
    tokens = built.image_tokens((*features.levels[:2], torch.from_numpy(arrays()["input/p4"])))
    if case == "plain":
        compare(tokens[:, 1:].transpose(1, 2).unflatten(2, (6, 8)), "plain/projected")
    compare(built._refined(built.text_features(tokens), tokens), f"{case}/text")
    compare(features.side["score_map"], f"{case}/score_map")
    compare(features.levels[2], f"{case}/level")
    for other in (0, 1, 3):
        assert not features.levels[other].any(), "only one level gets the score map"


def test_loss_against_zero_and_one_as_against_the_numbers_of_instances() -> None:
    """Published labels hold instance numbers (`loss/as_published`); a detector's region holds 0 and 1."""
    numbers = torch.from_numpy(arrays()["loss/target_indices"])
    settings = AttachedTcmSettings.model_validate(SIZES)
    score = {"score_map": torch.from_numpy(arrays()["plain/score_map"])}
    found = MatchingLoss(settings)(score, (numbers > 0).float(), torch.ones_like(numbers))["matching"]
    np.testing.assert_allclose(found.item(), arrays()["loss/binary_target"], rtol=1e-5)
    assert abs(found.item() - float(arrays()["loss/as_published"])) > 0.05
