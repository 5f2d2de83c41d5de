from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.layers.pixel_losses import (
    balanced_cross_entropy,
    dice_loss,
    hardest_pixels,
    masked_l1_loss,
    squared_dice_loss,
    sum_of_largest,
    to_one_size,
)
from text_samples import golden_dbnet_batch


def golden_maps() -> dict[str, Tensor]:
    names = ("prob_logits", "thr_map", "binary_map", "gt_shrink", "gt_shrink_mask", "gt_thr", "gt_thr_mask")
    return {name: golden_dbnet_batch()[name] for name in names}


def golden_values(name: str) -> dict[str, float]:
    values: dict[str, dict[str, float]] = golden_json("detectors", "loss_values.json")
    return values[name]


@pytest.mark.parametrize(
    ("function", "term", "weight", "inputs"),
    [
        (balanced_cross_entropy, "loss_prob", 5, ("prob_logits", "gt_shrink", "gt_shrink_mask")),
        (masked_l1_loss, "loss_thr", 10, ("thr_map", "gt_thr", "gt_thr_mask")),
        (dice_loss, "loss_db", 1, ("binary_map", "gt_shrink", "gt_shrink_mask")),
    ],
)
def test_losses_and_gradients_equal_published_ones(
    function: Callable[[Tensor, Tensor, Tensor], Tensor], term: str, weight: float, inputs: tuple[str, str, str]
) -> None:
    maps, expected = golden_maps(), golden_values("db_default")
    prediction = maps[inputs[0]].requires_grad_()
    loss = weight * function(prediction, maps[inputs[1]], maps[inputs[2]])
    loss.backward()
    assert loss.item() == pytest.approx(expected[term], rel=1e-4)
    assert prediction.grad is not None
    assert prediction.grad.norm().item() == pytest.approx(expected[f"grad_l2/{term}/{inputs[0]}"], rel=2e-3)
    assert prediction.grad.sum().item() == pytest.approx(expected[f"grad_sum/{term}/{inputs[0]}"], rel=2e-3)


def test_cross_entropy_without_positives_equals_published_values() -> None:
    maps, expected = golden_maps(), golden_values("db_no_positive")
    logits, valid = maps["prob_logits"], maps["gt_shrink_mask"]
    nothing = torch.zeros_like(logits)
    assert balanced_cross_entropy(logits, nothing, valid).item() == expected["loss_prob_fallback0"]
    some = balanced_cross_entropy(logits, nothing, valid, negatives_without_positive=100)
    assert some.item() == pytest.approx(expected["loss_prob_fallback100"], rel=1e-5)


def test_balanced_cross_entropy_by_hand() -> None:
    # One positive at logit 0 and, of five known negatives, the two hardest: logits 2 and 1.
    logits = torch.tensor([0.0, 2.0, 1.0, -1.0, -2.0, -3.0, 9.0])
    target = torch.tensor([1, 0, 0, 0, 0, 0, 0])
    valid = torch.tensor([1, 1, 1, 1, 1, 1, 0])
    expected = (np.log(2) + np.log1p(np.exp(2)) + np.log1p(np.exp(1))) / 3
    assert balanced_cross_entropy(logits, target, valid, negative_ratio=2).item() == pytest.approx(expected, rel=1e-5)
    all_of_them = balanced_cross_entropy(logits, target, valid, negative_ratio=100).item()
    assert all_of_them == pytest.approx((expected * 3 + np.log1p(np.exp([-1.0, -2.0, -3.0])).sum()) / 6, rel=1e-5)


def test_dice_by_hand() -> None:
    target, valid = torch.tensor([1, 1, 0, 0, 1]), torch.tensor([1, 1, 1, 1, 0])
    assert dice_loss(torch.tensor([1.0, 1.0, 0, 0, 0]), target, valid).item() == pytest.approx(0, abs=1e-3)
    assert dice_loss(torch.tensor([0.0, 0, 1, 1, 1]), target, valid).item() == pytest.approx(1, abs=1e-3)
    assert dice_loss(torch.tensor([1.0, 0, 1, 0, 1]), target, valid).item() == pytest.approx(0.5, abs=1e-3)


