"""Targets of Mask TextSpotter: kernels and character maps as published, and what is learnt of each text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scenetext.layers.pixel_losses import dice_loss
from scenetext.layers.region_masks import polygon_masks
from scenetext.spotters.mask_textspotter.characters import NOT_KNOWN, character_target, shrunk_quad
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.loss import character_loss
from scenetext.spotters.mask_textspotter.proposals import stack_polygons
from scenetext.spotters.mask_textspotter.targets import IGNORED, TEXT, kernel_maps, targets
from scenetext.structures import TextInstance
from spotting_golden import arrays_of, polygons_of
from text_samples import make_sample

OURS, PUBLISHED = MaskTextSpotterSettings(), MaskTextSpotterSettings(published=True)
BOX = np.array([(10, 10), (70, 10), (70, 30), (10, 30)], np.float32)


@pytest.fixture(scope="module")
def kernels() -> dict[str, np.ndarray]:
    return arrays_of("spn_targets")


@pytest.fixture(scope="module")
def masks() -> dict[str, np.ndarray]:
    return arrays_of("mask_targets")


@pytest.mark.parametrize("case", ["words", "curved", "odd", "all_ignored", "none"])
def test_kernels_are_the_published_ones(kernels: dict[str, np.ndarray], case: str) -> None:
    texts = zip(polygons_of(kernels, f"{case}/"), kernels[f"{case}/labels"] < 0, strict=True)
    found, valid = kernel_maps([(polygon, bool(ignored)) for polygon, ignored in texts], (112, 160), PUBLISHED)
    np.testing.assert_array_equal(found, kernels[f"{case}/seg_map"])
    np.testing.assert_array_equal(valid, kernels[f"{case}/training_mask"])


def test_a_triangle_is_text_and_a_point_is_ignored(kernels: dict[str, np.ndarray]) -> None:
    triangle, point = polygons_of(kernels, "odd/")[:2]
    found, valid = kernel_maps([(triangle, False), (point, False)], (112, 160), OURS)
    assert found.any()
    assert not valid.all()
    nothing, known = kernel_maps([(triangle, False), (point, False)], (112, 160), PUBLISHED)
    assert not nothing.any()
    assert known.all()


def test_dice_pairs_every_image_with_its_own_mask(kernels: dict[str, np.ndarray]) -> None:
    probability = torch.from_numpy(kernels["loss/two_none/logits"])[:, 0].sigmoid()
    maps = [
        torch.from_numpy(np.stack([kernels[f"{case}/{name}"] for case in kernels["loss/two_none/cases"]]))
        for name in ("seg_map", "training_mask")
    ]
    torch.testing.assert_close(dice_loss(probability, *maps).item(), float(kernels["loss/two_none/aligned"]))


def test_masks_and_characters_of_regions_are_the_published_ones(masks: dict[str, np.ndarray]) -> None:
    """Masks but for the cells that the published rasteriser decides otherwise, characters exactly."""
    polygons = torch.from_numpy(stack_polygons(polygons_of(masks)))
    found = polygon_masks(polygons, torch.from_numpy(masks["boxes"]), 64).numpy()
    assert (found != masks["annotated/masks"]).mean(axis=(1, 2)).max() < 0.003
    starts = np.cumsum(masks["chars_per_word"])[:-1]
    quads, ids = np.split(masks["char_quads"], starts), np.split(masks["char_classes"], starts)
    for index, box in enumerate(masks["boxes"]):
        drawn = character_target(quads[index], ids[index], box, 64, 0.25)
        np.testing.assert_array_equal(drawn, masks["annotated/char_masks"][index])
        nothing = character_target(quads[index], np.zeros_like(ids[index]), box, 64, 0.25)
        np.testing.assert_array_equal(nothing, masks["plain/char_masks"][index])
    shrunk = np.stack([shrunk_quad(quad, 0.25) for quad in masks["char_quads"]])
    np.testing.assert_allclose(shrunk, masks["shrunk_char_quads"], atol=1e-4)


@pytest.mark.parametrize(("case", "rows"), [("annotated", "aaaa"), ("mixed", "aapp")])
def test_character_loss_is_the_published_one(masks: dict[str, np.ndarray], case: str, rows: str) -> None:
    names = {"a": "annotated", "p": "plain"}
    wanted = np.stack([masks[f"{names[row]}/char_masks"][index] for index, row in enumerate(rows)])
    logits = torch.from_numpy(masks["loss/char_logits_stride4"]).repeat_interleave(4, 2).repeat_interleave(4, 3)
    found = character_loss(logits, torch.from_numpy(wanted.astype(np.int64))).item()
    assert found == pytest.approx(float(masks[f"loss/{case}/character"]), rel=1e-5)


def test_without_annotated_characters_their_loss_is_zero_and_not_nan() -> None:
    logits = torch.randn(2, 5, 4, 4, requires_grad=True)
    found = character_loss(logits, torch.full((2, 4, 4), NOT_KNOWN))
    found.backward()
    assert found == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_character_outside_the_alphabet_is_not_learnt_and_no_background() -> None:
    text = TextInstance(BOX, "a!", characters=np.stack([BOX[:, :] * (0.5, 1) + (offset, 0) for offset in (5, 35)]))
    made = targets(make_sample([text], (64, 96)), OURS)
    assert made["character_ids"].tolist() == [[11, -1]]
    assert made["text_length"].tolist() == [0]
    drawn = character_target(made["character_quads"][0], made["character_ids"][0], made["boxes"][0], 32, 0.25)
    assert set(np.unique(drawn)) == {NOT_KNOWN, 0, 11}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Ab1", [11, 12, 2]),
        (None, []),
        ("a b", []),
        ("é", []),
        ("a" * 31, [11] * 31),
        ("a" * 32, []),
        ("a" * 500, []),
    ],
    ids=["folded", "unknown", "blank", "accent", "longest", "too long", "much too long"],
)
def test_what_cannot_be_read_is_located_but_not_learnt_to_be_read(text: str | None, ids: list[int]) -> None:
    made = targets(make_sample([TextInstance(BOX, text)], (64, 96)), OURS)
    assert made["kinds"].tolist() == [TEXT]
    assert made["text_length"].tolist() == [len(ids)]
    assert made["text_ids"][0, : len(ids)].tolist() == ids


def test_boxes_are_cut_at_the_image_and_polygons_are_not() -> None:
    corner, outside, thin = BOX - np.float32(20), BOX + np.float32(500), BOX * np.float32((1, 0.01))
    words = [TextInstance(each, "w") for each in (corner, outside, thin + np.float32(1))]
    made = targets(make_sample([*words, replace(words[0], ignore=True)], (64, 96)), OURS)
    assert made["kinds"].tolist() == [TEXT, IGNORED, IGNORED]  # the thin one is too low to be learnt from
    assert made["boxes"][[0, 2]].tolist() == [[0, 0, 50, 10]] * 2
    np.testing.assert_array_equal(made["polygons"][0, :4], corner)
