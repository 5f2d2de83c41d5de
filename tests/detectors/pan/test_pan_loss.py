from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.detectors.pan.config import PANSettings
from scenetext.detectors.pan.loss import embedding_losses, loss
from scenetext.detectors.pan.targets import targets
from text_samples import golden_sample

CONFIG = PANSettings()
WEIGHTS = CONFIG.loss_weights.model_dump()
CLUSTERING = ("aggregation", "discrimination", "length")


def as_maps(predicted: Tensor) -> dict[str, Tensor]:
    return {"text": predicted[:, 0], "kernel": predicted[:, 1], "embedding": predicted[:, 2:]}


def golden_prediction() -> Tensor:
    arrays = golden_arrays("detectors", "loss_pan")
    return torch.from_numpy(arrays["pred"].astype(np.float32)).requires_grad_()


def published_targets() -> dict[str, Tensor]:
    """Those the golden losses were computed with."""
    drawn = [golden_arrays("detectors", f"targets_pan_{layout}") for layout in ("b320", "b320x")]
    kernels = torch.from_numpy(np.stack([arrays["gt_kernels"] for arrays in drawn]))
    valid = torch.from_numpy(np.stack([arrays["gt_mask"] for arrays in drawn]))
    return {"text": kernels[:, 0].int(), "kernel": (kernels[:, 1] > 0).to(torch.uint8), "valid": valid}


def own_targets() -> dict[str, Tensor]:
    arrays = golden_arrays("detectors", "loss_pan")
    made = [targets(golden_sample(arrays, f"_{index}"), CONFIG) for index in range(2)]
    return {name: torch.from_numpy(np.stack([one[name] for one in made])) for name in made[0]}


def random_prediction(scale: float = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 6, 8, 12, generator=generator).mul(3 * scale).requires_grad_()


def published(name: str, file: str = "loss_values.json") -> dict[str, float]:
    return golden_json("detectors", file)[name]


def clustering_by_definition(embedding: Tensor, text: Tensor, kernel: Tensor) -> dict[str, Tensor]:
    """The three terms of one image, one text and one pair after the other, in double precision."""
    references, spreads = [], []
    for number in text[kernel & (text > 0)].unique():
        reference = embedding[:, kernel & (text == number)].double().mean(dim=1)
        distance = (embedding[:, text == number].double() - reference[:, None]).norm(dim=0)
        references.append(reference)
        spreads.append(torch.log(1 + (distance - 0.5).clamp(min=0) ** 2).mean())
    pairs = [
        torch.log(1 + (3 - (one - other).norm()).clamp(min=0) ** 2)
        for index, one in enumerate(references)
        for other in references[index + 1 :]
    ]
    nothing = torch.zeros((), dtype=torch.float64)
    lengths = [torch.log(1 + reference.norm()) for reference in references]
    return {
        "aggregation": torch.stack(spreads).mean() if spreads else nothing,
        "discrimination": torch.stack(pairs).mean() if pairs else nothing,
        "length": torch.stack([*lengths, nothing]).mean(),
    }


def test_terms_and_gradients_equal_published_ones() -> None:
    predicted, expected = golden_prediction(), published("pan_default")
    terms = loss(as_maps(predicted), published_targets(), CONFIG)
    assert set(terms) == set(WEIGHTS)
    for names, published_term in (
        (("text",), "loss_text"),
        (("kernel",), "loss_kernel"),
        (CLUSTERING, "loss_embedding"),
    ):
        weighted = torch.stack([WEIGHTS[name] * terms[name] for name in names]).sum()
        (gradient,) = torch.autograd.grad(weighted, predicted, retain_graph=True)
        assert weighted.item() == pytest.approx(expected[published_term], rel=1e-4)
        assert gradient.norm().item() == pytest.approx(expected[f"grad_l2/{published_term}/pred"], rel=2e-3)
        assert gradient.sum().item() == pytest.approx(expected[f"grad_sum/{published_term}/pred"], rel=2e-3, abs=1e-5)


def test_clustering_of_every_image_equals_published_values() -> None:
    enlarged = torch.nn.functional.interpolate(golden_prediction()[:, 2:], size=(320, 480), mode="bilinear")
    wanted = published_targets()
    expected = published("pan_embedding_per_image")["values"]
    for index, value in enumerate(expected):  # type: ignore[arg-type]
        text = wanted["text"][index] * wanted["valid"][index]
        terms = embedding_losses(enlarged[index], text, wanted["kernel"][index] != 0, CONFIG)
        total = terms["aggregation"] + terms["discrimination"] + 0.001 * terms["length"]
        assert total.item() == pytest.approx(value, rel=1e-4)


