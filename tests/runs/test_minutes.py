"""A run's length from the time that it may take."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scenetext.errors import ConfigError
from scenetext.runs import minutes
from scenetext.runs.build import build_trainer
from scenetext.runs.minutes import Costs, measure_costs, run_within, with_steps
from scenetext.runs.settings import Run, check_run
from small_runs import make_run, make_set


def small_run(folder: Path) -> Run:
    return make_run("detection", folder, [str(make_set(folder, "train", 8))])


def test_everything_keeps_its_share_of_the_run(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    values = run.model_dump(mode="json")
    values["training"] |= {"steps": 1000, "epochs": None, "evaluate_every": 250, "checkpoint_every": 500}
    values["schedule"] |= {"name": "multi_step", "warmup_steps": 50, "milestone_steps": [400, 800]}
    longer = with_steps(check_run(values, "test"), 3000, 1000)
    training, schedule = longer.training, longer.schedule
    assert (training.steps, training.epochs, training.evaluate_every, training.checkpoint_every) == (
        *(3000, None),
        *(750, 1500),
    )
    assert (schedule.warmup_steps, schedule.milestone_steps) == (150, (1200, 2400))
    shorter = with_steps(check_run(values, "test"), 3, 1000)
    assert (shorter.training.evaluate_every, shorter.schedule.milestone_steps) == (1, (2, 3))
    assert shorter.schedule.warmup_steps == 0
    assert longer.loader == run.loader, "nothing else changes"


def test_epochs_become_steps_and_keep_their_share(tmp_path: Path) -> None:
    values = small_run(tmp_path).model_dump(mode="json")
    values["training"] |= {"epochs": 100, "evaluate_every": 20}
    values["schedule"] |= {"name": "multi_step", "warmup_epochs": 10, "milestone_epochs": [50.0]}
    half = with_steps(check_run(values, "test"), 100, 200)  # 8 images, 4 a step: 100 epochs are 200 steps
    assert (half.training.steps, half.training.evaluate_every) == (100, 10)
    assert (half.schedule.warmup_epochs, half.schedule.milestone_epochs) == (5, (25,))


def test_planned_time_is_within_what_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run(tmp_path)  # 6 steps, evaluations every 5: two of them
    trainer, _ = build_trainer(run, tmp_path / "run")
    monkeypatch.setattr(minutes, "measure_costs", lambda *_: Costs(start=5, step=0.1, evaluation=10))
    longer, remark = run_within(run, trainer, 2, used=15)
    assert longer.training.steps == pytest.approx(0.95 * (120 - 30 - 5 - 20) / 0.1, abs=1)
    assert "to end within 2 minutes" in remark
    assert -(-longer.training.steps // longer.training.evaluate_every) == 2
    with pytest.raises(ConfigError, match=r"--minutes 0\.5 is too short: a step takes 0\.1 s"):
        run_within(run, trainer, 0.5, used=15)


def test_costs_are_those_of_steps_with_their_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run(tmp_path)
    trainer, _ = build_trainer(run, tmp_path / "run")
    step = trainer.train_step

    def slow_step(batch: object) -> dict[str, float]:
        time.sleep(0.05)
        return step(batch)

    monkeypatch.setattr(trainer, "train_step", slow_step)
    costs = measure_costs(trainer, 1)
    assert 0.05 < costs.step < 2
    assert costs.start > 3 * 0.05
    assert costs.evaluation > 0
