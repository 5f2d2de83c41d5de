"""The loss scaler of fp16: overflows are skipped and counted. Users are refused fp16 on a CPU; torch computes it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from brightness import draw_records, final_weights, make_trainer
from scenetext.structures import ImageRecord
from scenetext.training import learner as learner_module
from scenetext.training.averaging import AveragingSettings
from scenetext.training.trainer import Trainer

HUGE = 2.0**24
"""A loss scale with which gradients do not fit into fp16."""


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    return draw_records(tmp_path / "images")


@pytest.fixture
def _fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_module, "resolve_precision", lambda precision, device: "fp16")


def scaled_trainer(records: Sequence[ImageRecord], folder: Path, scale: float, **settings: Any) -> Trainer:
    trainer = make_trainer(records, folder, **settings)
    trainer.learner.scaler.load_state_dict({**trainer.learner.scaler.state_dict(), "scale": scale})
    return trainer


@pytest.mark.usefixtures("_fp16")
def test_overflows_are_skipped_counted_and_leave_the_log_finite(records: list[ImageRecord], tmp_path: Path) -> None:
    trainer = scaled_trainer(records, tmp_path / "run", HUGE, averaging=AveragingSettings(decay=0.9))
    moved = []
    step = trainer._step

    def watched(*arguments: Any) -> Any:
        before = final_weights(trainer)
        report = step(*arguments)
        changed = any(not torch.equal(value, before[name]) for name, value in trainer.module.named_parameters())
        moved.append((report.overflowed, report.failed, changed))
        return report

    trainer._step = watched  # type: ignore[method-assign]
    trainer.fit()
    overflows = sum(overflowed for overflowed, _, _ in moved)
    assert 0 < overflows < len(moved), "the scale came down far enough"
    assert not any(failed for _, failed, _ in moved), "an overflow is no failure"
    assert all(changed is not overflowed for overflowed, _, changed in moved), "weights move in the other steps alone"
    average = trainer.learner.average
    assert average is not None
    assert average.updates == len(moved) - overflows
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["kind"] == "train"]
    assert trained[-1]["overflows"] == overflows
    assert trained[-1]["loss_scale"] == HUGE / 2**overflows
    assert all(math.isfinite(line["loss"]) and line.get("gradient_norm", 0.0) is not None for line in trained)


def test_without_a_scaler_the_log_says_nothing_of_it(records: list[ImageRecord], tmp_path: Path) -> None:
    make_trainer(records, tmp_path / "run", steps=2).fit()
    assert "loss_scale" not in (tmp_path / "run" / "log.jsonl").read_text()


def test_a_run_in_fp16_goes_on_from_one_without_a_scaler(
    records: list[ImageRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `auto` does where a run moves from a GPU with bf16 to a V100."""
    make_trainer(records, tmp_path / "run", steps=6).fit()
    monkeypatch.setattr(learner_module, "resolve_precision", lambda precision, device: "fp16")
    resumed = make_trainer(records, tmp_path / "run")
    resumed.resume()
    assert resumed.learner.scaling()["loss_scale"] == torch.amp.GradScaler("cpu").get_scale()
    assert resumed.fit().step == 12


@pytest.mark.usefixtures("_fp16")
def test_the_scale_is_resumed(records: list[ImageRecord], tmp_path: Path) -> None:
    scaled_trainer(records, tmp_path / "run", 128.0, steps=6).fit()
    resumed = make_trainer(records, tmp_path / "run")
    resumed.resume()
    assert resumed.learner.scaling()["loss_scale"] == 128
