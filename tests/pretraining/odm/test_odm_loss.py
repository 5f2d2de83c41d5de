from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from golden import golden_json
from odm_golden import golden_model, golden_tensors, inputs, targets, tiny_settings
from scenetext.layers.batch_norms import hold_statistics
from scenetext.pretraining.odm.config import PerceptualSettings
from scenetext.pretraining.odm.loss import MicroBatchSummary, odm_loss, pairs_of
from scenetext.pretraining.odm.model import OdmOutputs
from scenetext.pretraining.odm.perceptual import CRAFT_MEAN, CRAFT_STD, PerceptualLoss

OUTPUTS, STORED = golden_tensors("tiny_outputs"), golden_tensors("tiny_losses")
GOLDEN = golden_json("odm", "tiny_losses.json")
MEAN, STD = [(1 + each) / 2 for each in CRAFT_MEAN], [each / 2 for each in CRAFT_STD]


def detector(images: Tensor) -> Sequence[Tensor]:
    """The stand-in for a text detector: five convolutions, the deepest level first."""
    levels = []
    for number, stride in enumerate((2, 2, 2, 2, 1)):
        name = f"detector.convs.{number}"
        images = F.conv2d(images, STORED[f"{name}.weight"], STORED[f"{name}.bias"], stride, padding=1)
        images = images if number == 4 else images.relu()
        levels.append(images)
    return levels[::-1]


def full_size(logits: Tensor) -> Tensor:
    """(B, 1, h, w) -> (B, 2 h, 2 w) probabilities, as the published network gives them."""
    return logits.sigmoid()[:, 0].repeat_interleave(2, 1).repeat_interleave(2, 2)


@pytest.mark.parametrize(("form", "stored"), [("normalised", "published"), ("absolute", "l1")])
def test_perceptual_terms_equal_the_published_ones(form: str, stored: str) -> None:
    """The paper's absolute form sums over channels where ours averages."""
    for number, level in enumerate(detector(torch.zeros(1, 3, 128, 128))):
        one = PerceptualLoss(lambda images, at=number: [detector(images)[at]], MEAN, STD, settings(form))
        found = one(full_size(OUTPUTS["eval.logits_half"]), OUTPUTS["target_grey"] / 255)
        channels = level.shape[1] if form == "absolute" else 1
        torch.testing.assert_close(channels * found, STORED[f"eval.ocr.{stored}_terms"][number], rtol=1e-4, atol=1e-5)


def settings(form: str) -> PerceptualSettings:
    return PerceptualSettings(form=form)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["frozen", "train"])
def test_losses_and_gradients_equal_the_published_ones(mode: str) -> None:
    """With the perceptual loss at full size, where the published code has it."""
    model = golden_model()
    if mode == "frozen":
        hold_statistics(model)
    images, texts, real = inputs(OUTPUTS)
    outputs = model(images, texts, real, real)
    losses = odm_loss(outputs, targets(OUTPUTS), model.settings)
    looked = PerceptualLoss(detector, MEAN, STD, settings("normalised"))
    losses["perceptual"] = looked(full_size(outputs.logits), OUTPUTS["target_grey"] / 255).mean()
    for name, published in (("map", "seg"), ("contrastive", "bc"), ("perceptual", "ocr")):
        assert losses[name].item() == pytest.approx(GOLDEN["losses"][f"{mode}.{published}"], abs=1e-5, rel=1e-5), name
    total = losses["map"] + losses["perceptual"] + 0.5 * losses["contrastive"]
    assert total.item() == pytest.approx(GOLDEN["losses"][f"{mode}.total"], rel=1e-5)
    total.backward()
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    norms = GOLDEN["gradient_norms"][f"{mode}.total"]
    floor = (1e-6 if mode == "frozen" else 3e-4) * norms["all"]
    for name, gradient in gradients.items():
        assert float(gradient.norm()) == pytest.approx(norms[name], rel=1e-3, abs=floor + 1e-6), name
    prefix = f"{mode}.total.grad."
    stored = {name.removeprefix(prefix): value for name, value in STORED.items() if name.startswith(prefix)}
    assert len(stored) == 19
    for name, value in stored.items():
        allowed = (2e-3 if mode == "frozen" else 1e-2) * float(value.abs().max())
        torch.testing.assert_close(gradients[name], value, rtol=0, atol=allowed, msg=name)


