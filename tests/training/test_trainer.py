"""The loop on a task small enough to know by hand."""

from __future__ import annotations

import errno
import json
import signal
from pathlib import Path
from typing import IO

import pytest
import torch

from brightness import BrightnessTask, draw_records, final_weights, make_trainer
from scenetext.data.loading.loader import LoaderSettings
from scenetext.errors import CheckpointError, TrainingError
from scenetext.geometry.candidates import count_cut
from scenetext.structures import Batch, ImageRecord
from scenetext.training.averaging import AveragingSettings
from scenetext.training.checkpoint import checkpoint_path, checkpoints_of, load_checkpoint
from scenetext.training.log import RunLog
from scenetext.training.settings import TrainingSettings


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    return draw_records(tmp_path / "images")


def test_training_learns_logs_and_saves(records: list[ImageRecord], tmp_path: Path) -> None:
    trainer = make_trainer(records, tmp_path / "run", steps=60, evaluate_every=20, keep_checkpoints=2)
    outcome = trainer.fit()
    assert outcome.step == 60
    assert outcome.interrupted is None
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    evaluations = [line for line in lines if line["kind"] == "evaluation"]
    assert [line["step"] for line in evaluations] == [20, 40, 60]
    assert all(line["images"] == len(records) for line in evaluations)
    assert evaluations[-1]["closeness"] > evaluations[0]["closeness"]
    training = [line for line in lines if line["kind"] == "train"]
    assert training[-1]["loss"] == pytest.approx(2 * training[-1]["squared"], rel=1e-4), "weights are applied"
    assert 0 <= training[-1]["waiting_share"] <= 1
    assert (tmp_path / "run" / "best.pt").is_file()
    assert len(list((tmp_path / "run" / "pictures" / "0").iterdir())) == 3, "one for each evaluation"
    assert len(checkpoints_of(tmp_path / "run")) == 2
    assert outcome.best == max(line["closeness"] for line in evaluations)


