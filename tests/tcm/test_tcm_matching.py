"""The score map's loss: what it rewards, in which precision, and on images without text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from scenetext.tcm.matching import MatchingLoss, bimodal_similarity, cosine_map, reduced_region
from tiny_tcm import tiny_settings

LOSSES = ("balanced_cross_entropy", "dice", "hard_dice")


def matching(**settings: Any) -> MatchingLoss:
    return MatchingLoss(tiny_settings(matching=settings))


def region(count: int = 2, size: tuple[int, int] = (64, 96)) -> Tensor:
    """Text in the left third of every image."""
    found = torch.zeros(count, *size, dtype=torch.uint8)
    found[:, :, : size[1] // 3] = 1
    return found


def score_of(text: Tensor, size: tuple[int, int] = (2, 3)) -> Tensor:
    """A score map that is right everywhere."""
    reduced, _ = reduced_region(text, torch.ones_like(text), size)
    return (reduced.float() * 2 - 1)[:, None]


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("resolution", ["region", "score_map"])
def test_right_scores_cost_less_than_wrong_ones(kind: str, resolution: str) -> None:
    loss, text = matching(loss=kind, resolution=resolution), region()
    score, valid = score_of(text), torch.ones_like(text)
    right, wrong, none = (
        loss({"score_map": each}, text, valid)["matching"] for each in (score, -score, torch.zeros_like(score))
    )
    assert right < none < wrong
    assert right < 0.2 if resolution == "region" else right < 0.01
    assert all(each.shape == () and each.dtype == torch.float32 for each in (right, wrong, none))


@pytest.mark.parametrize("kind", LOSSES)
def test_what_is_not_known_does_not_count(kind: str) -> None:
    loss, text = matching(loss=kind), region()
    valid = torch.ones_like(text)
    valid[:, :, :48] = 0
    valid[:, :32, :20] = 1
    changed = text.clone()
    changed[:, 40:, :40] = 0
    score = torch.randn(2, 1, 2, 3)
    one, other = (loss({"score_map": score}, each, valid)["matching"] for each in (text, changed))
    assert torch.equal(one, other)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("resolution", ["region", "score_map"])
@pytest.mark.parametrize("known", [0, 1])
def test_without_text_it_is_finite_and_tied_to_the_graph(kind: str, resolution: str, known: int) -> None:
    loss, text = matching(loss=kind, resolution=resolution), torch.zeros(2, 64, 96, dtype=torch.uint8)
    score = torch.randn(2, 1, 2, 3, requires_grad=True)
    found = loss({"score_map": score}, text, torch.full_like(text, known))["matching"]
    assert found == 0
    found.backward()
    assert score.grad is not None
    assert not score.grad.any()


@pytest.mark.parametrize("kind", LOSSES)
def test_autocast_changes_nothing(kind: str) -> None:
    loss, text = matching(loss=kind), region()
    score = torch.randn(2, 1, 2, 3)
    plain = loss({"score_map": score}, text, torch.ones_like(text))["matching"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = loss({"score_map": score}, text, torch.ones_like(text))["matching"]
    assert torch.equal(plain, low)


@given(st.integers(1, 3), st.integers(0, 2**31 - 1))
def test_balanced_loss_of_a_batch_follows_its_formula(count: int, seed: int) -> None:
    """Against sorting, over all images together: every positive and the three hardest negatives for each."""
    generator = torch.Generator().manual_seed(seed)
    score = torch.randn(count, 1, 3, 4, generator=generator)
    text, valid = (torch.rand(count, 3, 4, generator=generator) < share for share in (0.2, 0.8))
    found = matching(resolution="score_map", temperature=0.5)({"score_map": score}, text, valid)["matching"].item()
    logits = (score[:, 0] / 0.5).numpy()
    cost = np.log1p(np.exp(np.where(text.numpy(), -logits, logits)))
    positive = cost[(text & valid).numpy()]
    negative = np.sort(cost[(~text & valid).numpy()])[::-1][: 3 * len(positive)]
    expected = (positive.sum() + negative.sum()) / max(len(positive) + len(negative), 1)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_every_class_learns_its_own_region() -> None:
    settings = tiny_settings(prompts=["text.", "letters."], background_prompts=["walls."])
    loss, text = MatchingLoss(settings), region()
    one = score_of(text)
    right = torch.cat([one, one, -one], dim=1)
    wrong = torch.cat([one, one, one], dim=1)
    valid = torch.ones_like(text)
    found = [loss({"score_map": each}, text, valid)["matching"] for each in (right, wrong)]
    assert found[0] < 0.2 < 1 < found[1]


def test_learnt_scale_replaces_the_temperature() -> None:
    score, text = torch.randn(2, 1, 2, 3), region()
    valid = torch.ones_like(text)
    fixed = matching()({"score_map": score}, text, valid)["matching"]
    learnt = MatchingLoss(tiny_settings(learned_scale=True))({"score_map": score / 0.07}, text, valid)["matching"]
    torch.testing.assert_close(fixed, learnt)


def test_weight_is_beside_the_loss() -> None:
    assert matching(weight=0.25).loss_weights == {"matching": 0.25}


def test_region_reduced_to_cells() -> None:
    text, valid = torch.zeros(1, 4, 8), torch.ones(1, 4, 8)
    text[0, :, :3] = 1
    valid[0, :, 4:7] = 0
    text[0, 0, 7] = 1
    reduced, known = reduced_region(text, valid, (1, 2))
    assert reduced.tolist() == [[[True, False]]], "three quarters of the first cell; a quarter of what is known"
    assert known.tolist() == [[[True, False]]]


def test_cosine_and_similarity_follow_their_formulas() -> None:
    generator = torch.Generator().manual_seed(0)
    image, text = torch.randn(2, 6, 8, generator=generator), torch.randn(2, 3, 8, generator=generator)
    expected = torch.nn.functional.cosine_similarity(image[:, None], text[:, :, None], dim=-1)
    torch.testing.assert_close(cosine_map(image, text), expected)
    whole = image[:, 0]
    cosine = torch.nn.functional.cosine_similarity(text, whole[:, None], dim=-1)[..., None]
    unit_text, unit_image = text / text.norm(dim=-1, keepdim=True), whole / whole.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(bimodal_similarity(text, whole), unit_text + cosine * unit_image[:, None])
    assert bimodal_similarity(text[:1], whole).shape == (2, 3, 8), "one text for all images"
