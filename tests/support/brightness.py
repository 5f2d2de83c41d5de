"""A task small enough to know by hand: predict an image's mean brightness."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import LoaderSettings
from scenetext.data.records.images import write_image
from scenetext.distributed import Processes
from scenetext.structures import Batch, ImageRecord, PreparedSample, Sample
from scenetext.training.optimizers import OptimizerSettings
from scenetext.training.schedules import ScheduleSettings
from scenetext.training.seed import seed_everything
from scenetext.training.settings import TrainingSettings
from scenetext.training.trainer import Trainer


class BrightnessMetric:
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
    `nan_at`: forwards whose loss is not a number. `updates`: the steps that changed the weights, so far. `follower`:
    moves toward weights after each of these, as a teacher does."""

    follower: Tensor
    best_metric = "closeness"
    overfit_mark = 0.5

    def __init__(
        self, signal_at: int | None = None, nan_at: Sequence[int] = (), signal_in_evaluation: bool = False
    ) -> None:
        super().__init__()
        self.loss_weights = {"squared": 2.0, "absolute": 0.0}
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.out = nn.Linear(4, 1)
        self.signal_at, self.nan_at, self.calls = signal_at, set(nan_at), 0
        self.signal_in_evaluation = signal_in_evaluation
        self.updates = 0
        self.register_buffer("follower", torch.zeros(1, 4))

    def predict(self, batch: Batch) -> Tensor:
        if self.signal_in_evaluation and not self.training:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.out(self.layers(batch.images.float() / 255).flatten(1))[:, 0]

    def pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        return {batch.metas[0].path.stem: np.ascontiguousarray(batch.images[0].permute(1, 2, 0).numpy())}

    def after_update(self) -> None:
        self.updates += 1
        self.follower.lerp_(self.out.weight.detach(), 0.5)

    def after_evaluation(self, metrics: Mapping[str, float]) -> list[str]:
        return [f"looked at {metrics['images']:.0f} images after {self.updates} updates"]

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


def draw_records(folder: Path) -> list[ImageRecord]:
    """Ten images of growing brightness."""
    generator = np.random.default_rng(0)
    made = []
    for index in range(10):
        path = folder / f"{index}.png"
        image = np.clip(generator.normal(25 * index, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
        write_image(path, image)
        made.append(ImageRecord(path, 16, 16, ()))
    return made


def make_trainer(
    records: Sequence[ImageRecord],
    folder: Path,
    task: BrightnessTask | None = None,
    processes: Processes | None = None,
    compare_with_start: bool = False,
    **settings: object,
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
        processes,
        compare_with_start,
    )


def final_weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trainer.module.state_dict().items()}
