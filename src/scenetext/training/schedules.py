"""How the learning rate moves over a run: pure functions of the step, so that nothing needs saving to resume."""

from __future__ import annotations

import bisect
import itertools
import math
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from scenetext.config import Settings
from scenetext.errors import ConfigError


class ScheduleSettings(Settings):
    """How the learning rate moves over the steps of a run: a linear warm-up, then one of four curves.

    Positions in the run are given in optimiser steps or, by the keys that end in `_epochs`, in passes over the data.
    """

    name: Literal["cosine", "polynomial", "multi_step", "constant"] = "cosine"
    """After the warm-up: half a cosine (oCLIP), (1 - progress)^power (DBNet, FCENet, TCM), a drop at each milestone
    (PSENet), or flat."""
    warmup_steps: NonNegativeInt = 0
    """Steps of linear warm-up; step s of them, from 0, is at (s + 1) / warmup_steps of the way to the peak (oCLIP)."""
    warmup_epochs: NonNegativeFloat = 0
    """The same in epochs, as detectors state it that start from oCLIP; at most one of the two is given."""
    warmup_start_factor: float = Field(default=0.0, ge=0, le=1)
    """Share of the peak that the warm-up rises from."""
    minimum_factor: float = Field(default=0.0, ge=0, le=1)
    """Share of the peak that cosine and polynomial end at, and that drops do not go below."""
    power: PositiveFloat = 0.9
    """Exponent of the polynomial schedule."""
    milestone_steps: tuple[PositiveInt, ...] = ()
    """Steps, ascending, from which on multi_step multiplies the rate by gamma once more."""
    milestone_epochs: tuple[PositiveFloat, ...] = ()
    """The same in epochs; exactly one of the two is given with multi_step."""
    gamma: float = Field(default=0.1, gt=0, le=1)
    """What multi_step multiplies the rate by at each milestone."""

    @model_validator(mode="after")
    def _check_positions(self) -> ScheduleSettings:
        if self.warmup_steps and self.warmup_epochs:
            raise ValueError("warmup_steps and warmup_epochs are both given; keep one of them")
        if self.milestone_steps and self.milestone_epochs:
            raise ValueError("milestone_steps and milestone_epochs are both given; keep one of them")
        milestones = self.milestone_steps or self.milestone_epochs
        if (self.name == "multi_step") != bool(milestones):
            raise ValueError("milestone_steps or milestone_epochs belong to name: multi_step, and it needs one of them")
        if any(later <= earlier for earlier, later in itertools.pairwise(milestones)):
            raise ValueError(f"milestones must ascend, not {list(milestones)}")
        return self


def learning_rate_factor(
    step: int, total_steps: int, settings: ScheduleSettings, steps_per_epoch: float | None = None
) -> float:
    """Share of the peak learning rate at a step. oCLIP, implementation details; Loshchilov and Hutter 2017, eq. 5.

    The last step of the warm-up and the first after it both have the peak. A run that is shorter than its warm-up does
    not reach it.

    Args:
        step: 0 <= step < total_steps, steps already done.
        total_steps: length of the run in steps.
        steps_per_epoch: images / batch, not rounded; needed where the settings speak of epochs.

    Returns:
        A factor in [0, 1]: not below `minimum_factor` after the warm-up, and never rising there.

    Raises:
        ValueError: the settings speak of epochs and `steps_per_epoch` is not given.
    """
    warmup = settings.warmup_steps or _steps(settings.warmup_epochs, steps_per_epoch)
    if step < warmup:
        start = settings.warmup_start_factor
        return start + (1 - start) * (step + 1) / warmup
    lowest = settings.minimum_factor
    if settings.name == "multi_step":
        return max(lowest, settings.gamma ** _milestones_passed(step, settings, steps_per_epoch))
    progress = (step - warmup) / max(total_steps - warmup, 1)
    return lowest + (1 - lowest) * _decay(progress, settings)


def check_length(settings: ScheduleSettings, total_steps: int, steps_per_epoch: float) -> list[str]:
    """Whether a schedule fits into a run.

    Returns:
        Remarks: milestones that the run does not reach.

    Raises:
        ConfigError: the warm-up is as long as the run, which would never reach its learning rate.
    """
    warmup = settings.warmup_steps or _steps(settings.warmup_epochs, steps_per_epoch)
    if warmup >= total_steps:
        key = "warmup_steps" if settings.warmup_steps else "warmup_epochs"
        raise ConfigError(
            f"schedule.{key}: the warm-up of {warmup} steps is not shorter than the run of {total_steps} steps; "
            "shorten it, or lengthen the run"
        )
    milestones = settings.milestone_steps or tuple(_steps(each, steps_per_epoch) for each in settings.milestone_epochs)
    late = [step for step in milestones if step >= total_steps]
    return [f"warning: the run of {total_steps} steps ends before milestones of its schedule: {late}"] if late else []


def _decay(progress: float, settings: ScheduleSettings) -> float:
    """From 1 to 0 while `progress` goes from 0 to 1."""
    if settings.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if settings.name == "polynomial":
        return (1 - progress) ** settings.power
    return 1.0


def _milestones_passed(step: int, settings: ScheduleSettings, steps_per_epoch: float | None) -> int:
    milestones = settings.milestone_steps or tuple(_steps(each, steps_per_epoch) for each in settings.milestone_epochs)
    return bisect.bisect_right(milestones, step)


def _steps(epochs: float, steps_per_epoch: float | None) -> int:
    if not epochs:
        return 0
    if steps_per_epoch is None:
        raise ValueError("the schedule is stated in epochs: give steps_per_epoch")
    return round(epochs * steps_per_epoch)
