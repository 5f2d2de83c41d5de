"""The learning-rate finder: what it suggests on literal losses, and that a sweep changes nothing."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from scenetext.commands.learning_rate import find_learning_rate
from scenetext.data.loading.loader import training_loader
from scenetext.data.records.images import read_image
from scenetext.errors import TrainingError
from scenetext.runs.build import build_trainer
from scenetext.runs.settings import Run
from scenetext.training.learning_rate_range import (
    HIGHEST,
    LOWEST,
    smoothed_losses,
    suggested_rate,
    sweep_learning_rates,
)
from scenetext.training.trainer import Trainer
from small_runs import make_run, make_set


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_run("detection", tmp_path, [str(make_set(tmp_path, "train", 4))], check=False)
    loader = made.loader.model_copy(update={"batch_size": 2})
    optimizer = made.optimizer.model_copy(update={"base_batch": 8})
    averaging = {"averaging": {"decay": 0.5}}
    training = made.training.__class__.model_validate({**made.training.model_dump(), **averaging})
    return made.model_copy(update={"loader": loader, "optimizer": optimizer, "training": training})


def tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    state = {"model": trainer.module.state_dict(), "average": trainer.learner.state()["average"]}
    flat = torch.utils._pytree.tree_flatten_with_path(copy.deepcopy(state))[0]
    return {str(path): value for path, value in flat if isinstance(value, torch.Tensor)}


def test_a_sweep_rises_and_leaves_everything_as_it_was(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, _ = build_trainer(run, tmp_path / "run")
    before, used = tensors(trainer), []
    update = trainer.learner.update

    def watched(overflowed: bool = False) -> None:
        used.append(trainer.learner.learning_rate)
        update(overflowed)

    monkeypatch.setattr(trainer.learner, "update", watched)
    sweep = sweep_learning_rates(trainer, 20)
    assert len(sweep.losses) >= 2
    assert sweep.rates[0] == LOWEST
    assert np.all(np.diff(sweep.rates) > 0)
    np.testing.assert_allclose(used[: len(sweep.rates)], sweep.rates * 2 / 8, err_msg="as the batch scales the rate")
    assert any(not torch.equal(value, before[name]) for name, value in _trained(run, tmp_path).items()), "it learns"
    after = tensors(trainer)
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert trainer.learner.optimizer.state_dict()["state"] == {}
    assert trainer.outcome.step == 0
    assert trainer.learner.rate_at(0) == trainer.learner.scheduled_rate(0)


def _trained(run: Run, tmp_path: Path) -> dict[str, torch.Tensor]:
    """The weights after a step of the same run, at a rate that changes them."""
    trainer, _ = build_trainer(run, tmp_path / "other")
    trainer.learner.rate_at = lambda _: 0.1
    trainer.train_step(next(iter(training_loader(trainer.training_data, trainer.loader, 0, 0, 1))))
    return tensors(trainer)


def test_picture_values_and_lines(run: Run, tmp_path: Path) -> None:
    trainer, _ = build_trainer(run, tmp_path / "run")
    lines = find_learning_rate(trainer, run, tmp_path / "run", 20)
    assert lines[-2:] == [
        f"picture: {tmp_path / 'run' / 'learning_rate.png'}",
        f"values: {tmp_path / 'run' / 'learning_rate.json'}; no checkpoint was written",
    ]
    picture = read_image(tmp_path / "run" / "learning_rate.png")
    assert picture.shape[1] > 600
    content = json.loads((tmp_path / "run" / "learning_rate.json").read_text())
    assert len(content["steps"]) <= 20
    assert ("suggestion: optimizer.learning_rate=" in lines[0]) == (content["suggestion"] is not None)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"learning_rate.png", "learning_rate.json"}


def test_a_loss_that_is_not_finite_ends_the_sweep(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, _ = build_trainer(run, tmp_path / "run")
    losses = iter([1.0] * 5 + [math.nan])
    monkeypatch.setattr(trainer, "train_step", lambda _: {"loss": next(losses)})
    sweep = sweep_learning_rates(trainer, 20)
    assert (len(sweep.losses), sweep.ended, sweep.suggestion) == (5, "a loss was not finite", None)
    with pytest.raises(TrainingError, match="needs 20 steps or more, not 5"):
        sweep_learning_rates(trainer, 5)


def test_a_loss_that_diverges_ends_the_sweep(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, _ = build_trainer(run, tmp_path / "run")
    losses = iter([1.0] * 21 + [100.0] * 19)
    monkeypatch.setattr(trainer, "train_step", lambda _: {"loss": next(losses)})
    sweep = sweep_learning_rates(trainer, 40)
    assert (len(sweep.losses), sweep.ended) == (22, "the loss diverged")


RATES = np.geomspace(LOWEST, HIGHEST, 71)
"""Ten a decade."""


@pytest.mark.parametrize(
    ("losses", "expected", "case"),
    [
        (1 / (1 + np.exp(4 * (np.log10(RATES) + 3))), 1e-3, "a sigmoid falls fastest in its middle"),
        (np.where(RATES < 1e-2, 1 / (1 + np.exp(4 * (np.log10(RATES) + 4))), 9.0), 1e-4, "what follows does not count"),
        (np.ones(71), None, "flat"),
        (np.linspace(1, 2, 71), None, "it only rises"),
        (np.linspace(1, 0.995, 71), None, "it hardly falls"),
    ],
)
def test_the_suggestion_is_where_the_loss_falls_fastest(losses: np.ndarray, expected: float | None, case: str) -> None:
    assert suggested_rate(RATES, losses) == (None if expected is None else pytest.approx(expected)), case


def test_smoothing_has_no_bias_at_its_start() -> None:
    np.testing.assert_allclose(smoothed_losses([3.0, 3.0, 3.0]), 3.0)
    np.testing.assert_allclose(smoothed_losses([1.0, 2.0]), [1.0, (0.09 * 1 + 0.1 * 2) / 0.19])
