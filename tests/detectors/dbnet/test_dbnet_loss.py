from __future__ import annotations

import pytest
import torch
from torch import Tensor

from golden import golden_json
from scenetext.detectors.dbnet.config import DBNetSettings
from scenetext.detectors.dbnet.loss import loss
from text_samples import golden_dbnet_batch

CONFIG = DBNetSettings()


def golden_batch() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Maps and targets of the golden values; the threshold's logits are those of the stored threshold map."""
    arrays = golden_dbnet_batch()
    maps = {"probability": arrays["prob_logits"], "threshold": arrays["thr_map"].logit()}
    targets = {
        "probability": arrays["gt_shrink"].to(torch.uint8),
        "probability_valid": arrays["gt_shrink_mask"].to(torch.uint8),
        "threshold": arrays["gt_thr"],
        "threshold_valid": arrays["gt_thr_mask"].to(torch.uint8),
    }
    return maps, targets


def empty_targets(maps: dict[str, Tensor], valid: int) -> dict[str, Tensor]:
    nothing = torch.zeros(maps["probability"].shape, dtype=torch.uint8)
    return {
        "probability": nothing,
        "probability_valid": nothing + valid,
        "threshold": torch.full(nothing.shape, 0.3),
        "threshold_valid": nothing,
    }


def random_maps() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(2, 32, 48, generator=generator).mul(3).requires_grad_()
        for name in ("probability", "threshold")
    }


def test_terms_equal_published_values() -> None:
    maps, targets = golden_batch()
    terms = loss(maps, targets, CONFIG)
    expected = golden_json("detectors", "loss_values.json")["db_default_unweighted"]
    assert terms["probability"].item() == pytest.approx(expected["loss_prob"], rel=1e-4)
    assert terms["threshold"].item() == pytest.approx(expected["loss_thr"], rel=1e-4)
    assert set(terms) == set(type(CONFIG.loss_weights).model_fields)


def test_binary_term_is_the_dice_of_the_approximate_step() -> None:
    maps, targets = golden_batch()
    text = targets["probability"].double() * targets["probability_valid"]
    probability, threshold = (maps[name].double().sigmoid() for name in ("probability", "threshold"))
    binary = 1 / (1 + torch.exp(-50 * (probability - threshold))) * targets["probability_valid"]
    expected = 1 - 2 * (binary * text).sum() / (binary.sum() + text.sum())
    assert loss(maps, targets, CONFIG)["binary"].item() == pytest.approx(expected.item(), rel=1e-4)
    softer = loss(maps, targets, DBNetSettings(amplification=5))["binary"]
    assert softer.item() != pytest.approx(expected.item(), rel=1e-2)


def test_probability_term_trains_neither_threshold_nor_ignored_pixels() -> None:
    maps, targets = random_maps(), empty_targets(random_maps(), valid=1)
    targets["probability"] = targets["probability"].clone()
    targets["probability"][:, 8:16, 8:32] = 1
    targets["probability_valid"] = targets["probability_valid"].clone()
    targets["probability_valid"][:, :4] = 0
    loss(maps, targets, CONFIG)["probability"].backward()
    assert maps["threshold"].grad is None
    gradient = maps["probability"].grad
    assert gradient is not None
    assert not gradient[:, :4].any()
    assert (gradient[:, 8:16, 8:32] < 0).all()


@pytest.mark.parametrize("valid", [0, 1], ids=["everything ignored", "no text"])
@pytest.mark.parametrize("scale", [1, 1000], ids=["usual logits", "huge logits"])
def test_batch_without_text_gives_zeros_tied_to_the_graph(valid: int, scale: float) -> None:
    maps = random_maps()
    terms = loss({name: logits * scale for name, logits in maps.items()}, empty_targets(maps, valid), CONFIG)
    assert {name: term.item() for name, term in terms.items()} == {"probability": 0, "threshold": 0, "binary": 0}
    torch.stack(list(terms.values())).sum().backward()
    for logits in maps.values():
        assert logits.grad is not None
        assert not logits.grad.any()


def test_negatives_of_a_batch_without_text_can_be_made_to_count() -> None:
    maps = random_maps()
    config = DBNetSettings(negatives_without_text=10)
    loss(maps, empty_targets(maps, valid=1), config)["probability"].backward()
    gradient = maps["probability"].grad
    assert gradient is not None
    assert (gradient > 0).sum() == 10
    assert (gradient < 0).sum() == 0


def test_losses_are_float32_under_autocast() -> None:
    maps, targets = golden_batch()
    halves = {name: logits.bfloat16() for name, logits in maps.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(halves, targets, CONFIG)
    outside = loss({name: logits.float() for name, logits in halves.items()}, targets, CONFIG)
    for name, term in inside.items():
        assert term.dtype == torch.float32, name
        assert torch.equal(term, outside[name]), name