def test_own_targets_cost_what_the_published_ones_cost() -> None:
    found, expected = loss(as_maps(golden_prediction()), own_targets(), CONFIG), published("pan_default")
    assert found["text"].item() == pytest.approx(expected["loss_text"], rel=1e-3)
    assert 0.5 * found["kernel"].item() == pytest.approx(expected["loss_kernel"], rel=1e-3)
    clustering = sum(WEIGHTS[name] * found[name].item() for name in CLUSTERING)
    assert clustering == pytest.approx(expected["loss_embedding"], rel=1e-3)


def test_losses_at_the_size_of_the_maps_equal_the_older_published_ones() -> None:
    found = loss(as_maps(golden_prediction()), own_targets(), PANSettings(full_size_loss=False))
    expected = published("pan_downsample0.25", "loss_values_legacy04.json")
    # The older selection of hard negatives counts the pixels of ignored text among the negatives, and then masks them:
    # this loss, as the newer one, has a few more real negatives instead.
    assert found["text"].item() == pytest.approx(expected["loss_text"], rel=2e-3)
    assert 0.5 * found["kernel"].item() == pytest.approx(expected["loss_kernel"], rel=1e-3)
    # The older code gives a kernel to its own text where another is drawn over it, the newer one and this one to the
    # other. (Its discrimination differs more by that, and is halved as well: not compared.)
    assert 0.25 * found["aggregation"].item() == pytest.approx(expected["loss_aggregation"], rel=0.02)


@pytest.mark.parametrize("texts", [0, 1, 2, 9])
def test_clustering_equals_the_definition(texts: int) -> None:
    generator = torch.Generator().manual_seed(texts)
    embedding = torch.randn(4, 20, 30, generator=generator).requires_grad_()
    text = torch.randint(0, texts + 1, (20, 30), generator=generator)
    kernel = (torch.rand(20, 30, generator=generator) < 0.4) & (text != 3)  # the third has no visible kernel
    found, expected = (
        embedding_losses(embedding, text, kernel, CONFIG),
        clustering_by_definition(embedding, text, kernel),
    )
    for name, term in found.items():
        assert term.item() == pytest.approx(expected[name].item(), rel=1e-5), name
        if texts:
            (gradient,) = torch.autograd.grad(term, embedding, retain_graph=True)
            reference = torch.zeros_like(gradient)
            if expected[name].requires_grad:
                (reference,) = torch.autograd.grad(expected[name], embedding, retain_graph=True)
            torch.testing.assert_close(gradient, reference, atol=1e-6, rtol=1e-4)


def test_equal_vectors_have_finite_gradients() -> None:
    embedding = torch.zeros(4, 8, 8, requires_grad=True)
    text = torch.arange(64).view(8, 8) // 16
    terms = embedding_losses(embedding, text, text > 0, CONFIG)
    assert terms["discrimination"].item() == pytest.approx(np.log(10))
    torch.stack(list(terms.values())).sum().backward()
    assert embedding.grad is not None
    assert embedding.grad.isfinite().all()


def test_thousands_of_texts_are_sorted() -> None:
    embedding = torch.randn(4, 100, 100, generator=torch.Generator().manual_seed(0), requires_grad=True)
    text = torch.arange(10_000).view(100, 100) // 4 + 1
    terms = embedding_losses(embedding, text, text > 0, CONFIG)
    torch.stack(list(terms.values())).sum().backward()
    assert embedding.grad is not None
    assert embedding.grad.isfinite().all()


@pytest.mark.parametrize("valid", [0, 1], ids=["everything ignored", "no text"])
@pytest.mark.parametrize("scale", [1, 1000], ids=["usual logits", "huge logits"])
@pytest.mark.parametrize("text", [0, 1], ids=["none", "some"])
def test_batch_without_known_text_gives_zeros_tied_to_the_graph(valid: int, scale: float, text: int) -> None:
    predicted, nothing = random_prediction(scale), torch.zeros(2, 32, 48, dtype=torch.uint8)
    numbers = nothing.int() + (text if valid == 0 else 0)
    wanted = {"text": numbers, "kernel": numbers.to(torch.uint8), "valid": nothing + valid}
    terms = loss(as_maps(predicted), wanted, CONFIG)
    assert {name: term.item() for name, term in terms.items()} == dict.fromkeys(WEIGHTS, 0)
    for term in terms.values():
        assert term.requires_grad
    torch.stack(list(terms.values())).sum().backward()
    assert predicted.grad is not None
    assert not predicted.grad.any()


def test_losses_are_float32_under_autocast() -> None:
    halves, wanted = golden_prediction().bfloat16(), own_targets()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(as_maps(halves), wanted, CONFIG)
    outside = loss(as_maps(halves.float()), wanted, CONFIG)
    for name, term in inside.items():
        assert term.dtype == torch.float32, name
        assert torch.equal(term, outside[name]), name
