"""The loop on a task small enough to know by hand: predict an image's mean brightness."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scenetext.data.dataset import RecordDataset
from scenetext.data.images import write_image
from scenetext.data.loader import LoaderSettings
from scenetext.errors import TrainingError
from scenetext.structures import Batch, ImageRecord, PreparedSample, Sample
from scenetext.training.checkpoint import checkpoint_path, checkpoints_of
from scenetext.training.optimizers import OptimizerSettings
from scenetext.training.schedules import ScheduleSettings
from scenetext.training.seed import seed_everything
from scenetext.training.settings import TrainingSettings
from scenetext.training.trainer import Trainer


class BrightnessMetric:
    best = "closeness"
    overfit_mark = 0.5

    def __init__(self) -> None:
        self.errors: list[float] = []

    def update(self, batch: Batch, predictions: Tensor) -> None:
        self.errors += (predictions - batch.targets["brightness"]).abs().tolist()

    def include(self, other: BrightnessMetric) -> None:
        self.errors += other.errors

    def compute(self) -> dict[str, float]:
        return {"closeness": 1 - float(np.mean(self.errors)), "images": float(len(self.errors))}


class BrightnessTask(nn.Module):
    """`signal_at`: sends this process a signal in that forward; `signal_in_evaluation`: in the first evaluation;
    `nan_at`: forwards whose loss is not a number."""

    def __init__(
        self, signal_at: int | None = None, nan_at: Sequence[int] = (), signal_in_evaluation: bool = False
    ) -> None:
        super().__init__()
        self.loss_weights = {"squared": 2.0, "absolute": 0.0}
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.out = nn.Linear(4, 1)
        self.signal_at, self.nan_at, self.calls = signal_at, set(nan_at), 0
        self.signal_in_evaluation = signal_in_evaluation

    def predict(self, batch: Batch) -> Tensor:
        if self.signal_in_evaluation and not self.training:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.out(self.layers(batch.images.float() / 255).flatten(1))[:, 0]

    def summary(self, batch: Batch) -> None:
        return None

    def compiled_parts(self) -> Sequence[nn.Module]:
        return (self.layers,)

    def forward(self, batch: Batch, others: Sequence[None] = ()) -> dict[str, Tensor]:
        self.calls += 1
        if self.calls == self.signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        difference = self.predict(batch) - batch.targets["brightness"]
        factor = float("nan") if self.calls in self.nan_at else 1.0
        return {"squared": factor * difference.square().mean(), "absolute": difference.abs().mean()}

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        noise = generator.normal(0, 0.01)
        return PreparedSample(sample, {"brightness": np.float32(sample.image.mean() / 255 + noise)[None][0]})

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        return PreparedSample(sample, {"brightness": np.float32(sample.image.mean() / 255)})

    def metric(self, records: Sequence[ImageRecord]) -> BrightnessMetric:
        return BrightnessMetric()


@dataclass
class RunSettings:
    training: TrainingSettings
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(learning_rate=0.01))
    schedule: ScheduleSettings = field(default_factory=lambda: ScheduleSettings(warmup_steps=3))
    loader: LoaderSettings = field(default_factory=lambda: LoaderSettings(batch_size=4, workers=0))


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    generator = np.random.default_rng(0)
    made = []
    for index in range(10):
        path = tmp_path / "images" / f"{index}.png"
        image = np.clip(generator.normal(25 * index, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
        write_image(path, image)
        made.append(ImageRecord(path, 16, 16, ()))
    return made


def make_trainer(
    records: list[ImageRecord], folder: Path, task: BrightnessTask | None = None, **settings: object
) -> Trainer:
    values = {"steps": 12, "evaluate_every": 4, "checkpoint_every": 3, "log_every": 2, "device": "cpu", **settings}
    task = task or BrightnessTask()
    seed_everything(0)
    task.load_state_dict(BrightnessTask().state_dict())
    return Trainer(
        task,
        RecordDataset(records, task.prepare_training, 0),
        RecordDataset(records, task.prepare_evaluation, 0),
        RunSettings(TrainingSettings(**values)),  # type: ignore[arg-type]
        folder,
        {"kind": "test", "config": {}},
    )


def final_weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trainer.module.state_dict().items()}


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
    assert len(checkpoints_of(tmp_path / "run")) == 2
    assert outcome.best == max(line["closeness"] for line in evaluations)


@pytest.mark.parametrize("stop_in", [1, 5, 8, 12])
def test_interrupted_and_resumed_equals_never_stopped(records: list[ImageRecord], tmp_path: Path, stop_in: int) -> None:
    whole = make_trainer(records, tmp_path / "whole")
    expected = whole.fit()
    stopped = make_trainer(records, tmp_path / "stopped", BrightnessTask(signal_at=stop_in))
    outcome = stopped.fit()
    assert outcome.step == stop_in, "the step in which the signal came is finished"
    assert outcome.interrupted == "SIGTERM", "even in the last step: its evaluation is still to be done"
    assert checkpoint_path(tmp_path / "stopped", stop_in) in checkpoints_of(tmp_path / "stopped")
    resumed = make_trainer(records, tmp_path / "stopped")
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


def test_settings_changed_since_the_checkpoint_are_told(records: list[ImageRecord], tmp_path: Path) -> None:
    trainer = make_trainer(records, tmp_path / "run")
    trainer.description["config"] = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    trainer.fit()
    resumed = make_trainer(records, tmp_path / "run")
    resumed.description["config"] = {"a": {"b": 2, "c": [1, 2]}, "d": None}
    assert resumed.resume() == ["setting changed since the checkpoint: a.b: 1 -> 2"]


def test_loss_that_is_not_finite_changes_nothing_and_is_told(
    records: list[ImageRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make_trainer(records, tmp_path / "run", BrightnessTask(nan_at=[1]), steps=1, evaluate_every=9)
    before = {name: value.clone() for name, value in trainer.module.named_parameters()}
    trainer.fit()
    assert all(torch.equal(value, before[name]) for name, value in trainer.module.named_parameters())
    message = capsys.readouterr().err
    assert "loss or gradient is not finite" in message
    assert any(record.path.name in message for record in records), "the images are named"


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
    assert message.count("skipped image:") == 1, "told once, however often it comes up"
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
