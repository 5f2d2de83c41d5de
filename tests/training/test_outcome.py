"""Runs that start from trained weights are compared with them, and runs that stall can end early."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from brightness import BrightnessMetric, BrightnessTask, draw_records, final_weights, make_trainer
from scenetext.structures import ImageRecord
from scenetext.training.checkpoint import checkpoints_of, load_checkpoint
from scenetext.training.outcome import Outcome
from scenetext.training.trainer import Trainer


class ScriptedMetric(BrightnessMetric):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def compute(self) -> dict[str, float]:
        return {**super().compute(), "closeness": self.value}


class ScriptedTask(BrightnessTask):
    """Its evaluations find these values, one after the other."""

    def __init__(self, *values: float, signal_at: int | None = None) -> None:
        super().__init__(signal_at=signal_at)
        self.values = list(values)

    def metric(self, records: Sequence[ImageRecord]) -> ScriptedMetric:
        return ScriptedMetric(self.values.pop(0))


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    return draw_records(tmp_path / "images")


def started(records: Sequence[ImageRecord], folder: Path, task: BrightnessTask, **settings: Any) -> Trainer:
    """Twelve steps, evaluated before the first and after every fourth."""
    return make_trainer(records, folder, task, compare_with_start=True, pictures=0, **settings)


def evaluated_steps(folder: Path) -> list[int]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["step"] for line in lines if line["kind"] == "evaluation"]


def test_every_evaluation_is_compared_with_the_start(
    records: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = started(records, tmp_path / "run", ScriptedTask(0.5, 0.375, 0.75, 0.5)).fit()
    assert evaluated_steps(tmp_path / "run") == [0, 4, 8, 12]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("evaluation ")]
    endings = [line.partition("; ")[2] for line in lines]
    assert endings == [
        *("", "closeness 0.125 below the start", "closeness 0.25 above the start", "closeness as at the start")
    ]
    assert (outcome.start, outcome.best, outcome.best_step) == (0.5, 0.75, 8)
    assert outcome.warning("closeness", Path("best.pt")) is None


def test_a_run_without_trained_weights_has_no_evaluation_before_its_first_step(
    records: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = make_trainer(records, tmp_path / "run", steps=4).fit()
    assert evaluated_steps(tmp_path / "run") == [4]
    assert outcome.start is None
    assert "the start" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "best_step", "which"),
    [((0.5, 0.4, 0.3, 0.2), 0, "those it started with: closeness 0.5"), ((0.5, 0.6, 0.3, 0.2), 4, "of step 4:")],
    ids=["never better", "better in between"],
)
def test_the_best_weights_of_a_run_that_ends_worse_are_kept_and_named(
    records: list[ImageRecord], tmp_path: Path, values: tuple[float, ...], best_step: int, which: str
) -> None:
    trainer = started(records, tmp_path / "run", ScriptedTask(*values))
    before = final_weights(trainer)
    outcome = trainer.fit()
    warning = outcome.warning("closeness", tmp_path / "run" / "best.pt")
    assert warning is not None
    assert "worse than it started: closeness 0.2 after step 12, 0.5 before the first step" in warning
    assert f"use {tmp_path / 'run' / 'best.pt'}" in warning
    assert which in warning
    best = load_checkpoint(tmp_path / "run" / "best.pt")
    assert best["step"] == best_step
    is_start = all(torch.equal(best["model"][name], value) for name, value in before.items())
    assert is_start == (best_step == 0)


def test_values_that_are_no_numbers() -> None:
    outcome = Outcome()
    assert outcome.take({"hmean": 0.5}, "hmean")
    outcome.step = 4
    assert not outcome.take({"hmean": math.nan}, "hmean")
    assert outcome.against_start("hmean") == "hmean is no number, it was 0.5 at the start"
    assert "worse" in str(outcome.warning("hmean", Path("best.pt")))
    assert outcome.is_stalled(1)
    unknown = Outcome()
    assert not unknown.take({"hmean": math.nan}, "hmean")
    unknown.step = 4
    assert unknown.take({"hmean": 0.1}, "hmean"), "anything is better than no number"
    assert unknown.against_start("hmean") == ""
    assert unknown.warning("hmean", Path("best.pt")) is None


@pytest.mark.parametrize("where", ["training", "first evaluation"])
def test_a_resumed_run_still_knows_its_start(records: list[ImageRecord], tmp_path: Path, where: str) -> None:
    expected = started(records, tmp_path / "whole", BrightnessTask()).fit()
    in_training = where == "training"
    task = BrightnessTask(signal_at=5) if in_training else BrightnessTask(signal_in_evaluation=True)
    stopped = started(records, tmp_path / "run", task).fit()
    assert stopped.interrupted == "SIGTERM"
    assert (stopped.step, stopped.start is not None) == ((5, True) if in_training else (0, False))
    resumed = started(records, tmp_path / "run", BrightnessTask())
    resumed.resume()
    final = resumed.fit()
    assert final == expected
    assert evaluated_steps(tmp_path / "run") == [0, 4, 8, 12], "the start is evaluated once"


def test_patience_ends_a_run_that_gets_no_better(
    records: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal is not better; a better value starts the count again."""
    task = ScriptedTask(0.5, 0.4, 0.6, 0.6, 0.1)
    outcome = started(records, tmp_path / "run", task, steps=40, patience=2).fit()
    assert (outcome.step, outcome.best_step, outcome.interrupted) == (16, 8, None)
    assert "no better closeness in 2 evaluations: the run ends after step 16 of 40" in capsys.readouterr().err
    assert checkpoints_of(tmp_path / "run")[-1].stem == "step_00000016"
    again = started(records, tmp_path / "run", ScriptedTask(), steps=40, patience=2)
    again.resume()
    assert again.fit().step == 16, "it has ended"
    longer = started(records, tmp_path / "run", ScriptedTask(0.3, 0.3), steps=40, patience=4)
    longer.resume()
    assert longer.fit().step == 24


def test_patience_is_off_by_default(records: list[ImageRecord], tmp_path: Path) -> None:
    assert started(records, tmp_path / "run", ScriptedTask(0.5, *[0.1] * 6), steps=24).fit().step == 24


def test_patience_counts_over_an_interruption(records: list[ImageRecord], tmp_path: Path) -> None:
    stopped = started(records, tmp_path / "run", ScriptedTask(0.5, 0.4, signal_at=5), steps=40, patience=2).fit()
    assert (stopped.step, stopped.evaluations_without_better) == (5, 1)
    resumed = started(records, tmp_path / "run", ScriptedTask(0.3), steps=40, patience=2)
    resumed.resume()
    assert resumed.fit().step == 8
