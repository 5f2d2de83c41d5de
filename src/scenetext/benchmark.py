"""How fast the parts of a training are (step, evaluation, preparation of images), and how large the model is.

Every figure is a median over repetitions after a warm-up. Machines are shared and noisy: compare figures of one run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from scenetext.data.dataset import RecordDataset, collate_loaded, load_sample
from scenetext.structures import Batch
from scenetext.training.trainer import Trainer


@dataclass(frozen=True)
class Figure:
    """One measured or counted thing.

    Attributes:
        name: what.
        value: in `unit`; the median where it was measured.
        unit: of all values.
        low, high: smallest and largest sample; equal to `value` where it was counted.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float


def measure(trainer: Trainer, repetitions: int) -> list[Figure]:
    """All figures of a run; its weights are trained by a few steps on the way.

    Args:
        trainer: as `build_trainer` makes it, before `fit`.
        repetitions: samples of every measured figure.
    """
    batch = first_batch(trainer.training_data, trainer.loader.batch_size)
    return [
        *count_model(trainer, batch),
        *time_step(trainer, batch, repetitions),
        time_evaluation(trainer, repetitions),
        *time_preparation(trainer.training_data, repetitions),
    ]


def first_batch(dataset: RecordDataset, size: int) -> Batch:
    """A training batch of the first images, repeated where there are fewer."""
    return collate_loaded([dataset[0, index % len(dataset)] for index in range(size)])


def count_model(trainer: Trainer, batch: Batch) -> list[Figure]:
    """Parameters, and floating-point operations of forward, losses and backward per image (2 per multiply-add)."""
    parameters = sum(parameter.numel() for parameter in trainer.module.parameters()) / 1e6
    trainer.module.train()
    with FlopCounterMode(display=False) as counter:
        losses = trainer.task(batch.to(trainer.device))
        sum(losses.values(), start=torch.zeros((), device=trainer.device)).backward()  # type: ignore[no-untyped-call]
    operations = counter.get_total_flops() / len(batch.metas) / 1e9
    trainer.learner.optimizer.zero_grad(set_to_none=True)
    return [_counted("parameters", parameters, "M"), _counted("training operations per image", operations, "GFLOP")]


def time_step(trainer: Trainer, batch: Batch, repetitions: int) -> list[Figure]:
    """A whole training step on one batch: copy to the device, forward, losses, backward, update."""
    seconds = list(_sample(lambda: trainer.train_step(batch), repetitions, trainer.device))
    size = len(batch.metas)
    return [
        _measured("training step", [1000 * each for each in seconds], "ms"),
        _measured("training", [size / each for each in seconds], "images/s"),
    ]


def time_evaluation(trainer: Trainer, repetitions: int) -> Figure:
    """Prediction of one evaluation batch, decoding included."""
    dataset, size = trainer.validation_data, trainer.loader.evaluation_batch_size
    batch = collate_loaded([dataset.evaluation_item(index) for index in range(min(size, len(dataset)))])
    trainer.module.eval()
    with torch.no_grad():
        seconds = list(_sample(lambda: trainer.task.predict(batch.to(trainer.device)), repetitions, trainer.device))
    return _measured("evaluation", [len(batch.metas) / each for each in seconds], "images/s")


def time_preparation(dataset: RecordDataset, repetitions: int) -> list[Figure]:
    """Images per second that one process on one core prepares for training, and the milliseconds of its two parts."""
    reading, preparing = [], []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for index in range(max(repetitions, 20)):
        record = dataset.records[index % len(dataset)]
        began = time.perf_counter()
        sample = load_sample(record)
        read = time.perf_counter()
        dataset.prepare(sample, np.random.default_rng(index))
        reading.append(1000 * (read - began))
        preparing.append(1000 * (time.perf_counter() - read))
    torch.set_num_threads(threads)
    return [
        _measured("reading an image", reading, "ms"),
        _measured("transforms and targets", preparing, "ms"),
        _measured("loader, one core", [1000 / (r + p) for r, p in zip(reading, preparing, strict=True)], "images/s"),
    ]


def _sample(action: Callable[[], object], repetitions: int, device: torch.device) -> Iterator[float]:
    """Seconds of every repetition after two that are not counted."""
    for repetition in range(repetitions + 2):
        began = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if repetition >= 2:
            yield time.perf_counter() - began


def _measured(name: str, values: list[float], unit: str) -> Figure:
    return Figure(name, statistics.median(values), unit, min(values), max(values))


def _counted(name: str, value: float, unit: str) -> Figure:
    return Figure(name, value, unit, value, value)
