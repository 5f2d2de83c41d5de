"""The loop in several processes: the same numbers, one will, and no waiting without a limit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from brightness import BrightnessTask, draw_records, final_weights, make_trainer
from processes import in_processes
from scenetext.distributed import Processes
from scenetext.errors import ConfigError, TrainingError
from scenetext.structures import Batch, ImageRecord
from scenetext.training.checkpoint import checkpoints_of

HELD: dict[str, Any] = {"batch_norm": "frozen", "evaluate_every": 6}
"""Batch norms that do not look at the batch, so that it does not matter how it is spread."""


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    return draw_records(tmp_path / "images")


def whole_run(processes: Processes, records: Sequence[ImageRecord], folder: Path) -> tuple[dict[str, Tensor], Any]:
    trainer = make_trainer(records, folder, processes=processes, **HELD)
    outcome = trainer.fit()
    return final_weights(trainer), vars(outcome)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_learn_and_measure_what_one_does(records: list[ImageRecord], tmp_path: Path, count: int) -> None:
    """Ten images in batches of four: no number of processes here divides the evaluation evenly."""
    expected_weights, expected = whole_run(Processes(), records, tmp_path / "one")
    results = in_processes(whole_run, count, tmp_path / "results", records, tmp_path / "several")
    for weights, outcome in results:
        assert outcome["figures"] == pytest.approx(expected["figures"], rel=1e-4)
        assert outcome["figures"]["images"] == len(records), "each image once"
        for name, value in weights.items():
            torch.testing.assert_close(value, expected_weights[name], rtol=1e-4, atol=1e-6, msg=name)
            assert torch.equal(value, results[0][0][name]), "all processes have the same weights"
    assert len((tmp_path / "several" / "log.jsonl").read_text().splitlines()) == 8, "only one process logs"


def stopped_and_resumed(
    processes: Processes, records: Sequence[ImageRecord], folder: Path, stop_in: int
) -> tuple[Any, Any, dict[str, Tensor]]:
    """Process 1 alone gets the signal."""
    task = BrightnessTask(signal_at=stop_in if processes.rank == 1 else None)
    stopped = make_trainer(records, folder, task, processes, compare_with_start=True).fit()
    resumed = make_trainer(records, folder, processes=processes, compare_with_start=True)
    remarks = resumed.resume()
    outcome = resumed.fit()
    return vars(stopped), (remarks, vars(outcome)), final_weights(resumed)


def never_stopped(processes: Processes, records: Sequence[ImageRecord], folder: Path) -> tuple[Any, dict[str, Tensor]]:
    trainer = make_trainer(records, folder, processes=processes, compare_with_start=True)
    return vars(trainer.fit()), final_weights(trainer)


def test_a_signal_to_one_process_stops_all_and_resuming_gives_the_same_bits(
    records: list[ImageRecord], tmp_path: Path
) -> None:
    whole = in_processes(never_stopped, 2, tmp_path / "a", records, tmp_path / "whole")
    results = in_processes(stopped_and_resumed, 2, tmp_path / "b", records, tmp_path / "stopped", 5)
    for stopped, _, _ in results:
        assert (stopped["step"], stopped["interrupted"]) == (5, "SIGTERM")
    remarks, outcome = results[0][1]
    assert remarks == []
    assert outcome == whole[0][0] == whole[1][0]
    assert outcome["start"] is not None, "evaluated before the first step, and kept"
    for name, value in results[0][2].items():
        assert torch.equal(value, whole[0][1][name]), name


def skipping_run(processes: Processes, records: Sequence[ImageRecord], folder: Path) -> dict[Path, str]:
    trainer = make_trainer(records, folder, processes=processes, maximum_skipped_share=0.2)
    trainer.fit()
    return trainer.skipped.reasons


def test_an_unreadable_image_is_counted_once_by_all(records: list[ImageRecord], tmp_path: Path) -> None:
    records[3].path.write_bytes(b"")
    for reasons in in_processes(skipping_run, 2, tmp_path / "results", records, tmp_path / "run"):
        assert list(reasons) == [records[3].path]


def failing_loss(processes: Processes, records: Sequence[ImageRecord], folder: Path) -> dict[str, Tensor]:
    """In process 1 alone the loss of the first two steps is not a number."""
    task = BrightnessTask(nan_at=(1, 2) if processes.rank == 1 else ())
    trainer = make_trainer(records, folder, task, processes, steps=2, evaluate_every=9)
    before = final_weights(trainer)
    trainer.fit()
    return {name: value - before[name] for name, value in final_weights(trainer).items()}


def test_a_loss_that_is_not_finite_in_one_process_changes_no_weight(records: list[ImageRecord], tmp_path: Path) -> None:
    for changes in in_processes(failing_loss, 2, tmp_path / "results", records, tmp_path / "run"):
        assert not any(change.any() for change in changes.values()), "running statistics stay too"


class StuckTask(BrightnessTask):
    """Never comes back from its second step."""

    def forward(self, batch: Batch, others: Sequence[None] = ()) -> dict[str, Tensor]:
        if self.calls == 1:
            time.sleep(15)
        return super().forward(batch, others)


class DyingTask(BrightnessTask):
    """Its process is gone in its second step."""

    def forward(self, batch: Batch, others: Sequence[None] = ()) -> dict[str, Tensor]:
        if self.calls == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(batch, others)


def run_beside(processes: Processes, kind: type[BrightnessTask], records: Sequence[ImageRecord], folder: Path) -> float:
    make_trainer(records, folder, kind() if processes.rank == 1 else BrightnessTask(), processes).fit()
    return 0.0


@pytest.mark.slow
def test_a_stuck_process_takes_the_run_down_within_the_timeout_and_is_named(
    records: list[ImageRecord], tmp_path: Path
) -> None:
    began = time.monotonic()
    waiting, _ = in_processes(run_beside, 2, tmp_path / "results", StuckTask, records, tmp_path / "run", timeout=4)
    assert isinstance(waiting, TrainingError)
    assert "process 0 of 2 waited" in str(waiting)
    assert "1" in str(waiting).partition("in vain:")[2], "the missing process is named"
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_process_that_dies_takes_the_run_down(records: list[ImageRecord], tmp_path: Path) -> None:
    results = tmp_path / "results"
    with pytest.raises(FileNotFoundError, match=r"1\.pt"):
        in_processes(run_beside, 2, results, DyingTask, records, tmp_path / "run", timeout=20)
    survivor = torch.load(results / "0.pt", weights_only=False)
    assert isinstance(survivor, TrainingError)
    assert checkpoints_of(tmp_path / "run") == []


@pytest.mark.parametrize(("count", "parts"), [(3, 1), (2, 4), (1, 3)])
def test_batches_that_cannot_be_divided_are_refused(
    records: list[ImageRecord], tmp_path: Path, count: int, parts: int
) -> None:
    with pytest.raises(ConfigError, match="cannot be divided evenly"):
        make_trainer(records, tmp_path / "run", processes=Processes(0, count), accumulation=parts)
