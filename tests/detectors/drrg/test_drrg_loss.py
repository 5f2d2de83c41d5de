from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.detectors.drrg.config import DRRGSettings
from scenetext.detectors.drrg.loss import loss
from scenetext.detectors.drrg.model import MAPS

CONFIG = DRRGSettings()


def golden_targets() -> dict[str, Tensor]:
    """The published targets of the two images."""
    names = {"text": "gt_text_mask", "valid": "gt_mask", "centre": "gt_center_region_mask"}
    names |= {"sin": "gt_sin_map", "cos": "gt_cos_map", "top": "gt_top_height_map", "bottom": "gt_bot_height_map"}
    images = [golden_arrays("detectors", f"targets_drrg_{layout}") for layout in ("b320", "b320x")]
    return {
        name: torch.from_numpy(np.stack([image[published] for image in images])) for name, published in names.items()
    }


def stage_maps(logits: Tensor, linked: Tensor) -> dict[str, Tensor]:
    """Links (P, K) of one image, all of which count."""
    some = torch.ones(linked.shape[:1], dtype=torch.bool)
    stage = {"link": logits, "linked": linked, "valid": some, "is_pivot": some, "has_nearest": linked >= 0}
    return {f"links.{name}": value[None] for name, value in stage.items()}


def test_terms_equal_published_ones_with_their_gradients() -> None:
    arrays = golden_arrays("detectors", "loss_drrg")
    prediction = torch.from_numpy(arrays["pred_maps"].astype(np.float32)).requires_grad_()
    graph = torch.from_numpy(arrays["gcn_pred"].astype(np.float32)).requires_grad_()
    linked = torch.from_numpy(arrays["gt_labels"]).float()
    maps = dict(zip(MAPS, prediction.unbind(dim=1), strict=True))
    terms = loss(maps | stage_maps((graph[:, 1] - graph[:, 0]).view(linked.shape), linked), golden_targets(), CONFIG)
    expected = golden_json("detectors", "loss_values.json")["drrg_default"]
    assert set(terms) == set(type(CONFIG.loss_weights).model_fields)
    published = {"centre": "loss_center", "links": "loss_gcn"}
    for name, term in terms.items():
        key = published.get(name, f"loss_{name}")
        assert term.item() == pytest.approx(expected[key], rel=1e-4), name
        source, tensor = ("gcn_pred", graph) if name == "links" else ("pred_maps", prediction)
        (gradient,) = torch.autograd.grad(term, tensor, retain_graph=True)
        assert gradient.norm().item() == pytest.approx(expected[f"grad_l2/{key}/{source}"], rel=2e-3), name
        total = expected[f"grad_sum/{key}/{source}"]
        assert gradient.sum().item() == pytest.approx(total, rel=2e-3, abs=1e-5), name


def test_only_links_that_there_are_count() -> None:
    targets = {name: torch.zeros(1, 4, 4) for name in ("text", "centre", "valid", "sin", "cos", "top", "bottom")}
    maps = {name: torch.zeros(1, 4, 4, requires_grad=True) for name in MAPS}
    logits, linked = torch.tensor([[0.0, 50], [50, 50], [50, 50]], requires_grad=True), torch.zeros(3, 2)
    stage = stage_maps(logits, linked)
    stage["links.has_nearest"][0, 0, 1] = False
    stage["links.is_pivot"] = torch.tensor([[True, False, True]])
    stage["links.valid"] = torch.tensor([[True, True, False]])
    assert loss(maps | stage, targets, CONFIG)["links"].item() == pytest.approx(np.log(2), rel=1e-5)
    stage["links.valid"] = torch.zeros(1, 3, dtype=torch.bool)
    terms = loss(maps | stage, targets, CONFIG)
    assert not any(term.item() for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    assert not logits.grad.any()  # type: ignore[union-attr]