def test_masked_l1_by_hand() -> None:
    prediction, target = torch.tensor([0.5, 0.5, 0.5]), torch.tensor([0.25, 1.0, 9.0])
    assert masked_l1_loss(prediction, target, torch.tensor([1, 1, 0])).item() == pytest.approx(0.375, rel=1e-3)


@settings(deadline=None)
@given(
    st.lists(st.floats(min_value=0, max_value=2.0**100, width=32), min_size=1, max_size=40),
    st.integers(min_value=0, max_value=40),
)
def test_sum_of_largest_equals_topk(values: list[float], count: int) -> None:
    count = min(count, len(values))
    tensor = torch.tensor(values, dtype=torch.float32)
    found = sum_of_largest(tensor, torch.tensor(count))
    assert found.item() == pytest.approx(tensor.topk(count).values.sum().item(), rel=1e-5)


def test_sum_of_largest_shares_the_gradient_of_equal_values() -> None:
    values = torch.tensor([3.0, 1.0, 1.0, 0.5], requires_grad=True)
    sum_of_largest(values, torch.tensor(2)).backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1.0, 0.5, 0.5, 0.0]


def test_sum_of_largest_does_not_hide_what_is_not_finite() -> None:
    assert not sum_of_largest(torch.tensor([1.0, torch.inf, 2.0]), torch.tensor(2)).isfinite()
    assert sum_of_largest(torch.tensor([1.0, torch.nan, 2.0]), torch.tensor(2)).isnan()


@pytest.mark.parametrize("function", [balanced_cross_entropy, masked_l1_loss, dice_loss, squared_dice_loss])
def test_nothing_known_gives_zero_tied_to_the_graph(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    prediction = torch.rand(2, 3, 4, requires_grad=True)
    loss = function(prediction, torch.ones(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert loss.dtype == torch.float32
    assert prediction.grad is not None
    assert not prediction.grad.any()


@pytest.mark.parametrize("function", [balanced_cross_entropy, masked_l1_loss, dice_loss, squared_dice_loss])
def test_half_precision_maps_give_float32_losses(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    prediction, target = torch.rand(2, 64, 64).bfloat16(), (torch.rand(2, 64, 64) > 0.9).to(torch.uint8)
    loss = function(prediction, target, torch.ones_like(target))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, function(prediction.float(), target, torch.ones_like(target)))


def hardest_pixels_by_sorting(
    probability: np.ndarray, target: np.ndarray, valid: np.ndarray, negative_ratio: float
) -> np.ndarray:
    """The definition, one map after the other."""
    selected = np.zeros(target.shape, bool)
    for one, positive, known, chosen in zip(probability, target > 0, valid > 0, selected, strict=True):
        chosen |= positive & known
        negative = ~positive & known
        count = min(int(chosen.sum() * negative_ratio), int(negative.sum()))
        if count:
            chosen |= negative & (one >= np.sort(one[negative])[-count])
    return selected


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.02, 0.3, 1.0]), st.sampled_from([0.5, 1.0]), st.integers(1, 255))
def test_hardest_pixels_equal_sorting(seed: int, text_share: float, valid_share: float, levels: int) -> None:
    generator = np.random.default_rng(seed)
    # Few levels: many pixels are equally hard.
    probability = (generator.integers(0, levels + 1, (3, 9, 11)) / levels).astype(np.float32)
    target = (generator.random((3, 9, 11)) < text_share).astype(np.uint8)
    valid = (generator.random((3, 9, 11)) < valid_share).astype(np.uint8)
    target[0], valid[1] = 0, 0
    found = hardest_pixels(*(torch.from_numpy(array) for array in (probability, target, valid)), 3.0)
    assert np.array_equal(found.numpy(), hardest_pixels_by_sorting(probability, target, valid, 3.0))


