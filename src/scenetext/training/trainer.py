"""The training loop: it knows steps, devices, precision, checkpoints and logs, and nothing of what is being learnt."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from scenetext.config import Settings, changed_settings
from scenetext.contracts import Task
from scenetext.data.dataset import RecordDataset
from scenetext.data.loader import LoaderSettings, training_loader
from scenetext.errors import TrainingError
from scenetext.structures import Batch
from scenetext.training.checkpoint import (
    checkpoint_path,
    load_latest_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
    versions,
)
from scenetext.training.device import Precision, resolve_device, resolve_precision
from scenetext.training.evaluation import evaluate
from scenetext.training.interruption import InterruptionGuard
from scenetext.training.log import RunLog, format_figure
from scenetext.training.optimizers import OptimizerSettings, build_optimizer, set_learning_rate
from scenetext.training.schedules import ScheduleSettings, learning_rate_factor
from scenetext.training.seed import random_state, restore_random_state
from scenetext.training.skipped import SkippedImages
from scenetext.training.window import StepWindow


class TrainingSettings(Settings):
    """Length, rhythm, device and limits of a run."""

    steps: PositiveInt
    """Optimiser steps of the whole run."""
    evaluate_every: PositiveInt
    """Steps between evaluations on the validation records; the last step is always evaluated."""
    checkpoint_every: PositiveInt = 500
    """Steps between checkpoints; one is also written at the end and on interruption."""
    keep_checkpoints: PositiveInt = 2
    """How many of the newest step checkpoints stay; the best one is kept besides, as best.pt."""
    log_every: PositiveInt = 20
    """Steps between logged training figures (means over those steps)."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "auto"
    """fp32, bf16 or fp16 (with a loss scaler); auto: fp32 on CPU, bf16 where the GPU has it, else fp16."""
    seed: NonNegativeInt = 0
    """Fixes initial weights, the order of images and every random transform."""
    maximum_skipped_share: float = Field(default=0.05, ge=0, le=1)
    """The run stops when more than this share of the images could not be read."""
    maximum_non_finite_steps: PositiveInt = 10
    """The run stops after so many steps in a row whose loss is not finite (each is skipped and logged)."""


