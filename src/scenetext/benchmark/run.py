"""The metrics of one run: training step, its parts, evaluation, preparation of images, size and memory."""

from __future__ import annotations

import time

import torch

from scenetext.benchmark.measurements import (
    Measurement,
    counted,
    measured,
    milliseconds,
    operations,
    repeated,
    reset_peak_memory,
)
from scenetext.benchmark.parts import time_parts
from scenetext.benchmark.preparation import time_preparation
from scenetext.data.loading.dataset import RecordDataset, collate_loaded
from scenetext.data.loading.loader import LoaderSettings, default_workers, training_loader
from scenetext.errors import ConfigError
from scenetext.runs.build import build_task
from scenetext.runs.settings import PretrainingRun, Run
from scenetext.structures import Batch
from scenetext.tasks.detection import DetectionTask
from scenetext.training.device import peak_memory
from scenetext.training.learner import Learner
from scenetext.training.parameter_groups import freeze
from scenetext.training.trainer import Trainer

_LOADER_BATCH = 8
_LOADER_BATCHES = 24
_LOADER_START = 8
"""Batches that loader processes may have made before they are counted."""


def measure(trainer: Trainer, repetitions: int) -> list[Measurement]:
    """All metrics of a run; its weights are trained by a few steps on the way.

    Args:
        trainer: as `build_trainer` makes it, before `fit`.
        repetitions: samples of every measured metric.
    """
    batch = first_batch(trainer.training_data, trainer.loader.batch_size)
    return [
        *count_model(trainer.learner, batch),
        *time_step(trainer, batch, repetitions),
        *time_parts(trainer, batch, repetitions),
        time_evaluation(trainer, repetitions),
        *time_preparation(trainer.training_data, repetitions),
        time_loader(trainer.training_data, trainer.loader),
    ]


def first_batch(dataset: RecordDataset, size: int) -> Batch:
    """A training batch of the first images, repeated where there are fewer."""
    return collate_loaded([dataset[0, index % len(dataset)] for index in range(size)])


def count_model(learner: Learner, batch: Batch) -> list[Measurement]:
    """Parameters, and floating-point operations of forward, losses and backward per image (2 per multiply-add)."""
    parameters = sum(parameter.numel() for parameter in learner.module.parameters()) / 1e6
    learner.module.train()

    def forward_and_backward() -> None:
        losses = learner.task(batch.to(learner.device))
        sum(losses.values(), start=torch.zeros((), device=learner.device)).backward()  # type: ignore[no-untyped-call]

    per_image = operations(forward_and_backward) / len(batch.metas)
    learner.optimizer.zero_grad(set_to_none=True)
    return [counted("parameters", parameters, "M"), counted("training operations per image", per_image, "GFLOP")]


def count_detector(run: Run, height: int, width: int) -> list[Measurement]:
    """Parameters, those of them that are trained, and floating-point operations of one image (2 per multiply-add).

    What a model computes once and keeps, such as the text feature of FastTCM, is not among the operations of an image:
    those of a second one are counted.

    Args:
        height, width: of the image, in pixels; multiples of 32.

    Raises:
        ConfigError: the run is a pre-training, or the size does not fit.
    """
    if height < 32 or width < 32 or height % 32 or width % 32:
        raise ConfigError(f"an image of {height} x {width} pixels: give sides that are multiples of 32")
    task = build_task(run)
    if isinstance(run, PretrainingRun) or not isinstance(task, DetectionTask):
        raise ConfigError("operations of an image are counted of detectors, and this run is a pre-training")
    freeze(task, run.optimizer.groups)
    task.eval()
    images = torch.zeros(1, 3, height, width, dtype=torch.uint8)
    with torch.no_grad():
        task.maps(images)
        inference = operations(lambda: task.maps(images))
    parameters = [(parameter.numel() / 1e6, parameter.requires_grad) for parameter in task.parameters()]
    return [
        counted("parameters", sum(count for count, _ in parameters), "M"),
        counted("trainable parameters", sum(count for count, trained in parameters if trained), "M"),
        counted("inference operations per image", inference, "GFLOP"),
    ]


def time_step(trainer: Trainer, batch: Batch, repetitions: int) -> list[Measurement]:
    """A whole training step on one batch: copy to the device, forward, losses, backward, update; and its memory."""
    reset_peak_memory(trainer.device)
    seconds = repeated(lambda: trainer.train_step(batch), repetitions, trainer.device)
    size = len(batch.metas)
    return [
        milliseconds("training step", seconds),
        measured("training", [size / each for each in seconds], "images/s"),
        counted("peak memory of training steps", peak_memory(trainer.device) / 2**20, "MiB"),
    ]


def time_evaluation(trainer: Trainer, repetitions: int) -> Measurement:
    """Prediction of one evaluation batch, decoding included."""
    dataset, size = trainer.validation_data, trainer.loader.evaluation_batch_size
    batch = collate_loaded([dataset.evaluation_item(index) for index in range(min(size, len(dataset)))])
    trainer.module.eval()
    with torch.no_grad():
        seconds = repeated(lambda: trainer.task.predict(batch.to(trainer.device)), repetitions, trainer.device)
    return measured("evaluation", [len(batch.metas) / each for each in seconds], "images/s")


def time_loader(dataset: RecordDataset, settings: LoaderSettings) -> Measurement:
    """Images per second that arrive from the run's number of loader processes while nothing else is done."""
    workers = default_workers() if settings.workers is None else settings.workers
    small = LoaderSettings(batch_size=_LOADER_BATCH, workers=workers)
    arrived = [time.perf_counter() for _ in training_loader(dataset, small, 0, 0, _LOADER_BATCHES)]
    images = _LOADER_BATCH * (_LOADER_BATCHES - _LOADER_START)
    rate = images / (arrived[-1] - arrived[_LOADER_START - 1])
    return counted(f"loader, {workers} processes", rate, "images/s")
