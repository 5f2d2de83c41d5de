"""Length, intervals, device and limits of a training, and the other settings that the trainer reads."""

from __future__ import annotations

import math
from typing import Literal, Protocol

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from scenetext.config import Settings
from scenetext.data.loading.loader import LoaderSettings
from scenetext.training.averaging import AveragingSettings
from scenetext.training.device import Precision
from scenetext.training.loggers import LoggerName
from scenetext.training.optimizers import OptimizerSettings
from scenetext.training.schedules import ScheduleSettings


class TrainingSettings(Settings):
    """Length, intervals, device and limits of a run."""

    steps: PositiveInt | None = None
    """Optimiser steps of the whole run; give either this or `epochs`."""
    epochs: PositiveFloat | None = None
    """Length of the run in passes over the training images, as often as `data.train` repeats them; rounded to whole
    steps."""
    evaluate_every: PositiveInt
    """Steps between evaluations on the validation records; the last step is always evaluated."""
    patience: PositiveInt | None = None
    """Evaluations in a row without a better value after which the run ends early; null = it never does. Where
    `initial_weights` are evaluated before the first step, theirs is the first value to be better than."""
    checkpoint_every: PositiveInt = 500
    """Steps between checkpoints; one is also written at the end and on interruption."""
    keep_checkpoints: PositiveInt = 2
    """How many of the newest step checkpoints stay; the best one is kept as well, as best.pt."""
    log_every: PositiveInt = 20
    """Steps between logged training values (means over those steps)."""
    loggers: tuple[LoggerName, ...] = ("tensorboard",)
    """Where metrics and pictures go beside log.jsonl: tensorboard, wandb (Weights & Biases), mlflow; the last two need
    their packages. One that fails does not stop the run."""
    pictures: NonNegativeInt = 4
    """Validation images, the first ones, on which every evaluation also draws what the model makes of them."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; under torchrun, auto and cuda give every process its own GPU."""
    precision: Precision = "auto"
    """fp32, bf16 or fp16 (with a loss scaler); auto: fp32 on CPU, bf16 where the GPU has it, else fp16."""
    accumulation: PositiveInt = 1
    """Micro-batches into which every process divides its images of a step, to hold the activations of one at a time.
    The contrastive loss still compares all images of the step, at the price of a second forward pass; batch norms see
    one micro-batch."""
    batch_norm: Literal["local", "synchronized", "frozen"] = "local"
    """Images over which batch norms normalise: a micro-batch of one process, those of all processes (GPUs only), or
    none: running statistics stay as they are, while gains and biases are learnt."""
    averaging: AveragingSettings | None = None
    """Keep a moving average of the weights, which evaluations and best.pt then use; null = the last weights."""
    compile: bool = False
    """Compile the parts of the model that do the work with torch.compile: slower to start, faster to run on GPUs."""
    deterministic: bool = False
    """The same command on the same kind of device gives the same bits, also after --resume. A CPU does so anyway; on a
    GPU operations are slower, and one without such an algorithm (deformable convolutions) stops the run."""
    timeout: PositiveFloat = 1800.0
    """Seconds that a process waits for the others before it stops the run."""
    seed: NonNegativeInt = 0
    """Fixes initial weights, the order of images and every random transform."""
    maximum_skipped_share: float = Field(default=0.05, ge=0, le=1)
    """The run stops when more than this share of the images could not be read."""
    maximum_non_finite_steps: PositiveInt = 10
    """The run stops after so many steps in a row whose loss or gradient is not finite (each is skipped and logged)."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainingSettings:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give the length as either steps or epochs")
        return self

    def total_steps(self, images: int, batch_size: int) -> int:
        """Steps of the whole run where an epoch has so many images."""
        if self.steps is not None:
            return self.steps
        return max(1, math.ceil((self.epochs or 0) * images / batch_size))


class RunSettings(Protocol):
    """The part of a run's settings that the trainer reads."""

    @property
    def training(self) -> TrainingSettings:
        """Length, intervals, device and limits."""
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