class RunSettings(Protocol):
    """The part of a run's settings that the trainer reads."""

    @property
    def training(self) -> TrainingSettings:
        """Length, rhythm, device and limits."""
        ...

    @property
    def optimizer(self) -> OptimizerSettings:
        """How weights are updated."""
        ...

    @property
    def schedule(self) -> ScheduleSettings:
        """How the learning rate moves."""
        ...

    @property
    def loader(self) -> LoaderSettings:
        """Batch sizes and loader processes."""
        ...


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        step: finished steps.
        figures: of the last evaluation.
        best: value of the metric's best-figure over the run, None before the first evaluation.
        best_step: the step that reached it.
        evaluated_step: the step after which `figures` were taken, -1 before the first evaluation.
        interrupted: name of the signal that ended the run early, None where it ran to its end.
    """

    step: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_step: int = 0
    evaluated_step: int = -1
    interrupted: str | None = None


class Trainer:
    """Trains one task on one device.

    Args:
        task: an `nn.Module` that is a `Task`.
        training_data, validation_data: datasets prepared by the task's own preparations.
        settings: a run's settings.
        folder: run folder; checkpoints, best.pt and logs go there.
        description: plain data stored in every checkpoint beside the weights (kind of run, resolved config).
    """

    def __init__(
        self,
        task: Task,
        training_data: RecordDataset,
        validation_data: RecordDataset,
        settings: RunSettings,
        folder: Path,
        description: Mapping[str, Any],
    ) -> None:
        if not isinstance(task, nn.Module):
            raise TypeError("a task is an nn.Module")
        self.settings = settings.training
        self.device = resolve_device(self.settings.device)
        self.precision = resolve_precision(self.settings.precision, self.device)
        self.task = task
        self.module: nn.Module = task.to(self.device).to(memory_format=torch.channels_last)
        self.optimizer_settings = settings.optimizer
        self.schedule = settings.schedule
        self.loader = settings.loader
        self.optimizer = build_optimizer(self.module, settings.optimizer)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.training_data = training_data
        self.validation_data = validation_data
        self.folder = folder
        self.description = dict(description)
        self.outcome = Outcome()
        self.skipped = SkippedImages(len(training_data), self.settings.maximum_skipped_share)
        self._non_finite_in_a_row = 0

    def resume(self) -> list[str]:
        """Continues from the newest readable checkpoint in the run folder.

        Returns:
            Remarks, one message each: what was wrong with newer checkpoints, which settings have changed since.

        Raises:
            CheckpointError: there is no readable checkpoint.
        """
        _, content, problems = load_latest_checkpoint(self.folder)
        self.module.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scaler.load_state_dict(content["scaler"])
        restore_random_state(content["random"])
        self.outcome = Outcome(**content["outcome"])
        self.outcome.interrupted = None
        changes = changed_settings(content["config"], self.description["config"])
        return [f"passed over a checkpoint: {problem}" for problem in problems] + changes

    def fit(self) -> Outcome:
        """Trains to the last step or until a signal asks to stop; evaluates, logs and saves on the way.

        Raises:
            TrainingError: the loss was not finite too often in a row, or too many images could not be read.
        """
        log = RunLog(self.folder, self.outcome.step, self.settings.steps, self.folder.name)
        try:
            with InterruptionGuard(
                lambda name: log.message(f"{name} received: saving after this step (Ctrl-C again to stop at once)")
            ) as guard:
                self._run(log, guard)
        finally:
            log.close()
        return self.outcome

    def _run(self, log: RunLog, guard: InterruptionGuard) -> None:
        self._catch_up_evaluation(log, guard)
        window = StepWindow()
        for batch in self._timed_batches(window):
            losses = self.train_step(batch)
            self._watch_non_finite(batch, losses, log)
            self.outcome.step += 1
            window.add(losses, len(batch.metas))
            self.skipped.add(batch.skipped, log.message)
            log.step(self.outcome.step)
            last = self.outcome.step == self.settings.steps
            if self.outcome.step % self.settings.log_every == 0 or last:
                log.figures("train", self.outcome.step, window.figures(self.optimizer.param_groups[0]["lr"]))
                window.reset()
            evaluating = self.outcome.step % self.settings.evaluate_every == 0 or last
            if self.outcome.step % self.settings.checkpoint_every == 0 or last:
                self._save()
            if evaluating and not guard.requested:
                began = time.monotonic()
                self._evaluate(log, guard)
                window.leave_out(time.monotonic() - began)
            if guard.requested:
                break
        self._finish(log, guard)

    def _timed_batches(self, window: StepWindow) -> Iterator[Batch]:
        if self.outcome.step >= self.settings.steps:
            return
        batches = iter(
            training_loader(self.training_data, self.loader, self.settings.seed, self.outcome.step, self.settings.steps)
        )
        while True:
            asked = time.monotonic()
            try:
                batch = next(batches)
            except StopIteration:
                return
            window.waited += time.monotonic() - asked
            yield batch

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One optimiser step.

        Returns:
            The unweighted loss terms, and "loss", their weighted sum. Where that is not finite, no weight was
            changed.
        """
        self.module.train()
        factor = learning_rate_factor(self.outcome.step, self.settings.steps, self.schedule)
        set_learning_rate(self.optimizer, self.optimizer_settings.learning_rate * factor)
        with self._autocast():
            losses = self.task(batch.to(self.device))
        total = sum(
            (self.task.loss_weights[name] * value for name, value in losses.items()),
            start=torch.zeros((), device=self.device),
        )
        values = {name: float(value.detach()) for name, value in losses.items()}
        values["loss"] = float(total.detach())
        if math.isfinite(values["loss"]):
            self._update(total)
        return values

    def _update(self, total: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        if self.optimizer_settings.clip_gradient_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.module.parameters(), self.optimizer_settings.clip_gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _watch_non_finite(self, batch: Batch, values: Mapping[str, float], log: RunLog) -> None:
        """Tells a step whose loss was not finite; too many in a row stop the run."""
        if math.isfinite(values["loss"]):
            self._non_finite_in_a_row = 0
            return
        self._non_finite_in_a_row += 1
        names = ", ".join(meta.path.name for meta in batch.metas)
        terms = ", ".join(f"{name} {value:g}" for name, value in values.items())
        log.message(f"step {self.outcome.step}: loss is not finite ({terms}), step skipped; images: {names}")
        if self._non_finite_in_a_row >= self.settings.maximum_non_finite_steps:
            raise TrainingError(
                f"the loss was not finite in {self._non_finite_in_a_row} steps in a row ({terms}); "
                "lower optimizer.learning_rate, set optimizer.clip_gradient_norm, or look at the images named above"
            )

    def _autocast(self) -> AbstractContextManager[None]:
        kind = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=kind, enabled=self.precision != "fp32")

    def _catch_up_evaluation(self, log: RunLog, guard: InterruptionGuard) -> None:
        """Does the evaluation that was due after the step of the checkpoint, where the run died before it was done."""
        step = self.outcome.step
        due = step > 0 and (step % self.settings.evaluate_every == 0 or step == self.settings.steps)
        if due and self.outcome.evaluated_step != step:
            self._evaluate(log, guard)

    def _evaluate(self, log: RunLog, guard: InterruptionGuard) -> None:
        metric = self.task.metric(self.validation_data.records)
        with self._autocast():
            skipped = evaluate(
                self.task, self.validation_data, metric, self.loader, self.device, lambda: guard.requested is not None
            )
        if guard.requested:
            return
        figures = metric.compute()
        if skipped:
            figures["skipped_images"] = float(len(skipped))
        self.outcome.figures = figures
        self.outcome.evaluated_step = self.outcome.step
        log.figures("evaluation", self.outcome.step, figures)
        value = figures[metric.best]
        if math.isfinite(value) and (self.outcome.best is None or value > self.outcome.best):
            self.outcome.best, self.outcome.best_step = value, self.outcome.step
            save_checkpoint(self.folder / "best.pt", {**self._weights(), "figures": figures})
            log.message(f"best {metric.best} so far: {format_figure(value)}, saved as {self.folder / 'best.pt'}")

    def _finish(self, log: RunLog, guard: InterruptionGuard) -> None:
        """Saves the state, and tells where the run was stopped before its last evaluation."""
        self.skipped.report(log.message)
        self._save()
        if guard.requested and self.outcome.evaluated_step < self.settings.steps:
            self.outcome.interrupted = guard.requested
            log.message(f"stopped after step {self.outcome.step} of {self.settings.steps}; go on with --resume")

    def _weights(self) -> dict[str, Any]:
        return {
            **self.description,
            "model": self.module.state_dict(),
            "step": self.outcome.step,
            "versions": versions(),
        }

    def _save(self) -> None:
        state = {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": random_state(),
            "outcome": vars(self.outcome).copy(),
        }
        save_checkpoint(checkpoint_path(self.folder, self.outcome.step), {**self._weights(), **state})
        remove_old_checkpoints(self.folder, self.settings.keep_checkpoints)
