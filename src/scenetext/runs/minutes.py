"""A run that has to end within so many minutes: its rate is measured, then its length is chosen.

A schedule that is cut off in the middle is worth little: the learning rate has not decayed yet. So the steps
are chosen beforehand, and everything that is stated in steps or epochs keeps its share of the run.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from scenetext.data.loading.loader import training_loader
from scenetext.errors import ConfigError
from scenetext.runs.settings import Run, check_run
from scenetext.training.dry_run import time_evaluation
from scenetext.training.trainer import Trainer

_FIRST_STEPS = 3
"""Steps that compile, choose kernels and claim memory, while the loader's processes start."""
_WINDOW_SHARE, _SHORTEST_WINDOW, _LONGEST_WINDOW = 0.05, 1.0, 15.0
"""Share of the whole time in which steps are timed, and its bounds in seconds: long enough for a loader that is slower
than the model to run out of the batches that it made in advance."""
_EVALUATED_IMAGES = 200
_MARGIN = 0.95
"""Share of the time that is planned for; the rest is for checkpoints and pictures."""


@dataclass(frozen=True)
class Costs:
    """What a run takes, in seconds: `start` once, `step` with the waiting for its data, `evaluation` of all images."""

    start: float
    step: float
    evaluation: float


def measure_costs(trainer: Trainer, seconds: float) -> Costs:
    """Takes training steps and evaluates; the trainer is to be built again afterwards, since it has learnt from them.

    Args:
        seconds: of the whole run; a twentieth of them is spent on timing steps.
    """
    processes, began = trainer.processes, time.monotonic()
    batches = iter(
        training_loader(
            trainer.training_data, trainer.loader, trainer.settings.seed, 0, 2**31, processes.rank, processes.count
        )
    )

    def take(steps: int) -> float:
        """Seconds a step; equally many steps in all processes, which wait for each other in each."""
        start = time.monotonic()
        for _ in range(steps):
            trainer.train_step(next(batches))
        return (time.monotonic() - start) / steps

    take(_FIRST_STEPS)
    start = time.monotonic() - began
    window = min(max(_WINDOW_SHARE * seconds, _SHORTEST_WINDOW), _LONGEST_WINDOW)
    steps = max(processes.gather(math.ceil(window / take(_FIRST_STEPS))))
    own = Costs(start, take(steps), time_evaluation(trainer, _EVALUATED_IMAGES))
    every = processes.gather(own)
    return Costs(*(max(getattr(one, name) for one in every) for name in ("start", "step", "evaluation")))


def run_within(run: Run, trainer: Trainer, minutes: float, used: float) -> tuple[Run, str]:
    """The run, stretched or shortened so that it ends within the time; and a remark on what was measured.

    Args:
        trainer: of this run; it is trained by a few steps and has to be built again.
        minutes: that the whole command may take.
        used: seconds of them that had passed before.

    Raises:
        ConfigError: the time is over before the first step could be taken.
    """
    began, seconds = time.monotonic(), 60 * minutes
    costs = measure_costs(trainer, seconds)
    evaluations = trainer.evaluations
    # Building and starting happen once more: the trainer has learnt from what was measured.
    left = seconds - 2 * used - (time.monotonic() - began) - costs.start - evaluations * costs.evaluation
    steps = math.floor(_MARGIN * left / costs.step)
    if steps < 1:
        raise ConfigError(
            f"--minutes {minutes:g} is too short: a step takes {costs.step:.3g} s, an evaluation "
            f"{costs.evaluation:.3g} s ({evaluations} of them), and starting {used + costs.start:.3g} s, twice"
        )
    remark = (
        f"{steps} steps instead of {trainer.total_steps}, to end within {minutes:g} minutes: {costs.step:.3g} s "
        f"a step with its data, {evaluations} evaluations of {costs.evaluation:.3g} s"
    )
    return with_steps(run, steps, trainer.total_steps), remark


def with_steps(run: Run, steps: int, before: int) -> Run:
    """The same run with another length; evaluations, checkpoints, warm-up and milestones keep their share of it.

    Args:
        steps, before: the run's length and what it was, in steps.
    """
    values: dict[str, Any] = run.model_dump(mode="json")
    training, schedule = values["training"], values["schedule"]
    training |= {"steps": steps, "epochs": None}
    for key in ("evaluate_every", "checkpoint_every"):
        training[key] = math.ceil(training[key] * steps / before)
    for key in ("warmup_steps", "warmup_epochs"):
        schedule[key] *= steps / before
    schedule["warmup_steps"] = round(schedule["warmup_steps"])
    schedule["milestone_epochs"] = [each * steps / before for each in schedule["milestone_epochs"]]
    schedule["milestone_steps"] = [math.ceil(each * steps / before) for each in schedule["milestone_steps"]]
    return check_run(values, f"the run with {steps} steps")
