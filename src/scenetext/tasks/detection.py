"""Detection as a task: any encoder, any detector, the ICDAR protocol."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from scenetext.contracts import AuxiliaryLoss, DetectorSpec, Encoder, Maps, Metric
from scenetext.data.transforms.evaluation import EvaluationTransformSettings, evaluation_transform
from scenetext.data.transforms.training import TrainingTransformSettings, training_transform
from scenetext.drawing.detections import draw_detections
from scenetext.errors import DataError
from scenetext.evaluation.protocols import find_protocol
from scenetext.evaluation.sweep import DetectionEvaluator
from scenetext.layers.normalization import PixelNormalization
from scenetext.structures import Batch, Detection, ImageRecord, PreparedSample, Sample
from scenetext.tasks.auxiliary_loss import auxiliary_losses, merged_loss_weights
from scenetext.tasks.decoding import Decoder, DecodingPool
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.tasks.views import ViewMaps, make_views


@dataclass(frozen=True, slots=True, eq=False)
class UndecodedBatch:
    """The maps of every view, in host memory: what `DetectionTask.predict` gives where other processes decode."""

    views: tuple[ViewMaps, ...]


class DetectionTask(nn.Module):
    """Learns to find text polygons.

    Args:
        encoder: images to feature levels; also an `nn.Module`.
        spec, config: the detector and its settings.
        transform, evaluation_transform: how images are brought to the network in training and otherwise.
        evaluation: the scoring rule.
        augment: False prepares training images as evaluation images (for `--overfit`).
        auxiliary_loss: what the encoder adds to the detector's losses; None = nothing.
    """

    best_metric = "hmean"
    overfit_mark = 0.9

    def __init__(
        self,
        encoder: Encoder,
        spec: DetectorSpec,
        config: Any,
        transform: TrainingTransformSettings,
        evaluation_transform: EvaluationTransformSettings,
        evaluation: EvaluationSettings,
        augment: bool = True,
        auxiliary_loss: AuxiliaryLoss | None = None,
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
        self.decoder = Decoder(spec.decode, config, evaluation.merge_iou)
        self._largest_view = _enlarged(evaluation_transform, max(evaluation.scales))
        self.auxiliary_loss = auxiliary_loss
        self.loss_weights: Mapping[str, float] = merged_loss_weights(config.loss_weights.model_dump(), auxiliary_loss)

    def maps(self, images: Tensor) -> Maps:
        """The head's maps of (B, 3, H, W) uint8 images."""
        return self.head(self.encoder(self.normalization(images)))

    def forward(self, batch: Batch, others: Sequence[None] = ()) -> dict[str, Tensor]:
        """The unweighted loss terms of the detector and, where it has any, of its encoder."""
        features = self.encoder(self.normalization(batch.images))
        losses = self.spec.loss(self.head(features), batch.targets, self.config)
        added = auxiliary_losses(self.auxiliary_loss, features.side, self.spec, batch.targets, self.config.name)
        return {**losses, **added}

    def summary(self, batch: Batch) -> None:
        """Nothing: no image is compared with another."""

    def compiled_parts(self) -> Sequence[nn.Module]:
        """Encoder and head."""
        return tuple(part for part in (self.encoder, self.head) if isinstance(part, nn.Module))

    def predict(self, batch: Batch) -> list[list[Detection]] | UndecodedBatch:
        """What the metric needs: detections, or the maps of them with `evaluation.decode_workers`."""
        if self.evaluation.decode_workers:
            return UndecodedBatch(tuple(view.to_host() for view in self._view_maps(batch)))
        return self.detect(batch)

    def detect(self, batch: Batch) -> list[list[Detection]]:
        """For every image its detections in pixels of the original image."""
        return self.decoder(self._view_maps(batch), batch.metas)

    def _view_maps(self, batch: Batch) -> tuple[ViewMaps, ...]:
        views = make_views(batch.images, self.evaluation.scales, self.evaluation.flip)
        return tuple(ViewMaps(self.maps(view.images), view.to_input) for view in views)

    def pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        """Every image with its detections and their scores."""
        found = self.spec.decode(self.maps(batch.images), self.config)
        images = batch.named_images().items()
        return {name: draw_detections(image, texts) for (name, image), texts in zip(images, found, strict=True)}

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Random geometry and colour, then the detector's targets."""
        if self.augment:
            sample = training_transform(sample, self.transform, generator)
        else:
            sample = evaluation_transform(sample, self.evaluation_transform)
        return PreparedSample(sample, self.spec.targets(sample, self.config))

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """The image at the largest of its test sizes; no targets."""
        return PreparedSample(evaluation_transform(sample, self._largest_view))

    def set_test_size(self, settings: EvaluationTransformSettings) -> None:
        """Looks at images in another size from now on."""
        self.evaluation_transform = settings
        self._largest_view = _enlarged(settings, max(self.evaluation.scales))

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """Precision, recall and hmean over these records."""
        workers = self.evaluation.decode_workers
        return DetectionMetric(records, self.evaluation, DecodingPool(self.decoder, workers) if workers else None)


