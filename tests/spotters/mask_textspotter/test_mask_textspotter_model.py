"""The heads of Mask TextSpotter: equal to the published ones, and finite whatever there is to look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detector_subjects import Subject, make_subject
from scenetext.errors import ConfigError
from scenetext.layers.feature_pyramid import FeaturePyramid
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.model import (
    FUSED,
    BoxHead,
    MaskHead,
    SegmentationProposalNetwork,
    hard_masked,
    head,
    pool_boxes,
)
from scenetext.spotters.mask_textspotter.proposals import stack_polygons
from scenetext.spotters.mask_textspotter.published import NAMES
from scenetext.structures import Features, TextInstance
from spotting_golden import arrays_of, load_published, polygons_of
from text_samples import make_sample


def names_below(prefix: str, foreign: str) -> dict[str, str]:
    """The names of a part of the head, and those in a golden file."""
    return {
        name.removeprefix(prefix): other.removeprefix(foreign)
        for name, other in NAMES.items()
        if name.startswith(prefix)
    }


def tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)


@torch.no_grad()
def test_pyramid_and_proposal_network_are_the_published_ones() -> None:
    arrays = arrays_of("spn_head")
    pyramid = FeaturePyramid((4, 6, 8, 10), 8)
    load_published(pyramid, arrays, names_below("pyramid.", "backbone.fpn."), "fpn/param/")
    levels = pyramid([tensor(arrays[f"fpn/input/{index}"]) for index in range(4)])
    for index, level in enumerate(levels):
        torch.testing.assert_close(level, tensor(arrays[f"fpn/output/p{index + 2}"]), atol=1e-4, rtol=1e-4)
    network = SegmentationProposalNetwork(8, 4).eval()
    load_published(network, arrays, names_below("proposals.", "proposal.head."), "param/")
    fused, logits = network([tensor(arrays[f"input/p{index}"]) for index in (2, 3, 4, 5)])
    torch.testing.assert_close(fused, tensor(arrays["output/fused"]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits.sigmoid(), tensor(arrays["output/probability"][:, 0]), atol=1e-5, rtol=1e-4)


def published_box_head(arrays: dict[str, np.ndarray]) -> BoxHead:
    made = BoxHead(4, 16)
    for name in ("weight", "bias"):  # the first four outputs are of the background
        key = f"param/predictor.bbox_pred.{name}"
        arrays = {**arrays, key: arrays[key][4:]}
    names = {
        name: other.removeprefix("feature_").replace("feature_", "")
        for name, other in names_below("later.boxes.", "roi_heads.box.").items()
    }
    load_published(made, arrays, names, "param/")
    return made


@torch.no_grad()
def test_box_head_is_the_published_one() -> None:
    """Where the mask of a region is the same as that of the published rasteriser."""
    arrays = arrays_of("box_head")
    box = tensor(arrays["proposal_boxes"])
    polygon = tensor(stack_polygons(polygons_of(arrays, "proposal_")))
    feature = tensor(arrays["feature"])
    pooled = hard_masked(pool_boxes(feature, box, torch.zeros(len(box)), 7), polygon, box)
    same = ((pooled != 0) == (tensor(arrays["test/pooled_masked"]) != 0)).flatten(1).all(dim=1)
    assert same.sum() >= 11
    torch.testing.assert_close(pooled[same], tensor(arrays["test/pooled_masked"])[same], atol=4e-3, rtol=4e-3)
    found = published_box_head(arrays)(
        {FUSED: feature}, {"valid": torch.ones(1, len(box)) > 0, "box": box[None], "polygon": polygon[None]}
    )
    logits, deltas = tensor(arrays["test/logits"]), tensor(arrays["test/deltas"])
    torch.testing.assert_close(found["text"][0][same], (logits[:, 1] - logits[:, 0])[same], atol=1e-4, rtol=1e-4)
    # Published offsets are divided by 10, 10, 5 and 5 when they are decoded, as here.
    torch.testing.assert_close(found["offset"][0][same], deltas[same][:, 4:], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_mask_head_is_the_published_one() -> None:
    arrays = arrays_of("mask_head")
    settings = MaskTextSpotterSettings(
        masks={"channels": 4}, reading={"size": (8, 32), "channels": 16, "codes": "learnt"}
    )
    made = MaskHead(settings, 4)
    names = {
        name: other.replace("feature_extractor", "extractor")
        for name, other in names_below("later.masks.", "roi_heads.mask.").items()
    }
    load_published(made, arrays, names, "param/")
    box, polygon = tensor(arrays["roi_boxes"]), tensor(stack_polygons(polygons_of(arrays, "roi_")))
    fed = tensor(np.pad(arrays["decoder_targets"][:, :-1], ((0, 0), (1, 0))))
    places = {"valid": torch.ones(1, 4) > 0, "box": box[None], "polygon": polygon[None], "fed": fed[None]}
    found = made({FUSED: tensor(arrays["feature"])}, places)
    difference = (found["logits"][0, :, ::2, ::2] - tensor(arrays["output/mask_logits"][:, 0])).abs()
    # But for the cells that the published rasteriser decides otherwise.
    assert (difference < 4e-3).float().mean() > 0.99
    assert found["characters"].shape == (1, 4, 37, 64, 64)
    assert found["steps"].shape == (1, 4, 32, 38)


def test_heads_need_four_levels() -> None:
    with pytest.raises(ConfigError, match="mask_textspotter needs an encoder with four levels"):
        head(MaskTextSpotterSettings(), (8, 8, 8))


def learn(
    image_words: list[list[TextInstance]], levels: Features, reader: str = "attention"
) -> tuple[nn.Module, dict[str, Tensor]]:
    """The gradients and loss terms of a batch of samples of 64 x 96 pixels."""
    subject = reading_subject(reader)
    network = subject.head()
    targets = subject.targets([make_sample(words, (64, 96)) for words in image_words])
    maps = subject.maps(network, levels, targets)
    terms = subject.spec.loss(maps, targets, subject.config)
    subject.total(maps, targets).backward()
    return network, terms


def reading_subject(reader: str) -> Subject:
    """The small spotter with one reader or the other."""
    subject = make_subject("mask_textspotter")
    reading = subject.config.reading.model_copy(update={"name": reader})
    return replace(subject, config=subject.config.model_copy(update={"reading": reading}))


def levels(scale: float) -> Features:
    generator = torch.Generator().manual_seed(1)
    return Features(
        tuple(scale * torch.randn(2, 8, 64 // each, 96 // each, generator=generator) for each in (4, 8, 16, 32))
    )


BOX = np.array([(10, 10), (70, 10), (70, 30), (10, 30)], np.float32)
BATCHES = {
    "no text": [[], []],
    "one of two without text": [[TextInstance(BOX, "abc")], []],
    "only ignored": [[TextInstance(BOX, "abc", ignore=True)]] * 2,
    "texts that cannot be read": [[TextInstance(BOX, "?"), TextInstance(BOX, None), TextInstance(BOX, "a" * 500)]] * 2,
    "with and without characters": [
        [TextInstance(BOX, "a", characters=BOX[None])],
        [TextInstance(BOX, "b"), TextInstance(BOX, "c", characters=BOX[None])],
    ],
    "a crossing and a thin text": [
        [TextInstance(BOX[[0, 2, 1, 3]], "abc"), TextInstance(BOX * np.float32((1, 0.01)), "abc")],
        [TextInstance(BOX, "abc")],
    ],
}


@pytest.mark.parametrize("scale", [0, 1], ids=["flat features", "noise"])
@pytest.mark.parametrize("batch", BATCHES)
def test_every_parameter_has_a_finite_gradient(batch: str, scale: int) -> None:
    network, terms = learn(BATCHES[batch], levels(scale))
    assert all(term.isfinite() and term.requires_grad for term in terms.values())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    reads = batch in ("one of two without text", "with and without characters", "a crossing and a thin text")
    assert bool(terms["reading"] > 0) is reads
    assert bool(terms["character"] > 0) is (batch == "with and without characters")


@pytest.mark.parametrize("batch", ["only ignored", "with and without characters", "texts that cannot be read"])
def test_a_ctc_reader_takes_the_place_of_attention(batch: str) -> None:
    network, terms = learn(BATCHES[batch], levels(1), "ctc")
    assert all(term.isfinite() and term.requires_grad for term in terms.values())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert bool(terms["reading"] > 0) is (batch == "with and without characters")


def test_what_a_ctc_reader_finds_is_decoded() -> None:
    """From the box and mask of a text, as the stages give them, and columns that say "cat"."""
    subject = reading_subject("ctc")
    targets = subject.targets([make_sample([TextInstance(BOX, "x")], (64, 96))])
    maps = dict(subject.perfect_maps(targets))
    columns = torch.zeros(subject.config.reading.size[1], dtype=torch.int64)
    columns[2:8:2] = torch.tensor(subject.config.characters.encode("cat"))
    likely = torch.nn.functional.one_hot(columns, len(subject.config.alphabet) + 1) * 0.9 + 0.1 / 37
    maps["masks.log_probabilities"] = likely.log()[None, None]
    ((found,),) = subject.spec.decode(maps, subject.config)
    assert found.text == "cat"
    assert found.text_score == pytest.approx(0.9 + 0.1 / 37)
    assert found.character_probabilities is not None
    assert found.character_probabilities.shape == (3, 36)