def test_hardest_pixels_equal_published_ones() -> None:
    golden = golden_arrays("detectors", "loss_pan")
    drawn = [golden_arrays("detectors", f"targets_pan_{layout}") for layout in ("b320", "b320x")]
    text, valid = (torch.from_numpy(np.stack([arrays[name] for arrays in drawn])) for name in ("gt_kernels", "gt_mask"))
    logits = torch.from_numpy(golden["pred"][:, :1].astype(np.float32))
    enlarged = torch.nn.functional.interpolate(logits, size=valid.shape[-2:], mode="bilinear")[:, 0]
    selected = hardest_pixels(enlarged.sigmoid(), text[:, 0], valid)
    assert torch.equal(selected, torch.from_numpy(golden["ohem_mask"]).bool())


def test_squared_dice_by_hand() -> None:
    target, selected = torch.tensor([[[1, 1, 0, 0]], [[0, 0, 0, 0]]]), torch.ones(2, 1, 4)
    probability = torch.tensor([[[1.0, 0.5, 0.5, 0]], [[1.0, 1, 1, 1]]])
    # 2 (1 + 0.5) / (1 + 0.25 + 0.25 + 2) of the first map; the second has nothing to overlap with.
    assert squared_dice_loss(probability, target, selected).item() == pytest.approx((1 - 3 / 3.5) / 2, abs=1e-3)
    selected[:, :, 2] = 0
    assert squared_dice_loss(probability, target, selected).item() == pytest.approx((1 - 3 / 3.25) / 2, abs=1e-3)
    assert squared_dice_loss(probability[1:], target[:1], selected[:1]).item() == pytest.approx(1 - 4 / 5, abs=1e-3)


@pytest.mark.parametrize(("method", "weight"), [("pse", 0.7), ("pan", 1.0)])
def test_older_published_selection_ranks_ignored_text_among_the_negatives(method: str, weight: float) -> None:
    drawn = [golden_arrays("detectors", f"targets_legacy04_{layout}") for layout in ("b320", "b320x")]
    kernels, valid = (
        torch.from_numpy(np.stack([arrays[f"{method}_{name}"] for arrays in drawn]))[..., ::4, ::4]
        for name in ("gt_kernels", "gt_mask")
    )
    logits = torch.from_numpy(golden_arrays("detectors", f"loss_{method}")["pred"][:, 0].astype(np.float32))
    probability, text = logits.sigmoid(), kernels[:, 0] > 0
    values = golden_json("detectors", "loss_values_legacy04.json")
    expected = values[f"{method}_downsample0.25"]["loss_text"]

    older = hardest_pixels(probability, text, torch.ones_like(valid)) & (valid > 0)
    assert weight * squared_dice_loss(probability, text, older).item() == pytest.approx(expected, rel=1e-4)
    hardest = hardest_pixels(probability, text, valid)
    assert (hardest & ~older).sum() < 0.02 * older.sum()
    assert weight * squared_dice_loss(probability, text, hardest).item() == pytest.approx(expected, rel=2e-3)


def test_logits_are_enlarged_bilinearly() -> None:
    logits = torch.tensor([[[[0.0, 4.0]]]]).bfloat16().requires_grad_()
    targets = {"text": torch.arange(16).view(1, 2, 8)}
    enlarged, same = to_one_size(logits, targets, enlarge=True)
    assert enlarged.dtype == torch.float32
    assert enlarged[0, 0].tolist() == [[0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]] * 2
    assert same["text"] is targets["text"]
    enlarged.sum().backward()
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == [8, 8]


def test_targets_are_thinned_out() -> None:
    logits = torch.randn(2, 3, 2, 3)
    targets = {"text": torch.arange(2 * 8 * 12).view(2, 8, 12), "valid": torch.ones(2, 8, 12, dtype=torch.uint8)}
    same, thinned = to_one_size(logits, targets, enlarge=False)
    assert torch.equal(same, logits)
    assert thinned["text"][0].tolist() == [[0, 4, 8], [48, 52, 56]]
    assert {name: (target.dtype, tuple(target.shape)) for name, target in thinned.items()} == {
        "text": (torch.int64, (2, 2, 3)),
        "valid": (torch.uint8, (2, 2, 3)),
    }