class DetectionMetric:
    """Scores detections against the ground truth of the records, swept over score thresholds.

    `compute` gives precision, recall and hmean at the threshold of the best hmean on these very images, that threshold,
    and what tells "broken" from "not trained yet": the number of detections, their mean and best score.
    """

    def __init__(
        self, records: Sequence[ImageRecord], settings: EvaluationSettings, pool: DecodingPool | None = None
    ) -> None:
        self._records = {record.path: record for record in records}
        self._evaluator = DetectionEvaluator(find_protocol(settings.protocol), settings.thresholds)
        self._detections: dict[Path, list[Detection]] = {}
        self._pool = pool
        self._pending: deque[tuple[Path, Future[list[Detection]]]] = deque()
        self._seen: set[Path] = set()

    def update(self, batch: Batch, predictions: Sequence[Sequence[Detection]] | UndecodedBatch) -> None:
        """Scores one batch, or has it decoded and scores what has been decoded so far.

        Raises:
            DataError: an image that is not among the records, or that was added before.
        """
        for meta in batch.metas:
            if meta.path not in self._records or meta.path in self._seen:
                raise DataError("the image is not among the records, or twice among them", meta.path)
            self._seen.add(meta.path)
        paths = [meta.path for meta in batch.metas]
        if not isinstance(predictions, UndecodedBatch):
            for path, found in zip(paths, predictions, strict=True):
                self._score(path, list(found))
            return
        if self._pool is None:
            raise TypeError("maps need a pool to decode them; the metric of the task that made them has one")
        self._pending.extend(zip(paths, self._pool.submit(predictions.views, batch.metas), strict=True))
        self._collect(self._pool.capacity)

    @property
    def evaluator(self) -> DetectionEvaluator:
        """Every image that was added, scored."""
        self._collect(0)
        return self._evaluator

    @property
    def detections(self) -> Mapping[Path, list[Detection]]:
        """What was found in every image that was added, in pixels of the original image."""
        self._collect(0)
        return self._detections

    def _collect(self, remaining: int) -> None:
        """Scores what other processes have decoded, the oldest first, until no more than so many images are left."""
        while len(self._pending) > remaining:
            path, found = self._pending.popleft()
            self._score(path, found.result())

    def _score(self, path: Path, found: list[Detection]) -> None:
        self._detections[path] = found
        self._evaluator.add(path, found, self._records[path].instances)

    def include(self, other: DetectionMetric) -> None:
        """Adds the images that another process scored.

        Raises:
            DataError: an image is in both.
        """
        self.evaluator.include(other.evaluator)
        self._detections.update(other.detections)
        self._seen |= other.detections.keys()

    def __getstate__(self) -> dict[str, Any]:
        """To be sent to another process: everything is scored, and the pool stays here."""
        self._collect(0)
        return {**self.__dict__, "_pool": None}

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


def _enlarged(settings: EvaluationTransformSettings, scale: float) -> EvaluationTransformSettings:
    """The test size times a scale."""
    sides = {"long_side": settings.long_side * scale, "short_side": settings.short_side * scale}
    return settings.model_copy(update={name: max(1, round(side)) for name, side in sides.items()})
