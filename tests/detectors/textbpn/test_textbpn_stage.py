"""Maps, proposals and refinement together: on encoders with and without a stem, and where nothing is proposed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from detector_subjects import Subject, make_subject
from scenetext.benchmark.detection import softened
from scenetext.detectors.textbpn.model import BoundaryHead
from scenetext.detectors.textbpn.proposals import proposals_of_maps
from scenetext.runs.build import build_task
from scenetext.runs.settings import check_run
from scenetext.structures import Features, Sample
from scenetext.tasks.detection import DetectionTask
from text_samples import features, large_texts, make_sample, overlap, word

every_detector = pytest.mark.parametrize("name", ["textbpn", "textbpnpp"])
WORD = word(np.array([(20, 20), (80, 20), (80, 44), (20, 44)], np.float32))
ENCODERS: dict[str, tuple[dict[str, Any], int]] = {
    "resnet": ({"name": "resnet", "depth": 18}, 64),
    "deep stem": ({"name": "resnet", "depth": 18, "stem": "deep"}, 128),
    "clip": ({"name": "clip_resnet", "layers": [1, 1, 1, 1], "width": 12}, 12),
}


def silent(subject: Subject) -> BoundaryHead:
    """A head that sees neither text nor distance anywhere."""
    network = subject.head()
    assert isinstance(network, BoundaryHead)
    with torch.no_grad():
        network.predict[-1].weight.zero_()
        network.predict[-1].bias.copy_(torch.tensor([-20.0, -20.0, 0.0, 0.0]))
    return network


@every_detector
@pytest.mark.parametrize("count", [1, 2])
@torch.no_grad()
def test_without_proposals_nothing_is_detected(name: str, count: int) -> None:
    subject = make_subject(name)
    maps = subject.maps(silent(subject).eval(), features((8, 8, 8, 8), batch=count), None)
    assert not maps["boundary.valid"].any()
    assert maps["boundary.refined"].shape == (count, 1, 3, 20, 2)
    assert subject.spec.decode(maps, subject.config) == [[]] * count


@every_detector
@pytest.mark.parametrize("empty", [0, 1])
def test_a_text_is_refined_beside_an_image_without_any(name: str, empty: int) -> None:
    subject = make_subject(name)
    network, samples = silent(subject), [make_sample([WORD], (64, 96)), make_sample([], (64, 96))]
    targets = subject.targets(samples if empty else samples[::-1])
    maps = subject.maps(network, features((8, 8, 8, 8)), targets)
    assert maps["boundary.valid"].tolist() == [[bool(empty)], [not empty]]
    terms = subject.spec.loss(maps, targets, subject.config)
    assert terms["points"] > 0
    terms["points"].backward()
    for key, parameter in network.later.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_stem_of_an_encoder_is_read_and_learnt_through(encoder: str) -> None:
    values, channels = ENCODERS[encoder]
    run = {
        "kind": "detection",
        "encoder": values,
        "detector": {"name": "textbpnpp", "stride": 4},
        "data": {"train": ["none.jsonl"], "validation": ["none.jsonl"]},
        "training": {"steps": 1, "evaluate_every": 1},
    }
    task = build_task(check_run(run, "test"))
    assert isinstance(task, DetectionTask)
    assert isinstance(task.head, BoundaryHead)
    assert task.head.neck.stem_channels == channels
    made: Features = task.encoder(torch.randn(2, 3, 64, 64))
    stem = made.side["stem"].detach().requires_grad_()
    task.head(Features(made.levels, {"stem": stem}))["text"].sum().backward()
    assert stem.grad is not None
    assert stem.grad.any()


@every_detector
@settings(max_examples=10)
@given(texts=large_texts(st.integers(4, 9)), stride=st.sampled_from([1, 2, 4]))
def test_every_text_is_proposed_from_soft_maps(name: str, texts: tuple[np.ndarray, np.ndarray], stride: int) -> None:
    """Within it, and smaller than it: where its distances are large. Noise on coarse pixels may cut off a piece."""
    subject = make_subject(name)
    config = subject.config.model_copy(update={"stride": stride})
    sample: Sample = make_sample([word(text) for text in texts], (256, 512))
    made = {key: torch.from_numpy(value)[None] for key, value in subject.spec.targets(sample, config).items()}
    maps: dict[str, Tensor] = softened(subject.examples.perfect_maps(made, config), ("text", "distance"), 0)
    text, distance = maps["text"][0].numpy(), maps["distance"][0].numpy()
    found, scores = proposals_of_maps(text, distance, config.decoding, config.simplification, stride)
    assert len(found) == 2 or (stride == 4 and len(found) > 2)
    assert scores.min() > 0.9
    for outline in texts:
        assert 0.2 < max(overlap(one, outline) for one in found) < 0.9
