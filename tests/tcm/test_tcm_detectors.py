"""Every detector with TCM and FastTCM, none of which knows of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import whole_sample
from scenetext.detectors import detector_names, find_examples
from scenetext.runs.build import build_task
from scenetext.runs.settings import check_run
from scenetext.structures import Batch, PreparedSample, TextInstance
from scenetext.tasks.detection import DetectionTask
from scenetext.training.learner import weighted_sum
from scenetext.training.parameter_groups import ParameterGroupSettings, parameter_groups

ENCODER: dict[str, Any] = {
    "name": "tcm",
    "layers": [1, 1, 1, 1],
    "width": 4,
    "pool_heads": 4,
    "input_size": 96,
    "embed_dim": 16,
    "text": {"width": 8, "heads": 2, "layers": 2},
    "decoder": {"width": 8, "heads": 2, "layers": 1, "dropout": 0},
    "text_weights": "none",
}
WORD = np.array([(8, 8), (88, 8), (88, 40), (8, 40)], np.float32)
BOTH = pytest.mark.parametrize("fast", [False, True], ids=["tcm", "fasttcm"])
ALL = pytest.mark.parametrize("detector", detector_names())


def build(detector: str, **encoder: Any) -> DetectionTask:
    torch.manual_seed(0)
    values = {
        "kind": "detection",
        "encoder": {**ENCODER, **encoder},
        "detector": {"name": detector, **find_examples(detector).small},
        "data": {"train": ["none.jsonl"], "validation": ["none.jsonl"]},
        "training": {"steps": 1, "evaluate_every": 1},
    }
    task = build_task(check_run(values, "test"))
    assert isinstance(task, DetectionTask)
    return task


def batch(task: DetectionTask, words: int = 1) -> Batch:
    samples = []
    for index in range(2):
        image = np.full((96, 128, 3), 200, np.uint8)
        instances = []
        for number in range(words):
            polygon = WORD + 12 * index + (0, 40 * number)
            image[int(polygon[0, 1]) : int(polygon[2, 1]), int(polygon[0, 0]) : int(polygon[2, 0])] = 30
            instances.append(TextInstance(polygon.astype(np.float32), "word"))
        sample = whole_sample(image, Path("drawn"), instances)
        samples.append(PreparedSample(sample, task.targets(sample, np.random.default_rng(index))))
    return collate(samples)


@ALL
@BOTH
def test_detector_learns_and_so_do_prompts_but_not_the_text_encoder(detector: str, fast: bool) -> None:
    task = build(detector, fast=fast).train()
    losses = task(batch(task))
    assert set(losses) == set(task.loss_weights)
    assert losses["matching"] > 0
    weighted_sum(losses, task.loss_weights).backward()
    for name, parameter in task.named_parameters():
        if name.startswith("encoder.text_encoder."):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    for name in ("encoder.prompts.contexts", "encoder.prompts.generator.4.weight", "encoder.visual_gate"):
        gradient = task.get_parameter(name).grad
        assert gradient is not None
        assert gradient.any(), name


@ALL
@BOTH
def test_losses_without_text_are_finite(detector: str, fast: bool) -> None:
    task = build(detector, fast=fast).train()
    losses = task(batch(task, words=0))
    assert losses["matching"] == 0
    total = torch.stack(list(losses.values())).sum()
    assert total.isfinite()
    total.backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in task.parameters())


@ALL
def test_detects_in_images_of_any_size(detector: str) -> None:
    task = build(detector, fast=True).eval()
    with torch.no_grad():
        for size in ((96, 128), (160, 64)):
            found = task.spec.decode(task.maps(torch.zeros(1, 3, *size, dtype=torch.uint8)), task.config)
            assert len(found) == 1


def test_the_score_map_learns_where_text_is() -> None:
    """Below what a score map that is the same everywhere can reach: with three negatives to a positive, 0.5623."""
    same_everywhere = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    task = build("dbnet").train()
    optimizer = torch.optim.Adam([each for each in task.parameters() if each.requires_grad], lr=1e-3)
    seen, history = batch(task), []
    for _ in range(80):
        losses = task(seen)
        optimizer.zero_grad()
        weighted_sum(losses, task.loss_weights).backward()
        optimizer.step()
        history.append(losses["matching"].item())
    assert history[-1] < 0.98 * same_everywhere < history[0], history


def test_learning_rate_factors_of_table_8() -> None:
    """By parameter groups that there are for every model; the text encoder has no state while it is frozen."""
    frozen, learnt = build("dbnet"), build("dbnet", train_text_encoder=True)
    image = ParameterGroupSettings(pattern="encoder.image.*", learning_rate_factor=0.1)
    text = ParameterGroupSettings(pattern="encoder.text_encoder.*", learning_rate_factor=0.1)
    names = {name for group in parameter_groups(frozen, 0.0, [image]) for name in group.parameters}
    assert not any(name.startswith("encoder.text_encoder.") for name in names)
    factors = {
        name: group.settings.learning_rate_factor
        for group in parameter_groups(learnt, 0.0, [image, text])
        for name in group.parameters
    }
    assert factors["encoder.image.conv1.weight"] == factors["encoder.text_encoder.text_projection"] == 0.1
    assert factors["encoder.prompts.contexts"] == factors["head.pyramid.lateral.0.weight"] == 1
