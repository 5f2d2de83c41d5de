"""What the training loop costs beside the training itself: against a bare loop, and in waiting for data."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch

from scenetext.benchmark.measurements import Measurement, counted, measured, milliseconds, timed
from scenetext.benchmark.run import first_batch
from scenetext.data.loading.loader import training_loader
from scenetext.structures import Batch
from scenetext.training.learner import weighted_sum
from scenetext.training.log import RunLog
from scenetext.training.trainer import Trainer
from scenetext.training.window import StepWindow

_WARM_UP = 2


def measure_overhead(trainer: Trainer, repetitions: int) -> list[Measurement]:
    """Times of a step in the trainer and in a bare loop, in alternation on the same batch, and how they differ.

    The metric to trust is the difference of the fastest steps: what disturbs a step only ever adds to its time. A line
    of the log is written every `training.log_every` steps, and its share of the time counts as the trainer's.

    Args:
        trainer: as `build_trainer` makes it, of one process, before `fit`; a few steps train its weights.
        repetitions: samples of each.
    """
    batch = first_batch(trainer.training_data, trainer.loader.batch_size)
    bare, whole = [], []
    for _ in range(_WARM_UP + repetitions):
        bare.append(timed(lambda: bare_step(trainer, batch), trainer.device))
        whole.append(timed(lambda: trainer.train_step(batch), trainer.device))
    bare, whole = bare[_WARM_UP:], whole[_WARM_UP:]
    lines = _time_log_lines(trainer, repetitions)
    share = (min(whole) - min(bare) + min(lines) / trainer.settings.log_every) / min(bare)
    return [
        milliseconds("bare step", bare),
        milliseconds("step of the trainer", whole),
        milliseconds("line of the log", lines),
        counted("overhead of the trainer, fastest steps", 100 * share, "%"),
    ]


def bare_step(trainer: Trainer, batch: Batch) -> float:
    """The least that a step of this run can be: forward, losses, backward, update, and its loss as a number."""
    trainer.module.train()
    trainer.learner.optimizer.zero_grad(set_to_none=True)
    with trainer.learner.autocast():
        losses = trainer.task(batch.to(trainer.device))
    loss = weighted_sum(losses, trainer.task.loss_weights)
    loss.backward()  # type: ignore[no-untyped-call]
    limit = trainer.learner.optimizer_settings.clip_gradient_norm
    if limit is not None:
        torch.nn.utils.clip_grad_norm_(trainer.module.parameters(), limit)
    trainer.learner.optimizer.step()
    return float(loss.detach())


def _time_log_lines(trainer: Trainer, repetitions: int) -> list[float]:
    """Seconds to write the metrics of a step to the log file and to TensorBoard; nothing goes to the terminal."""
    window = StepWindow()
    window.add({**dict.fromkeys(trainer.task.loss_weights, 1.0), "loss": 1.0, "gradient_norm": 1.0}, 1)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        log = RunLog(Path(folder), 0, repetitions, "benchmark", quiet=True)
        for step in range(_WARM_UP + repetitions):
            began = time.perf_counter()
            log.metrics("train", step, window.metrics(0.1, trainer.device))
            seconds.append(time.perf_counter() - began)
        log.close()
    return seconds[_WARM_UP:]


def time_waiting(trainer: Trainer, steps: int) -> Measurement:
    """Share of the time that steps of a real training wait for data, with the run's own loader; per step, in percent.

    The first steps are excluded: loader processes start while nothing is ready.
    """
    last = _WARM_UP + steps
    shares = []
    asked = time.perf_counter()
    on_gpu = trainer.device.type == "cuda"
    for batch in training_loader(
        trainer.training_data, trainer.loader, trainer.settings.seed, 0, last, pin_memory=on_gpu
    ):
        arrived = time.perf_counter()
        trainer.train_step(batch)
        done = time.perf_counter()
        shares.append(100 * (arrived - asked) / (done - asked))
        asked = done
    return measured("waiting for data", shares[_WARM_UP:], "%")
