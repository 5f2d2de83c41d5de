from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oclip_golden import assert_stored, golden_model, golden_tensors, tiny_settings
from scenetext.pretraining.oclip.loss import Pairs, character_loss, contrastive_loss, oclip_loss, place_loss
from scenetext.pretraining.oclip.model import OclipOutputs

UNUSED = torch.empty(0)
"""Word embeddings, which the loss does not look at."""


def unit(values: Tensor) -> Tensor:
    return values / values.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("case", ["nomask", "mask", "B"])
def test_losses_and_gradients_equal_the_published_ones(case: str) -> None:
    losses, outputs = golden_tensors("tiny_losses"), golden_tensors("tiny_outputs")
    if case == "B":
        inputs = [losses["B.images"], losses["B.texts"], losses["B.image_masks"]]
        masked = losses["B.masked_chars"]
    else:
        mask = outputs["image_mask_false" if case == "nomask" else "image_mask_some"]
        inputs, masked = [outputs["images"], outputs["texts"], mask], outputs["masked_chars"]
    model = golden_model()
    found = oclip_loss(model(*inputs), masked, model.settings)
    for name, published in (("character", "char_loss"), ("contrastive", "clip_loss")):
        torch.testing.assert_close(found[name], losses[f"single.{case}.w1.0.{published}"], atol=1e-5, rtol=1e-5)
    half = losses[f"single.{case}.w0.5.char_loss"]
    torch.testing.assert_close(0.5 * found["character"], half, atol=1e-5, rtol=1e-5)
    sum(found.values(), torch.zeros(())).backward()
    gradients = dict(model.named_parameters())
    prefix = f"single.{case}.grad."
    names = [key.removeprefix(prefix) for key in losses if key.startswith(prefix)]
    assert names or case == "mask"
    for name in names:
        expected = losses[prefix + name]
        allowed = 1e-5 * expected.abs().max().item()
        assert_stored(gradients[name].grad, expected, rtol=1e-3, atol=allowed)


@pytest.mark.parametrize("case", ["nomask", "B"])
def test_first_stage_has_the_published_contrastive_loss_alone(case: str) -> None:
    losses, outputs = golden_tensors("tiny_losses"), golden_tensors("tiny_outputs")
    source = {"images": losses["B.images"], "texts": losses["B.texts"]} if case == "B" else outputs
    model = golden_model(first_stage=True)
    found = oclip_loss(model(source["images"], source["texts"]), torch.zeros(3, 5, dtype=torch.int64), model.settings)
    assert list(found) == ["contrastive"]
    torch.testing.assert_close(found["contrastive"], losses[f"single.{case}.first.clip_loss"], atol=1e-5, rtol=1e-5)


def test_character_loss_by_hand() -> None:
    """Two hidden characters, one guessed at probability 1/2 and one at 1/4; the third slot is empty."""
    logits = torch.full((1, 3, 4), -1e9)
    logits[0, 0, :2] = 0.0
    logits[0, 1] = 0.0
    masked = torch.tensor([[1, 3, 0]])
    expected = (math.log(2) + math.log(4)) / 2
    assert character_loss(logits, masked).item() == pytest.approx(expected)


def test_contrastive_loss_by_hand() -> None:
    """Two orthogonal pairs that agree: each softmax is e^s / (e^s + 1); swapped texts turn the sign."""
    features, valid = torch.eye(2), torch.ones(2, dtype=torch.bool)
    scale = torch.tensor(3.0)
    right = contrastive_loss(Pairs(features, features, valid), scale).item()
    wrong = contrastive_loss(Pairs(features, features.flip(0), valid), scale).item()
    assert right == pytest.approx(math.log(1 + math.exp(-3)), rel=1e-5)
    assert wrong == pytest.approx(3 + math.log(1 + math.exp(-3)), rel=1e-5)


def test_images_without_words_neither_ask_nor_answer() -> None:
    torch.manual_seed(0)
    images, texts = unit(torch.randn(5, 8)), unit(torch.randn(5, 8))
    valid = torch.tensor([True, False, True, True, False])
    scale = torch.tensor(10.0)
    expected = contrastive_loss(Pairs(images[valid], texts[valid], torch.ones(3, dtype=torch.bool)), scale)
    torch.testing.assert_close(contrastive_loss(Pairs(images, texts, valid), scale), expected)


@pytest.mark.parametrize(("pooling", "counts"), [("words", False), ("slots", True)])
def test_published_pooling_keeps_images_without_words(pooling: str, counts: bool) -> None:
    torch.manual_seed(0)
    images, texts = unit(torch.randn(3, 8)), unit(torch.randn(3, 8))
    has_words = torch.tensor([True, True, False])
    outputs = OclipOutputs(images, texts, None, torch.tensor(5.0), has_words, None, UNUSED)
    masked = torch.zeros(3, 5, dtype=torch.int64)
    found = oclip_loss(outputs, masked, tiny_settings(word_pooling=pooling))["contrastive"]
    expected = contrastive_loss(Pairs(images, texts, has_words | counts), torch.tensor(5.0))
    torch.testing.assert_close(found, expected)


def test_nothing_to_learn_is_a_zero_that_is_tied_to_the_graph() -> None:
    logits = torch.randn(2, 3, 7, requires_grad=True)
    features = [torch.randn(2, 4, requires_grad=True), torch.zeros(2, 4, requires_grad=True)]
    scale = torch.tensor(14.0, requires_grad=True)
    outputs = OclipOutputs(*features, logits, scale, torch.zeros(2, dtype=torch.bool), None, UNUSED)
    with torch.autograd.set_detect_anomaly(True):
        losses = oclip_loss(outputs, torch.zeros(2, 3, dtype=torch.int64), tiny_settings())
        sum(losses.values(), torch.zeros(())).backward()
    assert {name: loss.item() for name, loss in losses.items()} == {"character": 0.0, "contrastive": 0.0}
    for leaf in (*features, logits, scale):
        assert leaf.grad is not None
        assert not leaf.grad.any()


def test_losses_are_float32_under_autocast() -> None:
    torch.manual_seed(0)
    features = unit(torch.randn(4, 8)).bfloat16()
    outputs = OclipOutputs(
        features, features, torch.randn(4, 2, 9).bfloat16(), torch.tensor(50.0), torch.ones(4) > 0, None, UNUSED
    )
    masked = torch.randint(1, 9, (4, 2))
    with torch.autocast("cpu", torch.bfloat16):
        inside = oclip_loss(outputs, masked, tiny_settings())
    outside = oclip_loss(outputs, masked, tiny_settings())
    assert all(loss.dtype == torch.float32 for loss in inside.values())
    assert inside == outside


def test_the_place_term_equals_a_naive_one() -> None:
    """Of every word of known place and every block, the logarithm of the attention on its cells together."""
    torch.manual_seed(0)
    looks = torch.randn(2, 3, 4, 6).softmax(dim=-1).requires_grad_()
    cells = torch.rand(3, 4, 2, 3) > 0.5
    cells[0, 1] = False
    cells[2] = False
    logarithms = [
        math.log(sum(looks[block, image, word, cell].item() for cell in range(6) if cells[image, word].flatten()[cell]))
        for image in range(3)
        for word in range(4)
        if cells[image, word].any()
        for block in range(2)
    ]
    loss = place_loss(looks, cells)
    assert loss.item() == pytest.approx(-sum(logarithms) / len(logarithms), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, looks)
    assert not gradient[:, 2].any()
    assert not gradient[:, 0, 1].any()
    assert place_loss(looks, torch.zeros_like(cells)).item() == 0
