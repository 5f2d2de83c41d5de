from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.detectors.psenet.config import PSENetSettings
from scenetext.detectors.psenet.loss import loss
from scenetext.detectors.psenet.targets import targets
from text_samples import golden_sample

CONFIG = PSENetSettings()
WEIGHTS = CONFIG.loss_weights.model_dump()


def golden_maps() -> dict[str, Tensor]:
    arrays = golden_arrays("detectors", "loss_pse")
    return {"kernels": torch.from_numpy(arrays["pred"].astype(np.float32)).requires_grad_()}


def published_targets() -> dict[str, Tensor]:
    """Those the golden losses were computed with, as levels."""
    drawn = [golden_arrays("detectors", f"targets_pse_{layout}") for layout in ("b320", "b320x")]
    kernels = torch.from_numpy(np.stack([arrays["gt_kernels"] for arrays in drawn])) > 0
    number = torch.arange(1, 8, dtype=torch.uint8)[:, None, None]
    return {
        "level": (kernels * number).amax(dim=1),
        "valid": torch.from_numpy(np.stack([arrays["gt_mask"] for arrays in drawn])),
    }


def own_targets() -> dict[str, Tensor]:
    arrays = golden_arrays("detectors", "loss_pse")
    made = [targets(golden_sample(arrays, f"_{index}"), CONFIG) for index in range(2)]
    return {name: torch.from_numpy(np.stack([one[name] for one in made])) for name in made[0]}


def random_maps() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"kernels": torch.randn(2, 7, 8, 12, generator=generator).mul(3).requires_grad_()}


def published(name: str, file: str = "loss_values.json") -> dict[str, float]:
    return golden_json("detectors", file)[name]


@pytest.mark.parametrize(
    ("settings", "name"), [({}, "pse_default"), ({"kernel_sampling": "labelled"}, "pse_hard")], ids=["default", "hard"]
)
def test_terms_and_gradients_equal_published_ones(settings: dict[str, Any], name: str) -> None:
    maps, expected = golden_maps(), published(name)
    terms = loss(maps, published_targets(), PSENetSettings(**settings))
    assert set(terms) == set(WEIGHTS)
    for term, published_term in (("text", "loss_text"), ("kernels", "loss_kernel")):
        weighted = WEIGHTS[term] * terms[term]
        (gradient,) = torch.autograd.grad(weighted, maps["kernels"], retain_graph=True)
        # The levels nest kernels that are drawn apart: single pixels of 150,000 differ.
        assert weighted.item() == pytest.approx(expected[published_term], rel=3e-4)
        assert gradient.norm().item() == pytest.approx(expected[f"grad_l2/{published_term}/pred"], rel=2e-3)
        assert gradient.sum().item() == pytest.approx(expected[f"grad_sum/{published_term}/pred"], rel=5e-3)


def test_own_targets_cost_what_the_published_ones_cost() -> None:
    maps = golden_maps()
    found, expected = loss(maps, own_targets(), CONFIG), published("pse_default")
    assert 0.7 * found["text"].item() == pytest.approx(expected["loss_text"], rel=1e-3)
    assert 0.3 * found["kernels"].item() == pytest.approx(expected["loss_kernel"], rel=1e-3)


def test_losses_at_the_size_of_the_maps_equal_the_older_published_ones() -> None:
    found = loss(golden_maps(), own_targets(), PSENetSettings(full_size_loss=False))
    expected = published("pse_downsample0.25", "loss_values_legacy04.json")
    # The older selection of hard negatives counts the pixels of ignored text among the negatives, and then masks them:
    # this loss, as the newer one, has a few more real negatives instead.
    assert 0.7 * found["text"].item() == pytest.approx(expected["loss_text"], rel=2e-3)
    assert 0.3 * found["kernels"].item() == pytest.approx(expected["loss_kernel"], rel=1e-3)


def test_terms_train_their_own_maps_where_text_is_known() -> None:
    level, valid = torch.zeros(2, 32, 48, dtype=torch.uint8), torch.ones(2, 32, 48, dtype=torch.uint8)
    level[:, 8:24, 8:32] = 7
    valid[:, :, 40:] = 0
    config = PSENetSettings(kernel_sampling="labelled", full_size_loss=False)
    maps = random_maps()
    terms = loss(maps, {"level": level, "valid": valid}, config)
    (of_text,) = torch.autograd.grad(terms["text"], maps["kernels"], retain_graph=True)
    (of_kernels,) = torch.autograd.grad(terms["kernels"], maps["kernels"])
    assert not of_text[:, 1:].any()
    assert not of_text[:, 0, :, 10:].any()
    assert (of_text[:, 0, 2:6, 2:8] < 0).any()
    assert not of_kernels[:, 0].any()
    is_text = torch.zeros(8, 12, dtype=torch.bool)
    is_text[2:6, 2:8] = True
    assert of_kernels[:, 1:, is_text].all()
    assert not of_kernels[:, 1:, ~is_text].any()


@pytest.mark.parametrize("valid", [0, 1], ids=["everything ignored", "no text"])
@pytest.mark.parametrize("scale", [1, 1000], ids=["usual logits", "huge logits"])
def test_batch_without_text_gives_zeros_tied_to_the_graph(valid: int, scale: float) -> None:
    maps, nothing = random_maps(), torch.zeros(2, 32, 48, dtype=torch.uint8)
    terms = loss({"kernels": maps["kernels"] * scale}, {"level": nothing, "valid": nothing + valid}, CONFIG)
    assert {name: term.item() for name, term in terms.items()} == {"text": 0, "kernels": 0}
    torch.stack(list(terms.values())).sum().backward()
    assert maps["kernels"].grad is not None
    assert not maps["kernels"].grad.any()


def test_losses_are_float32_under_autocast() -> None:
    halves, wanted = {"kernels": golden_maps()["kernels"].bfloat16()}, own_targets()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(halves, wanted, CONFIG)
    outside = loss({"kernels": halves["kernels"].float()}, wanted, CONFIG)
    for name, term in inside.items():
        assert term.dtype == torch.float32, name
        assert torch.equal(term, outside[name]), name
