"""Weights and what updates them: one optimiser step, on any device, in any precision, in any number of processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from scenetext.contracts import Task
from scenetext.distributed import Processes
from scenetext.errors import CheckpointError, ConfigError, DeviceError
from scenetext.layers.batch_norms import StatisticsSnapshot, batch_norms, hold_statistics, statistics_untouched
from scenetext.structures import Batch
from scenetext.training.averaging import WeightAverage
from scenetext.training.device import autocast_to, explained_device_errors, resolve_precision
from scenetext.training.optimizers import (
    build_optimizer,
    load_optimizer_state,
    scaled_learning_rate,
    set_learning_rate,
)
from scenetext.training.parameter_groups import keep_frozen_norms_still
from scenetext.training.schedules import learning_rate_factor
from scenetext.training.settings import RunSettings
from scenetext.weights.report import load_weights


class Learner:
    """A task with its optimiser, on one device of one process.

    A step is `accumulate`, which leaves gradients, and then `update` or `discard`; between them the processes agree
    which of the two.

    Args:
        task: an `nn.Module` that is a `Task`; moved to the device.
        settings: a run's settings.
        device: of this process.
        processes: of the run; their gradients are averaged.
        images: of an epoch; the schedule and the run's length may be stated in epochs.

    Attributes:
        rate_at: learning rate of a step, by the number of steps finished before; that of the schedule.
        learning_rate: of the step at hand, of parameters whose group has the factor 1.
        overflows: steps of this process, since it started, that were skipped because gradients overflowed under fp16.

    Raises:
        DeviceError: a precision or a batch norm that the device does not offer.
        ConfigError: batches that cannot be divided evenly.
    """

    def __init__(
        self, task: Task, settings: RunSettings, device: torch.device, processes: Processes, images: int
    ) -> None:
        if not isinstance(task, nn.Module):
            raise TypeError("a task is an nn.Module")
        _check_division(settings, processes)
        self.task = task
        self.device = device
        self.processes = processes
        self.training = settings.training
        self.batch_size = settings.loader.batch_size
        self.total_steps = self.training.total_steps(images, self.batch_size)
        self.steps_per_epoch = images / self.batch_size
        self.optimizer_settings = settings.optimizer
        self.schedule = settings.schedule
        self.precision = resolve_precision(self.training.precision, device)
        self.module: nn.Module = _with_batch_norms(task, self.training.batch_norm, device)
        with explained_device_errors(device, "the model alone does not fit; nvidia-smi shows who else uses it"):
            self.module.to(device).to(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(self.module, settings.optimizer)
        averaging = self.training.averaging
        self.average = None if averaging is None else WeightAverage(self.module, averaging)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        if self.training.compile:
            for part in task.compiled_parts():
                part.compile()
        self._forward = _distributed(self.module, device) if processes.count > 1 else self.module
        self._statistics: StatisticsSnapshot | None = None
        self.rate_at: Callable[[int], float] = self.scheduled_rate
        self.learning_rate = 0.0
        self.overflows = 0

    def accumulate(self, batch: Batch, step: int) -> dict[str, float]:
        """Leaves the gradients of a step in the parameters: forward and backward of all micro-batches, clipped.

        Args:
            batch: this process's images of the step.
            step: steps finished before this one.

        Returns:
            The unweighted loss terms and "loss", their weighted sum, all of this process; and "gradient_norm", the L2
            norm before it was clipped, of all processes.
        """
        self._prepare(step)
        micro_batches = [each.to(self.device) for each in batch.micro_batches(self.training.accumulation)]
        summaries = self._summaries(micro_batches)
        # The gradient of the mean loss is a sum over micro-batches, of the gradient of each loss / their number. A loss
        # over all images of the step (contrastive) gets summaries of the other micro-batches, without gradient.
        sums: dict[str, Tensor] = {}
        for index, micro_batch in enumerate(micro_batches):
            last = index == len(micro_batches) - 1
            others = [] if summaries[index] is None else [*summaries[:index], *summaries[index + 1 :]]
            with self._exchanging(last), self.processes.watched("the gradients of the others"):
                losses = self._losses(micro_batch, others)
                self.scaler.scale(losses["loss"] / len(micro_batches)).backward()  # type: ignore[no-untyped-call]
            for name, value in losses.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value.detach() / len(micro_batches)
        self.scaler.unscale_(self.optimizer)
        norm = self._clip()
        values = torch.stack([*sums.values(), norm.to(self.device)]).tolist()
        return dict(zip([*sums, "gradient_norm"], values, strict=True))

    def scheduled_rate(self, step: int) -> float:
        """The learning rate that the settings give a step, by the number of steps finished before."""
        factor = learning_rate_factor(step, self.total_steps, self.schedule, self.steps_per_epoch)
        return factor * scaled_learning_rate(self.optimizer_settings, self.batch_size)

    def update(self, overflowed: bool = False) -> None:
        """Takes the step.

        Args:
            overflowed: gradients overflowed under fp16: the scaler skips the step and lowers the loss scale.
        """
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.overflows += overflowed
        if not overflowed:
            self.task.after_update()
            if self.average is not None:
                self.average.update(self.module)
        self._statistics = None

    def discard(self) -> None:
        """Skips the step: weights and running statistics are as before it."""
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self._statistics is not None:
            self._statistics.restore()

    def overflowed(self, values: dict[str, float]) -> bool:
        """Whether a step has a finite loss and too large gradients under fp16, which its loss scaler handles."""
        return (
            self.precision == "fp16"
            and math.isfinite(values["loss"])
            and not math.isfinite(values["gradient_norm"])
            and self.scaler.get_scale() >= 1.0
        )

    def scaling(self) -> dict[str, float]:
        """Values of the loss scaler for the log: its scale, and overflows so far; nothing without a scaler."""
        if not self.scaler.is_enabled():
            return {}
        return {"loss_scale": self.scaler.get_scale(), "overflows": float(self.overflows)}

    def memory_advice(self) -> str:
        """What to change in the settings of a run whose training steps do not fit."""
        parts = self.training.accumulation
        share = self.batch_size // self.processes.count
        more = next((count for count in range(parts + 1, share + 1) if share % count == 0), None)
        smaller = "" if more is None else f"raise training.accumulation from {parts} to {more}, "
        return (
            f"{share // parts} images at a time are too many; {smaller}set activation_checkpointing: true in the "
            "settings of a clip_resnet or tcm encoder, or lower loader.batch_size or transform.size (the crops)"
        )

    def autocast(self) -> AbstractContextManager[None]:
        """The run's precision, for forward passes."""
        return autocast_to(self.precision, self.device)

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """Within, the module has the weights that are to be evaluated and published: the average, where one is kept."""
        return nullcontext() if self.average is None else self.average.in_place_of_weights(self.module)

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold besides the weights."""
        average = {} if self.average is None else {"average": self.average.state_dict()}
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(), **average}

    def load_state(self, content: dict[str, Any], path: Path, fresh_optimizer: bool = False) -> None:
        """Puts back weights and state from the content of the checkpoint at `path`.

        Args:
            fresh_optimizer: leave the optimiser as it is at the start of a run.

        Raises:
            CheckpointError: the weights or the optimiser's state are those of another model or optimiser, or the
                weights averaged in one run and not in the other.
        """
        if self.average is not None:
            if "average" not in content:
                raise CheckpointError(f"{path}: holds no average of the weights, for which training.averaging asks")
            self.average.load_state_dict(content["average"])
        load_weights(self.module, content["model"], path)
        if not fresh_optimizer:
            saved = content["config"].get("optimizer", {}).get("name")
            load_optimizer_state(self.optimizer, content["optimizer"], self.optimizer_settings.name, saved)
        if content["scaler"]:  # empty where the run had no scaler, as on a GPU with bf16 before this one without
            self.scaler.load_state_dict(content["scaler"])

    def _prepare(self, step: int) -> None:
        self.module.train()
        keep_frozen_norms_still(self.module)
        if self.training.batch_norm == "frozen":
            hold_statistics(self.module)
        self.learning_rate = self.rate_at(step)
        set_learning_rate(self.optimizer, self.learning_rate)
        self.optimizer.zero_grad(set_to_none=True)
        self._statistics = StatisticsSnapshot(self.module)

    @torch.no_grad()
    def _summaries(self, micro_batches: Sequence[Batch]) -> list[Any]:
        if len(micro_batches) == 1:
            return [None]
        with statistics_untouched(self.module), self.autocast():
            return [self.task.summary(each) for each in micro_batches]

    def _losses(self, micro_batch: Batch, others: Sequence[Any]) -> dict[str, Tensor]:
        with self.autocast():
            losses = cast(dict[str, Tensor], self._forward(micro_batch, others))
        return {**losses, "loss": weighted_sum(losses, self.task.loss_weights)}

    def _exchanging(self, now: bool) -> AbstractContextManager[None]:
        """Gradients of several micro-batches are exchanged once, with the last of them."""
        if now or not isinstance(self._forward, DistributedDataParallel):
            return nullcontext()
        return self._forward.no_sync()

    def _clip(self) -> Tensor:
        parameters = [parameter for parameter in self.module.parameters() if parameter.grad is not None]
        limit = self.optimizer_settings.clip_gradient_norm
        if limit is not None:
            return nn.utils.clip_grad_norm_(parameters, limit)
        return nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The scalar that is minimised: every loss term times its weight, which must be there for each of them."""
    return torch.stack([weights[name] * value for name, value in losses.items()]).sum()


def _check_division(settings: RunSettings, processes: Processes) -> None:
    share, rest = divmod(settings.loader.batch_size, processes.count)
    if rest or share % settings.training.accumulation:
        raise ConfigError(
            f"loader.batch_size: {settings.loader.batch_size} images per step cannot be divided evenly among "
            f"{processes.count} processes with training.accumulation: {settings.training.accumulation} micro-batches"
        )


def _with_batch_norms(module: nn.Module, kind: str, device: torch.device) -> nn.Module:
    if kind != "synchronized" or not batch_norms(module):
        return module
    if device.type != "cuda":
        raise DeviceError("training.batch_norm: synchronized needs GPUs; on a CPU use local or frozen")
    return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(module))  # type: ignore[no-untyped-call]


def _distributed(module: nn.Module, device: torch.device) -> nn.Module:
    """The module whose backward pass averages gradients over the processes.

    Running statistics of batch norms are each process's own until the trainer takes those of the first.
    """
    return DistributedDataParallel(
        module,
        device_ids=[device] if device.type == "cuda" else None,
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
    )
