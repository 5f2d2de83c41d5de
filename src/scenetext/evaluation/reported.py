"""The three scores that are quoted for one model, told apart by how their score threshold was chosen."""

from __future__ import annotations

from dataclasses import dataclass

from scenetext.evaluation.scores import ThresholdScore
from scenetext.evaluation.sweep import SweepScores


@dataclass(frozen=True, slots=True)
class ReportedScores:
    """A test set at three thresholds.

    Attributes:
        fixed: at the threshold of the config, known before anything was measured.
        chosen: at the threshold of the best hmean on another set; None where no other set was given.
        best: at the threshold of the best hmean on the test set itself, as much of the published work quotes it. It was
            chosen on what it is measured on: not to be compared with the other two.
        chosen_on: what that other set is called.
    """

    fixed: ThresholdScore
    chosen: ThresholdScore | None
    best: ThresholdScore
    chosen_on: str = ""

    @property
    def honest(self) -> ThresholdScore:
        """The one to quote: chosen on another set where there is one, else fixed."""
        return self.fixed if self.chosen is None else self.chosen

    def named(self) -> dict[str, tuple[str, ThresholdScore]]:
        """By key: what each is called in tables, and its counts."""
        scores = {"at_config_threshold": ("threshold of the config", self.fixed)}
        if self.chosen is not None:
            scores["at_chosen_threshold"] = (f"threshold chosen on {self.chosen_on}", self.chosen)
        scores["best_on_this_set"] = ("best on this set (threshold chosen on the test images)", self.best)
        return scores


def reported_scores(
    sweep: SweepScores, threshold: float, other: SweepScores | None = None, other_name: str = ""
) -> ReportedScores:
    """The scores of a test set.

    Args:
        sweep: of the test set; `threshold` and the best one of `other` are among its thresholds.
        other: the sweep over another set by the same rule, to choose a threshold on.

    Raises:
        ConfigError: a threshold was not tried.
    """
    chosen = None if other is None else sweep.at(other.best.threshold)
    return ReportedScores(sweep.at(threshold), chosen, sweep.best, other_name)
