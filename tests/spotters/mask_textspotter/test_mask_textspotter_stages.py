"""Where Mask TextSpotter looks again: matching, sampling and boxes as published, each with its own polygon."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from scenetext.layers.boxes import EXCLUDED, encode_boxes
from scenetext.spotters.mask_textspotter.config import BOX_DEVIATIONS, MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.loss import _box_losses
from scenetext.spotters.mask_textspotter.proposals import stack_polygons
from scenetext.spotters.mask_textspotter.stages import find_boxes, match_to_texts, propose_boxes, propose_masks, spanned
from scenetext.spotters.mask_textspotter.targets import targets
from scenetext.structures import TextInstance
from spotting_golden import arrays_of, polygons_of
from text_samples import make_sample

CONFIG = MaskTextSpotterSettings(decoding={"score_threshold": 0})
WORDS = [np.array([(x, 10), (x + 40, 10), (x + 40, 30), (x, 30)], np.float32) for x in (10, 60, 110, 160)]


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in arrays_of("box_head").items()}


def test_matching_and_offsets_are_the_published_ones(published: dict[str, Tensor]) -> None:
    boxes, texts = published["train/joined_boxes"], published["gt_boxes"]
    matched = match_to_texts(boxes, texts, published["gt_labels"] < 0, CONFIG)
    labels = torch.where(matched == EXCLUDED, -1, (matched > 0).long())
    assert torch.equal(labels, published["train/labels"])
    positive = matched > 0
    wanted = encode_boxes(spanned(boxes[positive]), spanned(texts[matched[positive] - 1]), BOX_DEVIATIONS)
    torch.testing.assert_close(wanted, published["train/regression_targets"][positive], atol=1e-5, rtol=1e-4)


def test_box_losses_are_the_published_ones(published: dict[str, Tensor]) -> None:
    boxes, label = published["train/sampled_boxes"], published["train/sampled_labels"].float()
    rows = [int((published["train/joined_boxes"] == box).all(dim=1).nonzero()[0]) for box in boxes]
    logits = published["train/logits"]
    maps = {
        "boxes.valid": torch.ones(1, len(boxes)) > 0,
        "boxes.label": label[None],
        "boxes.text": (logits[:, 1] - logits[:, 0])[None],
        "boxes.offset": published["train/deltas"][None, :, 4:],
        "boxes.wanted": published["train/regression_targets"][rows][None],
    }
    text, offset = _box_losses(maps)
    torch.testing.assert_close(text, published["train/loss_classifier"], rtol=1e-5, atol=0)
    torch.testing.assert_close(offset, published["train/loss_box"], rtol=1e-5, atol=0)


def boxes_maps(arrays: dict[str, Tensor], polygons: np.ndarray) -> dict[str, Tensor]:
    logits = arrays["test/logits"]
    width, height = arrays["image_size_wh"].tolist()
    return {
        "probability": torch.zeros(height, width),
        "boxes.valid": torch.ones(len(logits)) > 0,
        "boxes.box": arrays["proposal_boxes"],
        "boxes.polygon": torch.from_numpy(polygons),
        "boxes.text": logits[:, 1] - logits[:, 0],
        "boxes.offset": arrays["test/deltas"][:, 4:],
    }


def test_boxes_are_the_published_ones_each_with_the_polygon_of_its_proposal(published: dict[str, Tensor]) -> None:
    """Published: after suppression a box has the polygon of another one."""
    arrays = arrays_of("box_head")
    polygons = stack_polygons(polygons_of(arrays, "proposal_"))
    found = find_boxes(boxes_maps(published, polygons), CONFIG)
    scores, order = published["test/kept_scores"].sort(descending=True)
    torch.testing.assert_close(found["box"], published["test/kept_boxes"][order], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(found["text"].sigmoid(), scores, atol=1e-4, rtol=1e-4)
    every = (published["test/logits"][:, 1] - published["test/logits"][:, 0]).tolist()
    for polygon, logit in zip(found["polygon"], found["text"].tolist(), strict=True):
        np.testing.assert_array_equal(polygon, polygons[every.index(logit)])


def proposed(
    config: MaskTextSpotterSettings, words: list[TextInstance], seed: int = 0
) -> tuple[dict[str, Tensor], ...]:
    """What both stages propose in training where the map of kernels is empty, and the targets."""
    made = {name: torch.from_numpy(value) for name, value in targets(make_sample(words, (64, 256)), config).items()}
    maps = {"probability": torch.full((64, 256), -10.0)}
    boxes = dict(propose_boxes(maps, made, config, Generator().manual_seed(seed)))
    count = torch.ones(len(boxes["box"])) > 0
    maps |= {f"boxes.{name}": value for name, value in {**boxes, "valid": count}.items()}
    return boxes, dict(propose_masks(maps, made, config, Generator().manual_seed(seed))), made


def test_true_boxes_are_learnt_from_with_their_own_polygon_and_text() -> None:
    words = [TextInstance(WORDS[0], "one"), TextInstance(WORDS[1], "x", ignore=True), TextInstance(WORDS[2], "two")]
    boxes, masks, _ = proposed(CONFIG, words)
    assert boxes["label"].tolist() == [1, 1]
    assert boxes["wanted"].abs().max() == 0
    for index, (word, ids) in enumerate(((WORDS[0], [25, 24, 15]), (WORDS[2], [30, 33, 25]))):
        np.testing.assert_array_equal(masks["polygon"][index, :4], word)
        assert masks["asked"][index, :4].tolist() == [*ids, 37]
        assert masks["wanted"][index].float().mean() > 0.95
        assert (masks["wanted_characters"][index] == -1).all()


def test_of_too_many_some_are_drawn_the_same_for_a_seed() -> None:
    config = CONFIG.model_copy(update={"boxes": CONFIG.boxes.model_copy(update={"masks": 2, "positive_share": 1.0})})
    words = [TextInstance(word, "w") for word in WORDS]
    drawn = {tuple(proposed(config, words, seed)[1]["box"][:, 0].tolist()) for seed in range(8)}
    assert all(len(each) == 2 for each in drawn)
    assert len(drawn) > 1
    again = [proposed(config, words, 3)[1] for _ in range(2)]
    assert all(torch.equal(again[0][name], again[1][name]) for name in again[0])


def test_without_a_proposal_and_a_text_nothing_is_looked_at() -> None:
    boxes, masks, _ = proposed(CONFIG, [])
    assert all(len(value) == 0 for value in (*boxes.values(), *masks.values()))
    nothing = propose_boxes({"probability": torch.full((64, 256), -10.0)}, None, CONFIG, Generator())
    assert nothing["box"].shape == (0, 4)
