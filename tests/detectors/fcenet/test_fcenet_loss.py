from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.detectors.fcenet.config import STRIDES, FCENetSettings
from scenetext.detectors.fcenet.loss import loss
from scenetext.detectors.fcenet.targets import targets
from scenetext.structures import ImageMeta, Sample, TextInstance

CONFIG = FCENetSettings()
CURVED = FCENetSettings(level_ranges=((0.0, 0.25), (0.2, 0.65), (0.55, 1.0)))
RUNS = {"fce_default": CONFIG, "fce_ctw": CURVED}
LEVELS = dict(zip(("p3", "p4", "p5"), STRIDES, strict=True))


def golden_values(file: str, name: str) -> dict[str, float]:
    values: dict[str, float] = golden_json("detectors", file)[name]
    return values


def golden_outputs() -> dict[str, Tensor]:
    """The published head's outputs p3_cls (2, 4, h, w), p3_reg (2, 22, h, w) and so on, leaves of a graph."""
    arrays = golden_arrays("detectors", "loss_fce")
    names = [f"{level}_{kind}" for level in LEVELS for kind in ("cls", "reg")]
    return {name: torch.from_numpy(arrays[name].astype(np.float32)).requires_grad_() for name in names}


def as_maps(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    maps = {}
    for level, stride in LEVELS.items():
        no_text, text, no_centre, centre = outputs[f"{level}_cls"].unbind(dim=1)
        maps |= {f"text_{stride}": text - no_text, f"centre_{stride}": centre - no_centre}
        maps[f"contour_{stride}"] = outputs[f"{level}_reg"]
    return maps


def golden_targets(config: FCENetSettings, suffix: str) -> dict[str, Tensor]:
    """The published targets of the two images; what lies in no level is not masked in them."""
    batch = []
    for layout in ("b320", "b320x"):
        golden = golden_arrays("detectors", f"targets_fce_{layout}")
        made = {}
        for level, stride in LEVELS.items():
            text, centre, valid, *contour = golden[level + suffix]
            made |= {f"text_{stride}": text, f"centre_{stride}": centre, f"valid_{stride}": valid}
            made[f"contour_{stride}"] = np.stack(contour)
        batch.append(made)
    return {name: torch.from_numpy(np.stack([made[name] for made in batch])) for name in batch[0]}


def drawn_targets() -> dict[str, Tensor]:
    words = [
        [(8, 8), (40, 8), (40, 24), (8, 24)],
        [(8, 40), (90, 32), (96, 60), (10, 62)],
        [(100, 4), (124, 4), (124, 90)],
    ]
    instances = tuple(TextInstance(np.array(w, np.float32), None, index == 2) for index, w in enumerate(words))
    meta = ImageMeta(Path("drawn.png"), (128, 128), np.eye(3), (128, 128))
    made = targets(Sample(np.zeros((128, 128, 3), np.uint8), instances, meta), CONFIG)
    return {name: torch.from_numpy(array)[None].repeat_interleave(2, dim=0) for name, array in made.items()}


def empty_targets(valid: int) -> dict[str, Tensor]:
    return {
        name: torch.full_like(array, valid) if "valid" in name else torch.zeros_like(array)
        for name, array in drawn_targets().items()
    }


def random_maps(scale: float = 3.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(array.shape, generator=generator).mul(scale).requires_grad_()
        for name, array in drawn_targets().items()
        if name.split("_")[0] in ("text", "centre", "contour")
    }


@pytest.mark.parametrize("run", RUNS)
def test_text_and_contour_terms_equal_published_ones_with_their_gradients(run: str) -> None:
    outputs, expected = golden_outputs(), golden_values("loss_values.json", run)
    terms = loss(as_maps(outputs), golden_targets(RUNS[run], "_ctw" if run == "fce_ctw" else ""), RUNS[run])
    assert set(terms) == set(type(CONFIG.loss_weights).model_fields)
    for term, published_term in (("text", "loss_text"), ("contour_x", "loss_reg_x"), ("contour_y", "loss_reg_y")):
        assert terms[term].item() == pytest.approx(expected[published_term], rel=1e-4)
        gradients = torch.autograd.grad(
            terms[term], list(outputs.values()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for name, gradient in zip(outputs, gradients, strict=True):
            assert gradient.norm().item() == pytest.approx(expected[f"grad_l2/{published_term}/{name}"], rel=2e-3)
            assert gradient.sum().item() == pytest.approx(
                expected[f"grad_sum/{published_term}/{name}"], rel=2e-3, abs=1e-5
            )


@pytest.mark.parametrize("run", RUNS)
def test_centre_term_is_the_cross_entropy_that_mmocr_1x_names_but_does_not_use(run: str) -> None:
    terms = loss(as_maps(golden_outputs()), golden_targets(RUNS[run], "_ctw" if run == "fce_ctw" else ""), RUNS[run])
    named = golden_values("loss_values.json", f"{run}_with_loss_tcl_instead")["loss_center"]
    assert terms["centre"].item() == pytest.approx(named, rel=1e-4)
    # What 1.x computes instead: a cross-entropy with logits of what has been through a softmax already.
    assert golden_values("loss_values.json", run)["loss_center"] > 2 * named


def test_terms_are_those_of_mmocr_0x_but_for_its_targets() -> None:
    terms = loss(as_maps(golden_outputs()), golden_targets(CONFIG, ""), CONFIG)
    older = golden_values("loss_values_legacy04.json", "fce_default")
    assert terms["text"].item() == pytest.approx(older["loss_text"], rel=1e-4)
    # 0.x does not cut polygons to integers before it draws the centre region and transforms the contour. With targets
    # from uncut polygons (and OpenCV 4.10's fillPoly) this loss gives 1.03895, 0.69462 and 0.70357, as 0.x does.
    for term, published_term in (("centre", "loss_center"), ("contour_x", "loss_reg_x"), ("contour_y", "loss_reg_y")):
        assert terms[term].item() == pytest.approx(older[published_term], rel=0.06 if term == "centre" else 2e-3)


def test_centre_term_by_definition() -> None:
    maps, wanted = random_maps(), drawn_targets()
    expected = 0.0
    for stride in STRIDES:
        learnt = (wanted[f"text_{stride}"] * wanted[f"valid_{stride}"]).bool()
        both = torch.stack((torch.zeros_like(maps[f"centre_{stride}"]), maps[f"centre_{stride}"]), dim=-1).double()
        centre = wanted[f"centre_{stride}"].long()
        for region, weight in ((learnt, 1.0), (~learnt, 0.5)):
            if region.any():
                expected += weight * F.cross_entropy(both[region], centre[region]).item()
    assert loss(maps, wanted, CONFIG)["centre"].item() == pytest.approx(expected, rel=1e-5)


def test_contour_terms_by_definition() -> None:
    maps, wanted = random_maps(), drawn_targets()
    expected = np.zeros(2)
    for stride in STRIDES:
        learnt = (wanted[f"text_{stride}"] * wanted[f"valid_{stride}"]).bool()
        distances = []
        for image, row, column in learnt.nonzero().tolist():
            weight = (1 + float(wanted[f"centre_{stride}"][image, row, column])) / 2
            contours = []
            for tensor in (maps[f"contour_{stride}"], wanted[f"contour_{stride}"]):
                real, imaginary = tensor[image, :, row, column].detach().double().numpy().reshape(2, 11)
                time = np.arange(CONFIG.loss_points) / CONFIG.loss_points
                waves = np.exp(2j * np.pi * np.arange(-5, 6)[:, None] * time)
                contours.append(((real + 1j * imaginary)[:, None] * waves).sum(axis=0))
            difference = contours[0] - contours[1]
            for part in (difference.real, difference.imag):
                size = np.abs(part)
                distances.append(weight * np.where(size < 1, size**2 / 2, size - 0.5).mean())
        if distances:
            expected += np.array(distances).reshape(-1, 2).mean(axis=0)
    terms = loss(maps, wanted, CONFIG)
    assert terms["contour_x"].item() == pytest.approx(expected[0], rel=1e-4)
    assert terms["contour_y"].item() == pytest.approx(expected[1], rel=1e-4)


def test_ignored_text_trains_no_text_region() -> None:
    maps, wanted = random_maps(), drawn_targets()
    loss(maps, wanted, CONFIG)["text"].backward()
    for stride in STRIDES:
        gradient = maps[f"text_{stride}"].grad
        assert gradient is not None
        assert not gradient[wanted[f"valid_{stride}"] == 0].any()
    assert any((wanted[f"valid_{stride}"] == 0).any() for stride in STRIDES)


@pytest.mark.parametrize("valid", [0, 1], ids=["everything ignored", "no text"])
@pytest.mark.parametrize("scale", [1, 1000], ids=["usual logits", "huge logits"])
def test_batch_without_text_gives_finite_losses_and_gradients(valid: int, scale: float) -> None:
    maps = random_maps(scale)
    terms = loss(maps, empty_targets(valid), CONFIG)
    assert all(term.isfinite() for term in terms.values())
    assert (terms["contour_x"].item(), terms["contour_y"].item()) == (0, 0)
    assert (terms["text"].item() > 0) == bool(valid)
    torch.stack(list(terms.values())).sum().backward()
    for name, tensor in maps.items():
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name


def test_perfect_maps_have_no_loss() -> None:
    wanted = drawn_targets()
    maps = {
        name: (tensor.float() * 40 - 20 if name.split("_")[0] in ("text", "centre") else tensor)
        for name, tensor in wanted.items()
    }
    assert all(term.item() < 1e-6 for term in loss(maps, wanted, CONFIG).values())


def test_losses_are_float32_under_autocast() -> None:
    halves, wanted = {name: tensor.bfloat16() for name, tensor in random_maps().items()}, drawn_targets()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(halves, wanted, CONFIG)
    outside = loss({name: tensor.float() for name, tensor in halves.items()}, wanted, CONFIG)
    for name, term in inside.items():
        assert term.dtype == torch.float32, name
        assert torch.equal(term, outside[name]), name
