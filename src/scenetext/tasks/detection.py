"""Detection as a task: any encoder, any detector, the ICDAR protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from scenetext.config import Settings
from scenetext.contracts import DetectorSpec, Encoder, Maps, Metric
from scenetext.data.training_transform import TrainingTransformSettings, training_transform
from scenetext.data.transforms import EvaluationTransformSettings, evaluation_transform
from scenetext.drawing.detections import draw_detections
from scenetext.errors import DataError
from scenetext.evaluation.protocols import find_protocol
from scenetext.evaluation.sweep import DEFAULT_THRESHOLDS, DetectionEvaluator
from scenetext.geometry.polygon import transform_polygon
from scenetext.layers.normalization import PixelNormalization
from scenetext.structures import Batch, Detection, ImageMeta, ImageRecord, PreparedSample, Sample
from scenetext.tasks.photographs import named_photographs


class EvaluationSettings(Settings):
    """By which rule detections are scored."""

    protocol: str = "ic15"
    """Name of a rule in `scenetext.evaluation.protocols`."""
    thresholds: tuple[float, ...] = DEFAULT_THRESHOLDS
    """Score thresholds that are tried; the best hmean is reported with its threshold."""


class DetectionTask(nn.Module):
    """Learns to find text polygons.

    Args:
        encoder: images to feature levels; also an `nn.Module`.
        spec, config: the detector and its settings.
        transform, evaluation_transform: how images are brought to the network in training and otherwise.
        evaluation: the scoring rule.
        augment: False prepares training images as evaluation images (for `--overfit`).
    """

    def __init__(
        self,
        encoder: Encoder,
        spec: DetectorSpec,
        config: Any,
        transform: TrainingTransformSettings,
        evaluation_transform: EvaluationTransformSettings,
        evaluation: EvaluationSettings,
        augment: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = spec.head(config, encoder.channels)
        self.normalization = PixelNormalization(encoder.pixel_mean, encoder.pixel_std)
        self.spec = spec
        self.config = config
        self.transform = transform
        self.evaluation_transform = evaluation_transform
        self.evaluation = evaluation
        self.augment = augment
        self.loss_weights: Mapping[str, float] = config.loss_weights.model_dump()

    def maps(self, images: Tensor) -> Maps:
        """The head's maps of (B, 3, H, W) uint8 images."""
        return self.head(self.encoder(self.normalization(images)))

    def forward(self, batch: Batch, others: Sequence[None] = ()) -> dict[str, Tensor]:
        """The detector's unweighted loss terms."""
        return self.spec.loss(self.maps(batch.images), batch.targets, self.config)

    def summary(self, batch: Batch) -> None:
        """Nothing: no image is compared with another."""

    def compiled_parts(self) -> Sequence[nn.Module]:
        """Encoder and head."""
        return tuple(part for part in (self.encoder, self.head) if isinstance(part, nn.Module))

    def predict(self, batch: Batch) -> list[list[Detection]]:
        """For every image its detections in pixels of the original image."""
        found = self.spec.decode(self.maps(batch.images), self.config)
        return [to_original(detections, meta) for detections, meta in zip(found, batch.metas, strict=True)]

    def pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        """Every image with its detections and their scores."""
        found = self.spec.decode(self.maps(batch.images), self.config)
        photographs = named_photographs(batch).items()
        return {
            name: draw_detections(photograph, detections)
            for (name, photograph), detections in zip(photographs, found, strict=True)
        }

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Random geometry and colour, then the detector's targets."""
        if self.augment:
            sample = training_transform(sample, self.transform, generator)
        else:
            sample = evaluation_transform(sample, self.evaluation_transform)
        return PreparedSample(sample, self.spec.targets(sample, self.config))

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """The image at its test size; no targets."""
        return PreparedSample(evaluation_transform(sample, self.evaluation_transform))

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """Precision, recall and hmean over these records."""
        return DetectionMetric(records, self.evaluation)


def to_original(detections: Sequence[Detection], meta: ImageMeta) -> list[Detection]:
    """Detections in input pixels as detections in pixels of the original image, cut at its border."""
    height, width = meta.original_size
    limit = np.array([width, height], dtype=np.float32)
    return [
        Detection(transform_polygon(found.polygon, meta.to_original).clip(0, limit), found.score)
        for found in detections
    ]


class DetectionMetric:
    """Scores detections against the ground truth of the records, swept over score thresholds.

    `compute` gives precision, recall and hmean at the threshold of the best hmean on these very images, that threshold,
    and what tells "broken" from "not trained yet": the number of detections, their mean and best score.
    """

    best = "hmean"
    overfit_mark = 0.9

    def __init__(self, records: Sequence[ImageRecord], settings: EvaluationSettings) -> None:
        self._records = {record.path: record for record in records}
        self.evaluator = DetectionEvaluator(find_protocol(settings.protocol), settings.thresholds)
        self.detections: dict[Path, list[Detection]] = {}

    def update(self, batch: Batch, predictions: Sequence[Sequence[Detection]]) -> None:
        """Scores one batch.

        Raises:
            DataError: an image that is not among the records, or that was scored before.
        """
        for meta, found in zip(batch.metas, predictions, strict=True):
            if meta.path not in self._records or meta.path in self.detections:
                raise DataError("the image is not among the records, or twice among them", meta.path)
            self.detections[meta.path] = list(found)
            self.evaluator.add(meta.path, found, self._records[meta.path].instances)

    def include(self, other: DetectionMetric) -> None:
        """Adds the images that another process scored.

        Raises:
            DataError: an image is in both.
        """
        self.evaluator.include(other.evaluator)
        self.detections.update(other.detections)

    def compute(self) -> dict[str, float]:
        """Figures over all images added; rates in [0, 1], NaN where undefined."""
        sweep = self.evaluator.scores()
        best = sweep.best
        return {
            "hmean": best.hmean,
            "precision": best.precision,
            "recall": best.recall,
            "threshold": best.threshold,
            "detections": float(sweep.detections),
            "mean_score": sweep.mean_score,
            "best_score": sweep.best_score,
        }