def test_two_micro_batches_are_one_batch_of_six() -> None:
    """Value and gradient, as the published code in one process with all images."""
    model = golden_model()
    hold_statistics(model)
    batches = [(inputs(OUTPUTS, batch), targets(OUTPUTS, batch)) for batch in ("", "B.")]

    def run(pair: int) -> OdmOutputs:
        images, texts, real = batches[pair][0]
        outputs: OdmOutputs = model(images, texts, real, real)
        return outputs

    with torch.no_grad():
        summaries = [MicroBatchSummary(pairs_of(run(pair), model.settings), torch.tensor(3)) for pair in (0, 1)]
    parts = [odm_loss(run(pair), batches[pair][1], model.settings, None, [summaries[1 - pair]]) for pair in (0, 1)]
    means = {name: (parts[0][name] + parts[1][name]) / 2 for name in parts[0]}
    assert means["map"].item() == pytest.approx(GOLDEN["losses"]["whole.frozen.seg"], abs=1e-5)
    assert means["contrastive"].item() == pytest.approx(GOLDEN["losses"]["whole.frozen.bc"], abs=1e-5)
    (means["map"] + 0.5 * means["contrastive"]).backward()
    norms = GOLDEN["gradient_norms"]["whole.frozen.seg_plus_half_bc"]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.norm()) == pytest.approx(norms[name], rel=1e-3, abs=1e-5), name


def test_images_without_a_map_weigh_nothing() -> None:
    """One of three images has a map: its loss is the whole, whatever micro-batch it is in; none has one: zero."""
    logits = torch.tensor([3.0, -2.0, 0.5])[:, None, None, None].expand(3, 1, 4, 4).clone().requires_grad_()
    unit = F.normalize(torch.ones(3, 2), dim=1)
    outputs = OdmOutputs(logits, unit, unit, torch.zeros(3, dtype=torch.bool), torch.tensor(10.0))
    made = {"map": torch.full((3, 4, 4), 4, dtype=torch.uint8), "located": torch.tensor([False, True, False])}
    losses = odm_loss(outputs, made, tiny_settings(word_pooling="words"))
    assert losses["map"].item() == pytest.approx(math.log1p(math.exp(2.0)), rel=1e-6)
    assert losses["contrastive"].item() == 0, "no image has words"
    losses["map"].backward()
    assert logits.grad is not None
    assert [bool(each.any()) for each in logits.grad] == [False, True, False]
    nowhere = odm_loss(outputs, {**made, "located": torch.zeros(3, dtype=torch.bool)}, tiny_settings())
    assert nowhere["map"].item() == 0
    assert nowhere["map"].requires_grad


def test_the_overlap_term_equals_a_naive_one() -> None:
    """Twice what is common over the sum of squares, a hundredth of the area on both sides."""
    torch.manual_seed(0)
    logits = torch.randn(3, 1, 8, 6, requires_grad=True)
    strokes = torch.randint(0, 5, (3, 8, 6), dtype=torch.uint8)
    strokes[1] = 0
    feature = F.normalize(torch.randn(3, 4), dim=-1)
    outputs = OdmOutputs(logits, feature, feature, torch.ones(3, dtype=torch.bool), torch.tensor(1.0))
    located = torch.tensor([True, True, False])
    losses = odm_loss(outputs, {"map": strokes, "located": located}, tiny_settings(loss_weights={"dice": 1.0}))
    naive = 0.0
    for number in range(2):
        common = both = 0.01 * 48
        for row in range(8):
            for column in range(6):
                drawn = 1 / (1 + math.exp(-logits[number, 0, row, column].item()))
                wanted = strokes[number, row, column].item() / 4
                common += 2 * drawn * wanted
                both += drawn**2 + wanted**2
        naive += (1 - common / both) / 2
    assert losses["dice"].item() == pytest.approx(naive, rel=1e-5)
    (gradient,) = torch.autograd.grad(losses["dice"], logits)
    assert (gradient[1] > 0).all()
    assert not gradient[2].any()
    assert "dice" not in odm_loss(outputs, {"map": strokes, "located": located}, tiny_settings())
