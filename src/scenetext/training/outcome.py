"""What the evaluations of a run found: the best one, the distance from the weights it started with, how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scenetext.training.log import format_value


@dataclass
class Outcome:
    """Where a training stands, or how it ended; kept in its checkpoints.

    Attributes:
        step: finished steps.
        figures: metrics of the last evaluation, by the name that checkpoints have for them.
        best: highest value of the task's `best_metric` over the run, None before the first evaluation.
        best_step: the step that reached it; 0 = the weights that the run started with.
        evaluated_step: the step of that evaluation, -1 before the first evaluation.
        interrupted: name of the signal that ended the run early, None where it ran to its end.
        start: value of `best_metric` before the first step, None where it was not evaluated or is no number.
        evaluations_without_better: evaluations since the best one.
    """

    step: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_step: int = 0
    evaluated_step: int = -1
    interrupted: str | None = None
    start: float | None = None
    evaluations_without_better: int = 0

    def take(self, metrics: Mapping[str, float], name: str) -> bool:
        """Takes the evaluation after `step`; whether it is the best so far.

        Args:
            name: of the metric that counts, the task's `best_metric`.
        """
        self.figures, self.evaluated_step = dict(metrics), self.step
        value = metrics[name]
        is_number = math.isfinite(value)
        if self.step == 0:
            self.start = value if is_number else None
        is_best = is_number and (self.best is None or value > self.best)
        if is_best:
            self.best, self.best_step, self.evaluations_without_better = value, self.step, 0
        else:
            self.evaluations_without_better += 1
        return is_best

    def is_stalled(self, patience: int | None) -> bool:
        """Whether so many evaluations in a row were no better than the best; None = there is no limit."""
        return patience is not None and self.evaluations_without_better >= patience

    def against_start(self, name: str) -> str:
        """How far the last evaluation is above or below the start, in words; empty where there is nothing to compare.

        Args:
            name: as of `take`.
        """
        if self.start is None or self.evaluated_step <= 0:
            return ""
        difference = self.figures[name] - self.start
        if math.isnan(difference):
            return f"{name} is no number, it was {format_value(self.start)} at the start"
        if difference == 0:
            return f"{name} as at the start"
        return f"{name} {format_value(abs(difference))} {'above' if difference > 0 else 'below'} the start"

    def warning(self, name: str, best: Path) -> str | None:
        """The sentence about a run whose last weights are worse than those it started with; None for any other.

        Args:
            name: as of `take`.
            best: where the best weights are.
        """
        if self.start is None or self.figures[name] >= self.start:
            return None
        which = "those it started with" if self.best_step == 0 else f"of step {self.best_step}"
        return (
            f"warning: the run ended worse than it started: {name} {format_value(self.figures[name])} after step "
            f"{self.evaluated_step}, {format_value(self.start)} before the first step; use {best}, the best weights "
            f"({which}: {name} {format_value(self.best if self.best is not None else math.nan)}), or lower "
            "optimizer.learning_rate"
        )
