"""Dry run: builds everything, runs two steps and one evaluation, estimates time and memory of the full run."""

from __future__ import annotations

import io
import time

import torch

from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import training_loader
from scenetext.errors import TrainingError
from scenetext.training.device import peak_memory
from scenetext.training.evaluation import evaluate
from scenetext.training.log import format_duration
from scenetext.training.trainer import Trainer

_STEPS = 2
_EVALUATED_IMAGES = 32


def dry_run(trainer: Trainer) -> list[str]:
    """Runs two training steps and evaluates a few images; writes no run folder.

    The first step warms up (and compiles, where asked for); the second is the estimate for all others.

    Returns:
        Lines to print: time of a step, of an evaluation and of the run, memory, and disk space for checkpoints.

    Raises:
        TrainingError: a loss that is not finite, and the errors of the real run.
    """
    seconds_a_step = _time_steps(trainer)
    seconds_an_evaluation = time_evaluation(trainer, _EVALUATED_IMAGES)
    whole = seconds_a_step * trainer.total_steps + seconds_an_evaluation * trainer.evaluations
    kept = trainer.settings.keep_checkpoints + 1
    where = "GPU memory" if trainer.device.type == "cuda" else "memory, this process,"
    return [
        f"dry run: {seconds_a_step:.3g} s a step, {format_duration(seconds_an_evaluation)} an evaluation; "
        f"{trainer.total_steps} steps and {trainer.evaluations} evaluations take about {format_duration(whole)}",
        f"dry run: {where} at most {peak_memory(trainer.device) / 2**30:.2f} GiB; "
        f"{kept} checkpoints of {_checkpoint_size(trainer) / 2**20:.0f} MiB",
        "dry run: no run folder was written",
    ]


def _time_steps(trainer: Trainer) -> float:
    """Seconds of the last of a few steps, without waiting for data."""
    processes = trainer.processes
    batches = training_loader(
        trainer.training_data,
        trainer.loader,
        trainer.settings.seed,
        0,
        _STEPS,
        processes.rank,
        processes.count,
        pin_memory=trainer.device.type == "cuda",
    )
    seconds = 0.0
    for batch in batches:
        began = time.perf_counter()
        values = trainer.train_step(batch)
        seconds = time.perf_counter() - began
        if not torch.isfinite(torch.tensor(values["loss"])):
            raise TrainingError(f"the loss of a first step is not finite: {values}")
    return seconds


def time_evaluation(trainer: Trainer, images: int) -> float:
    """Seconds of an evaluation of all validation images, estimated from the first `images` of them."""
    data = trainer.validation_data
    few = RecordDataset(data.records[:images], data.prepare, data.seed)
    metric = trainer.task.metric(few.records)
    began = time.perf_counter()
    with trainer.learner.autocast():
        evaluate(trainer.task, few, metric.update, trainer.loader, trainer.device, trainer.processes)
    metric.compute()
    return (time.perf_counter() - began) * len(data) / len(few)


def _checkpoint_size(trainer: Trainer) -> int:
    """Bytes of a checkpoint."""
    content = io.BytesIO()
    torch.save({"model": trainer.module.state_dict(), **trainer.learner.state()}, content)
    return content.getbuffer().nbytes