def test_candidates_that_were_cut_are_logged_once_an_evaluation(
    records: list[ImageRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predict = BrightnessTask.predict

    def cutting(task: BrightnessTask, batch: Batch) -> torch.Tensor:
        if not task.training:
            count_cut(7)
        return predict(task, batch)

    monkeypatch.setattr(BrightnessTask, "predict", cutting)
    make_trainer(records, tmp_path, steps=4, evaluate_every=2).fit()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    cut = [line["cut_candidates"] for line in lines if line["kind"] == "evaluation"]
    assert len(cut) == 2
    assert cut[0] == cut[1] > 0
    assert cut[0] % 7 == 0
    printed = capsys.readouterr().err
    assert printed.count("evaluation: more candidates than the detector looks at") == 2
    assert f"times: {cut[0]:.0f} of them" in printed


SMOOTH_AND_IN_PARTS = {"accumulation": 2, "averaging": AveragingSettings(decay=0.9)}


@pytest.mark.parametrize("settings", [{}, SMOOTH_AND_IN_PARTS], ids=["plain", "accumulation and averaging"])
@pytest.mark.parametrize("stop_in", [1, 5, 8, 12])
def test_interrupted_and_resumed_equals_never_stopped(
    records: list[ImageRecord], tmp_path: Path, stop_in: int, settings: dict[str, object]
) -> None:
    whole = make_trainer(records, tmp_path / "whole", **settings)
    expected = whole.fit()
    forwards = stop_in * int(str(settings.get("accumulation", 1)))
    stopped = make_trainer(records, tmp_path / "stopped", BrightnessTask(signal_at=forwards), **settings)
    outcome = stopped.fit()
    assert outcome.step == stop_in, "the step in which the signal came is finished"
    assert outcome.interrupted == "SIGTERM", "even in the last step: its evaluation is still to be done"
    assert checkpoint_path(tmp_path / "stopped", stop_in) in checkpoints_of(tmp_path / "stopped")
    resumed = make_trainer(records, tmp_path / "stopped", **settings)
    assert resumed.resume() == []
    final = resumed.fit()
    for name, value in final_weights(whole).items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name
    assert final.figures == expected.figures
    assert (final.best, final.best_step) == (expected.best, expected.best_step)


def test_interrupted_in_an_evaluation_loses_no_step(records: list[ImageRecord], tmp_path: Path) -> None:
    whole = make_trainer(records, tmp_path / "whole")
    expected = whole.fit()
    stopped = make_trainer(
        records, tmp_path / "run", BrightnessTask(signal_in_evaluation=True), evaluate_every=4, checkpoint_every=100
    )
    outcome = stopped.fit()
    assert (outcome.step, outcome.interrupted, outcome.best) == (4, "SIGTERM", None)
    resumed = make_trainer(records, tmp_path / "run")
    resumed.resume()
    assert resumed.outcome.step == 4
    assert resumed.fit().figures == expected.figures


def test_signal_handlers_are_put_back(records: list[ImageRecord], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    make_trainer(records, tmp_path / "run", steps=1).fit()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_damaged_newest_checkpoint_is_passed_over(records: list[ImageRecord], tmp_path: Path) -> None:
    expected = make_trainer(records, tmp_path / "whole")
    expected.fit()
    make_trainer(records, tmp_path / "run").fit()
    newest = checkpoints_of(tmp_path / "run")[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    resumed = make_trainer(records, tmp_path / "run")
    problems = resumed.resume()
    assert len(problems) == 1
    assert newest.name in problems[0]
    assert resumed.outcome.step < 12
    resumed.fit()
    for name, value in final_weights(expected).items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name


def test_settings_changed_since_the_checkpoint_are_reported(records: list[ImageRecord], tmp_path: Path) -> None:
    trainer = make_trainer(records, tmp_path / "run")
    trainer.description["config"] = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    trainer.fit()
    resumed = make_trainer(records, tmp_path / "run")
    resumed.description["config"] = {"a": {"b": 2, "c": [1, 2]}, "d": None}
    assert resumed.resume() == ["setting changed since the checkpoint: a.b: 1 -> 2"]


def test_another_optimiser_is_refused_by_name_or_starts_fresh(records: list[ImageRecord], tmp_path: Path) -> None:
    trainer = make_trainer(records, tmp_path / "run", steps=4)
    trainer.description["config"] = {"optimizer": {"name": "sgd"}}
    trainer.fit()
    resumed = make_trainer(records, tmp_path / "run", steps=8)
    with pytest.raises(CheckpointError, match=r"optimizer\.name: .* of sgd, not of adamw; .* --fresh-optimizer"):
        resumed.resume()
    resumed = make_trainer(records, tmp_path / "run", steps=8)
    resumed.resume(fresh_optimizer=True)
    assert not resumed.learner.optimizer.state
    for name, value in final_weights(trainer).items():
        assert torch.equal(resumed.module.state_dict()[name], value), name
    assert resumed.fit().step == 8


def test_loss_that_is_not_finite_changes_nothing_and_is_reported(
    records: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make_trainer(records, tmp_path / "run", BrightnessTask(nan_at=[1]), steps=1, evaluate_every=9)
    before = {name: value.clone() for name, value in trainer.module.named_parameters()}
    trainer.fit()
    assert all(torch.equal(value, before[name]) for name, value in trainer.module.named_parameters())
    message = capsys.readouterr().err
    assert "loss or gradient is not finite" in message
    assert any(record.path.name in message for record in records), "the images are named"


def test_a_task_hears_of_every_step_that_was_taken_and_of_evaluations(
    records: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not of micro-batches, nor of a step that was skipped; what it says of an evaluation is logged."""
    task = BrightnessTask(nan_at=[3])
    make_trainer(records, tmp_path / "run", task, steps=5, evaluate_every=5, accumulation=2).fit()
    assert task.updates == 4
    assert f"looked at {len(records)} images after 4 updates" in capsys.readouterr().err


def test_too_many_losses_that_are_not_finite_stop_the_run(records: list[ImageRecord], tmp_path: Path) -> None:
    trainer = make_trainer(
        records, tmp_path / "run", BrightnessTask(nan_at=range(3, 99)), maximum_non_finite_steps=3, steps=20
    )
    with pytest.raises(TrainingError, match="3 steps in a row"):
        trainer.fit()
    assert trainer.outcome.step == 4


def test_a_few_unreadable_images_are_skipped_and_reported(
    records: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records[3].path.write_bytes(records[3].path.read_bytes()[:60])
    outcome = make_trainer(records, tmp_path / "run", maximum_skipped_share=0.2).fit()
    assert outcome.step == 12
    message = capsys.readouterr().err
    assert message.count("skipped image:") == 1, "logged once, however often it occurs"
    assert str(records[3].path) in message
    assert "1 of 10 images could not be used" in message


def test_too_many_unreadable_images_stop_the_run_with_the_list(records: list[ImageRecord], tmp_path: Path) -> None:
    for record in records[:3]:
        record.path.write_bytes(b"")
    with pytest.raises(TrainingError, match="maximum_skipped_share") as caught:
        make_trainer(records, tmp_path / "run", maximum_skipped_share=0.2).fit()
    assert sum(str(record.path) in str(caught.value) for record in records[:3]) == 3


def test_bf16_autocast_trains_on_a_cpu(records: list[ImageRecord], tmp_path: Path) -> None:
    outcome = make_trainer(records, tmp_path / "run", precision="bf16", steps=60, evaluate_every=30).fit()
    assert outcome.figures["closeness"] > 0.5


def test_worker_processes_change_nothing(records: list[ImageRecord], tmp_path: Path) -> None:
    alone = make_trainer(records, tmp_path / "alone", steps=4)
    alone.fit()
    helped = make_trainer(records, tmp_path / "helped", steps=4)
    helped.loader = LoaderSettings(batch_size=4, workers=2)
    helped.fit()
    for name, value in final_weights(alone).items():
        assert torch.equal(value, helped.module.state_dict()[name]), name


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(
    records: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(records, tmp_path / "run", keep_checkpoints=9)
    whole_write = torch.save

    def write(content: dict[str, object], stream: IO[bytes]) -> None:
        if content["step"] in (4, 6):
            stream.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        whole_write(content, stream)

    monkeypatch.setattr(torch, "save", write)
    assert trainer.fit().step == 12
    message = capsys.readouterr().err
    assert "no checkpoint after step 6" in message
    assert "without saving it" in message
    assert [load_checkpoint(path)["step"] for path in checkpoints_of(tmp_path / "run")] == [3, 9, 12]
    assert not list((tmp_path / "run").rglob("*.partial"))


def test_a_log_that_cannot_be_written_stops_the_run_with_a_clear_message(
    records: list[ImageRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunLog, "metrics", refuse)
    with pytest.raises(CheckpointError, match="make room, then go on with --resume"):
        make_trainer(records, tmp_path / "run").fit()


def test_length_in_epochs(records: list[ImageRecord], tmp_path: Path) -> None:
    """Three times ten images, four at a time."""
    assert make_trainer(records, tmp_path / "run", steps=None, epochs=3).total_steps == 8
    with pytest.raises(ValueError, match="either steps or epochs"):
        TrainingSettings(steps=3, epochs=3, evaluate_every=1)


def test_compiled_parts_learn_the_same(records: list[ImageRecord], tmp_path: Path) -> None:
    """By their losses: a weight without effect (a bias before a normalisation) follows the rounding of its gradient."""
    losses = []
    for compiled in (False, True):
        trainer = make_trainer(records, tmp_path / f"compiled_{compiled}", steps=4, log_every=1, compile=compiled)
        trainer.fit()
        lines = (trainer.folder / "log.jsonl").read_text().splitlines()
        losses.append([line["loss"] for line in map(json.loads, lines) if line["kind"] == "train"])
    assert len(losses[0]) == 4
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
