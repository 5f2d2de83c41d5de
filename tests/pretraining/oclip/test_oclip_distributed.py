"""The loss and its gradient over several processes and parts, held to one process with the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from oclip_golden import assert_stored, golden_model, golden_tensors, random_words, tiny_settings
from processes import in_processes
from scenetext.data.loading.loader import LoaderSettings
from scenetext.data.loading.settings import PretrainingDataSettings
from scenetext.data.transforms.evaluation import WholeImageTransformSettings
from scenetext.distributed import Processes, gather_rows
from scenetext.pretraining.oclip.loss import oclip_loss
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.runs.settings import PretrainingRun
from scenetext.structures import Batch, ImageMeta
from scenetext.text.charset import CharacterSet
from scenetext.training.learner import Learner
from scenetext.training.optimizers import OptimizerSettings
from scenetext.training.settings import TrainingSettings

IMAGES = 8
WORDS = (3, 0, 5, 1, 2, 2, 0, 4)
"""Real words of every image: processes and parts have different numbers of hidden characters, and images without."""


def whole_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 3, 64, 64), generator=generator, dtype=torch.uint8)
    characters, masked = random_words(0, IMAGES, 5, WORDS)
    padding = torch.zeros(IMAGES, 2, 2, dtype=torch.bool)
    metas = tuple(ImageMeta(Path(f"{index}.png"), (64, 64), np.eye(3), (64, 64)) for index in range(IMAGES))
    cells = torch.rand(IMAGES, 5, 2, 2, generator=generator) * (masked > 0)[..., None, None] > 0.6
    return Batch(images, {"characters": characters, "masked": masked, "padding": padding, "cells": cells}, metas)


def learner(processes: Processes, parts: int, **method: Any) -> Learner:
    """With statistics held, since those of a part of a batch are not those of the whole."""
    settings = tiny_settings(**method)
    torch.manual_seed(0)
    task = OclipTask(settings, CharacterSet.english(), WholeImageTransformSettings(size=64))
    run = PretrainingRun(
        kind="pretraining",
        method=settings,
        data=PretrainingDataSettings(train=(), validation=()),
        loader=LoaderSettings(batch_size=IMAGES),
        optimizer=OptimizerSettings(learning_rate=1e-3),
        training=TrainingSettings(steps=10, evaluate_every=10, batch_norm="frozen", accumulation=parts, device="cpu"),
    )
    return Learner(task, run, torch.device("cpu"), processes, IMAGES)


def step(processes: Processes, parts: int, method: dict[str, Any]) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Values, averaged over processes, and gradients of one step on this process's share of the whole batch."""
    made = learner(processes, parts, **method)
    values = made.accumulate(whole_batch().micro_batches(processes.count)[processes.rank], 0)
    totals = processes.sums(list(values.values()))
    gradients = {
        name: parameter.grad.clone() for name, parameter in made.module.named_parameters() if parameter.grad is not None
    }
    return {name: total / processes.count for name, total in zip(values, totals, strict=True)}, gradients


METHODS: tuple[dict[str, Any], ...] = (
    {},
    {"word_pooling": "slots"},
    {"first_stage": True},
    {"loss_weights": {"place": 1.0}},
)


def steps(processes: Processes) -> list[tuple[dict[str, Any], int, dict[str, float], dict[str, Tensor]]]:
    """Every method with every number of parts that the images of a process can be divided into."""
    share = IMAGES // processes.count
    return [(m, parts, *step(processes, parts, m)) for m in METHODS for parts in (1, 2, 4, 8) if share % parts == 0]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_losses_and_gradients_equal_one_process_with_the_whole_batch(tmp_path: Path, count: int) -> None:
    wanted = [(method, *step(Processes(), 1, method)) for method in METHODS]
    results = [steps(Processes())] if count == 1 else in_processes(steps, count, tmp_path)
    for method, parts, values, gradients in (case for result in results for case in result):
        expected_values, expected = next((f, g) for m, f, g in wanted if m == method)
        assert values == pytest.approx(expected_values, rel=1e-5)
        assert sum(bool(gradient.any()) for gradient in expected.values()) > 20
        assert gradients.keys() == expected.keys()
        for name, gradient in gradients.items():
            allowed = 1e-5 * float(expected[name].abs().max()) + 1e-7
            torch.testing.assert_close(
                gradient, expected[name], rtol=1e-4, atol=allowed, msg=f"{name}, {parts} parts, {method}"
            )


def published_step(processes: Processes) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Batch A in process 0, batch B in process 1, as the golden values were made."""
    losses, outputs = golden_tensors("tiny_losses"), golden_tensors("tiny_outputs")
    if processes.rank == 0:
        inputs = [outputs["images"], outputs["texts"], outputs["image_mask_false"]]
        masked = outputs["masked_chars"]
    else:
        inputs = [losses["B.images"], losses["B.texts"], losses["B.image_masks"]]
        masked = losses["B.masked_chars"]
    model = golden_model()
    settings = model.settings.model_copy(update={"gather": "published"})
    parallel = DistributedDataParallel(model, broadcast_buffers=False)
    found = oclip_loss(parallel(*inputs), masked, settings)
    sum(found.values(), torch.zeros(())).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return {name: loss.detach() for name, loss in found.items()}, gradients


def test_published_gather_has_the_published_losses_and_gradients(tmp_path: Path) -> None:
    golden = golden_tensors("tiny_losses")
    prefix = "agg.w1.0.ddpgrad."
    names = [key.removeprefix(prefix) for key in golden if key.startswith(prefix)]
    assert len(names) > 10
    for rank, (losses, gradients) in enumerate(in_processes(published_step, 2, tmp_path)):
        for name, published in (("character", "char_loss"), ("contrastive", "clip_loss")):
            torch.testing.assert_close(losses[name], golden[f"agg.w1.0.rank{rank}.{published}"], atol=1e-5, rtol=1e-5)
        for name in names:
            expected = golden[prefix + name]
            allowed = 1e-5 * float(expected.abs().max())
            assert_stored(gradients[name], expected, rtol=1e-3, atol=allowed, msg=name)


def gathered(processes: Processes) -> tuple[Tensor, Tensor]:
    """Each process's rows are its number, and the loss weighs row r in process p by r + 10 p."""
    rows = torch.full((2, 3), float(processes.rank), requires_grad=True)
    everyone = gather_rows(rows)
    weights = torch.arange(len(everyone)) + 10.0 * processes.rank
    (everyone * weights[:, None]).sum().backward()
    assert rows.grad is not None
    return everyone.detach(), rows.grad


def test_gathered_rows_come_by_rank_and_get_everyones_gradient(tmp_path: Path) -> None:
    for rank, (everyone, gradient) in enumerate(in_processes(gathered, 2, tmp_path)):
        assert everyone[:, 0].tolist() == [0, 0, 1, 1]
        assert gradient[:, 0].tolist() == [4 * rank + 10.0, 2 * (2 * rank + 1) + 10.0]
