"""A method of a test: tells the mean colour of an image from its features, and knows of images beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.config import Settings
from scenetext.contracts import PretrainingParts, PretrainingSpec
from scenetext.data.loading.combination import TrainingSet
from scenetext.data.loading.settings import DataSettings
from scenetext.data.transforms.evaluation import WholeImageTransformSettings, whole_image_transform
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.structures import Batch, ImageRecord, PreparedSample, Sample


class MeanColourSettings(Settings):
    name: Literal["mean_colour"] = "mean_colour"
    encoder: ClipResNetSettings = ClipResNetSettings()


class Data(DataSettings):
    beside: ClassVar[tuple[str, ...]] = ("backgrounds",)
    backgrounds: tuple[TrainingSet, ...] = ()


class Report(Settings):
    images: int

    def __add__(self, other: Report) -> Report:
        return Report(images=self.images + other.images)


class Network(nn.Module):
    def __init__(self, settings: MeanColourSettings) -> None:
        super().__init__()
        self.visual = ClipResNet(settings.encoder)
        self.colour = nn.Linear(self.visual.channels[-1], 3)

    def forward(self, images: Tensor) -> Tensor:
        colours: Tensor = self.colour(self.visual(images).levels[-1].mean(dim=(2, 3)))
        return colours


class Closeness:
    def __init__(self) -> None:
        self.values: list[float] = []

    def update(self, batch: Batch, predictions: Tensor) -> None:
        self.values += predictions.tolist()

    def include(self, other: Closeness) -> None:
        self.values += other.values

    def compute(self) -> dict[str, float]:
        return {"closeness": -float(np.mean(self.values))}


class MeanColourTask(nn.Module):
    best_metric = "closeness"
    overfit_mark = -0.1
    loss_weights: ClassVar[Mapping[str, float]] = {"colour": 1.0}

    def __init__(self, settings: MeanColourSettings, transform: WholeImageTransformSettings) -> None:
        super().__init__()
        self.settings, self.transform = settings, transform
        self.network = Network(settings)

    @property
    def encoder(self) -> ClipResNet:
        return self.network.visual

    def forward(self, batch: Batch, others: Sequence[Any] = ()) -> dict[str, Tensor]:
        return {"colour": self._distance(batch).mean()}

    def _distance(self, batch: Batch) -> Tensor:
        images = batch.images.float() / 255
        return (self.network(images).float() - images.mean(dim=(2, 3))).square().mean(dim=1)

    def after_update(self) -> None:
        pass

    def after_evaluation(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        return ()

    def summary(self, batch: Batch) -> None:
        return None

    def compiled_parts(self) -> Sequence[nn.Module]:
        return (self.network.visual,)

    def predict(self, batch: Batch) -> Tensor:
        return self._distance(batch)

    def pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        return batch.named_images()

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        return PreparedSample(whole_image_transform(sample, self.transform, generator))

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        return PreparedSample(whole_image_transform(sample, self.transform, None))

    def study(self, records: Mapping[str, Sequence[ImageRecord]]) -> list[str]:
        return [f"mean_colour: {len(records['train'])} images, and {len(records['backgrounds'])} backgrounds"]

    def metric(self, records: Sequence[ImageRecord]) -> Closeness:
        return Closeness()


def make_task(parts: PretrainingParts) -> MeanColourTask:
    torch.manual_seed(0)
    return MeanColourTask(parts.run.method, parts.run.transform)


SPEC = PretrainingSpec(
    settings=MeanColourSettings,
    data=Data,
    transform=WholeImageTransformSettings,
    task=make_task,
    usable=lambda records, settings, characters, results: (records, Report(images=len(records))),
    report=lambda metrics: [f"closeness {metrics['closeness']:.3f}"],
    small={"encoder": {"layers": (1, 1, 1, 1), "width": 8}},
)
