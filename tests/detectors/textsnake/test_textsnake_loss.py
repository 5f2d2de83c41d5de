from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.detectors.textsnake.config import TextSnakeSettings
from scenetext.detectors.textsnake.loss import loss
from scenetext.detectors.textsnake.model import MAPS

CONFIG = TextSnakeSettings()


def golden_targets() -> dict[str, Tensor]:
    """The published targets of the two images."""
    names = {"text": "gt_text_mask", "valid": "gt_mask", "centre": "gt_center_region_mask"}
    names |= {name: f"gt_{name}_map" for name in ("sin", "cos", "radius")}
    images = [golden_arrays("detectors", f"targets_textsnake_{layout}") for layout in ("b320", "b320x")]
    return {
        name: torch.from_numpy(np.stack([image[published] for image in images])) for name, published in names.items()
    }


def maps_of(prediction: Tensor) -> dict[str, Tensor]:
    return dict(zip(MAPS, prediction.unbind(dim=1), strict=True))


def test_terms_equal_published_ones_with_their_gradients() -> None:
    arrays = golden_arrays("detectors", "loss_textsnake")
    prediction = torch.from_numpy(arrays["pred"].astype(np.float32)).requires_grad_()
    expected = golden_json("detectors", "loss_values.json")["textsnake_default"]
    terms = loss(maps_of(prediction), golden_targets(), CONFIG)
    assert set(terms) == set(type(CONFIG.loss_weights).model_fields)
    for name, term in terms.items():
        published = "loss_center" if name == "centre" else f"loss_{name}"
        assert term.item() == pytest.approx(expected[published], rel=1e-4), name
        (gradient,) = torch.autograd.grad(term, prediction, retain_graph=True)
        assert gradient.norm().item() == pytest.approx(expected[f"grad_l2/{published}/pred"], rel=2e-3), name
        total = expected[f"grad_sum/{published}/pred"]
        assert gradient.sum().item() == pytest.approx(total, rel=2e-3, abs=1e-5), name


def small(**changed: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Maps of 0 and targets of two rows of text, the upper one ignored, in an image of 4 x 5; some of them changed."""
    text = torch.zeros(1, 4, 5, dtype=torch.uint8)
    text[:, 1:3] = 1
    valid = torch.ones_like(text)
    valid[:, 1] = 0
    ones = torch.ones(1, 4, 5)
    targets = {"text": text, "centre": text, "valid": valid, "sin": 0 * ones, "cos": ones, "radius": 9.99 * ones}
    return {name: changed.get(name, 0 * ones).requires_grad_() for name in MAPS}, targets


def test_terms_by_hand() -> None:
    maps, targets = small(radius=torch.full((1, 4, 5), 5.0), sin=torch.full((1, 4, 5), 3.0))
    terms = loss(maps, targets, CONFIG)
    assert terms["text"].item() == pytest.approx(np.log(2), rel=1e-5)
    assert terms["centre"].item() == pytest.approx(np.log(2), rel=1e-5)
    assert terms["radius"].item() == pytest.approx(0.5 * 0.5**2, rel=1e-5)
    assert terms["sin"].item() == pytest.approx(0.5, rel=1e-5), "of (3, 0) at unit length from (0, 1)"
    assert terms["cos"].item() == pytest.approx(0.5, rel=1e-5)


def test_ignored_text_and_background_reach_only_the_text_term() -> None:
    maps, targets = small(sin=torch.full((1, 4, 5), 0.3), cos=torch.full((1, 4, 5), 0.4))
    terms = loss(maps, targets, CONFIG)
    torch.stack([terms[name] for name in ("centre", "radius", "sin", "cos")]).sum().backward()
    for name in ("centre", "radius", "sin", "cos"):
        gradient = maps[name].grad
        assert gradient is not None
        assert not gradient[:, [0, 1, 3]].any(), name
        assert gradient[:, 2].all(), name


@pytest.mark.parametrize("valid", [0, 1])
def test_images_without_text_give_zero_but_for_the_text_term(valid: int) -> None:
    maps, targets = small()
    targets |= {name: torch.zeros_like(targets[name]) for name in ("text", "centre")}
    targets["valid"] = torch.full_like(targets["valid"], valid)
    terms = loss(maps, targets, CONFIG)
    assert terms["text"].item() == pytest.approx(valid * np.log(2), rel=1e-5)
    assert not any(term.item() for name, term in terms.items() if name != "text")
    torch.stack(list(terms.values())).sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in maps.values())


def test_direction_without_length_has_a_finite_gradient() -> None:
    maps, targets = small()
    terms = loss(maps, targets, CONFIG)
    (terms["sin"] + terms["cos"]).backward()
    assert all(maps[name].grad.isfinite().all() for name in ("sin", "cos"))  # type: ignore[union-attr]
