"""How the loss moves while the learning rate rises, and which rate that suggests.

Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3: a short training in which the learning
rate rises from far too low to far too high. Deviations: it rises exponentially, which gives every decade as many steps,
and ends early once the loss has left its range; the suggestion is the rate at which the smoothed loss falls fastest,
per decade, before its least value.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from scenetext.data.loading.loader import training_loader
from scenetext.errors import TrainingError
from scenetext.training.optimizers import scaled_learning_rate
from scenetext.training.trainer import Trainer

LOWEST, HIGHEST = 1e-7, 1.0
"""Of `optimizer.learning_rate` in a sweep."""
FEWEST_STEPS = 20
"""Of a sweep: fewer leave too few points to smooth."""
SMOOTHING = 0.9
"""Share of the mean so far in the next smoothed loss (an exponential moving average, without the bias of its start)."""
DIVERGED = 4.0
"""The sweep ends when the smoothed loss is so many times its least value."""
LEAST_FALL = 0.01
"""Share of the smoothed loss by which it has to fall for a suggestion."""
_SKIPPED_SHARE = 0.05
"""Of the first steps, which are no part of the suggestion: the smoothed loss is hardly smoothed there."""


@dataclass(frozen=True)
class LearningRateSweep:
    """What a sweep measured.

    Attributes:
        rates: (N,) float64, rising, values of `optimizer.learning_rate`.
        losses: (N,) float64, weighted loss of each step.
        smoothed: (N,) float64.
        suggestion: one of the rates; None where the loss hardly fell.
        ended: why the sweep ended before its highest rate; empty where it did not.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float | None
    ended: str = ""


def sweep_learning_rates(trainer: Trainer, steps: int, progress: bool = False) -> LearningRateSweep:
    """Trains for some steps with a rising learning rate, and puts weights and optimiser back as they were.

    Args:
        trainer: that has not trained yet; everything else about its steps is as in its run.
        steps: of the whole sweep.
        progress: show a bar on the terminal.

    Raises:
        TrainingError: too few steps, or not one of them had a finite loss.
    """
    if steps < FEWEST_STEPS:
        raise TrainingError(f"a sweep of learning rates needs {FEWEST_STEPS} steps or more, not {steps}")
    learner, rates = trainer.learner, np.geomspace(LOWEST, HIGHEST, steps)
    settings = learner.optimizer_settings
    config = {"optimizer": {"name": settings.name}}
    before = copy.deepcopy({"config": config, "model": learner.module.state_dict(), **learner.state()})
    scale = scaled_learning_rate(settings, learner.batch_size) / settings.learning_rate
    learner.rate_at = lambda step: float(rates[step]) * scale
    try:
        losses, ended = _losses(trainer, steps, progress)
    finally:
        learner.rate_at = learner.scheduled_rate
        learner.load_state(before, trainer.folder)
        trainer.outcome.step = 0
    if not losses:
        raise TrainingError(f"the first step of the sweep, at a learning rate of {LOWEST:g}, has no finite loss")
    smoothed = smoothed_losses(losses)
    tried = rates[: len(losses)]
    return LearningRateSweep(tried, np.array(losses), smoothed, suggested_rate(tried, smoothed), ended)


def smoothed_losses(losses: Sequence[float]) -> np.ndarray:
    """(N,) float64: exponential moving averages, each divided by the sum of its weights (Kingma and Ba 2015)."""
    mean, made = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        made.append(mean / (1 - SMOOTHING**count))
    return np.array(made)


def suggested_rate(rates: np.ndarray, smoothed: np.ndarray) -> float | None:
    """The rate at which the smoothed loss falls fastest per decade, before its least value; None where it hardly falls.

    Args:
        rates, smoothed: (N,) of a sweep.
    """
    first = math.ceil(_SKIPPED_SHARE * len(rates))
    last = first + int(np.argmin(smoothed[first:]))
    if last - first < 2 or smoothed[first] - smoothed[last] < LEAST_FALL * abs(smoothed[first]):
        return None
    slopes = np.gradient(smoothed[first : last + 1], np.log10(rates[first : last + 1]))
    return float(rates[first + int(np.argmin(slopes))])


def _losses(trainer: Trainer, steps: int, progress: bool) -> tuple[list[float], str]:
    """The loss of every step until the last, or until it diverges; and what ended the sweep early."""
    processes = trainer.processes
    batches = training_loader(
        *(trainer.training_data, trainer.loader, trainer.settings.seed, 0, steps, processes.rank, processes.count),
        pin_memory=trainer.device.type == "cuda",
    )
    losses: list[float] = []
    for batch in tqdm(batches, desc="learning rates", total=steps, unit="step", disable=None if progress else True):
        loss = trainer.train_step(batch)["loss"]
        trainer.outcome.step += 1
        if not math.isfinite(loss):
            return losses, "a loss was not finite"
        losses.append(loss)
        smoothed = smoothed_losses(losses)
        if len(losses) > FEWEST_STEPS and smoothed[-1] > DIVERGED * smoothed.min():
            return losses, "the loss diverged"
    return losses, ""
