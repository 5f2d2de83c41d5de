"""Detection as a task: any encoder, any detector, the ICDAR protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.contracts import AuxiliaryLoss, DetectorSpec, Encoder, Maps, Metric
from scenetext.data.transforms.evaluation import EvaluationTransformSettings, evaluation_transform
from scenetext.data.transforms.training import TrainingTransformSettings, training_transform
from scenetext.drawing.detections import draw_detections
from scenetext.errors import DataError
from scenetext.evaluation.evaluator import evaluate_image
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.scores import SetCounts
from scenetext.layers.normalization import PixelNormalization
from scenetext.layers.stages import IMAGE, SEED, head_maps
from scenetext.structures import Batch, Detection, Features, ImageRecord, PreparedSample, Sample
from scenetext.tasks.auxiliary_loss import auxiliary_losses, merged_loss_weights
from scenetext.tasks.decoding import Decoder, DecodingPool, DetectionCollector, UndecodedBatch
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.tasks.views import ViewMaps, make_views


class DetectionTask(nn.Module):
    """Learns to detect text polygons.

    Args:
        encoder: images to feature levels; also an `nn.Module`.
        spec, config: the detector and its settings.
        transform, evaluation_transform: preparation of images for training and for evaluation.
        evaluation: the scoring rule.
        augment: False prepares training images as evaluation images (for `--overfit`).
        auxiliary_loss: what the encoder adds to the detector's losses; None = nothing.

    Attributes:
        autocast: what `maps` computes in, inputs of convolutions and products rounded to it; None = as the caller says.
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
        self.head = spec.head(config, head_channels(spec, encoder))
        if spec.learns is not None:
            self.requires_grad_(False)
            cast(nn.ModuleDict, self.head.later)[spec.learns].requires_grad_(True)
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
        self.autocast: torch.dtype | None = None
        self.loss_weights: Mapping[str, float] = merged_loss_weights(
            {**config.loss_weights.model_dump(), **spec.added_loss_weights}, auxiliary_loss
        )

    def maps(self, images: Tensor) -> Maps:
        """The maps of (B, 3, H, W) uint8 images that are decoded."""
        lower = self.autocast
        with nullcontext() if lower is None else torch.autocast(images.device.type, lower):
            return head_maps(self.head, self.spec, self._features(images), None, self.config)

    def forward(self, batch: Batch, others: Sequence[None] = ()) -> dict[str, Tensor]:
        """The unweighted loss terms of the detector and, where it has any, of its encoder."""
        alone = self.spec.learns is not None
        features = Features((), {IMAGE: self.normalization(batch.images)}) if alone else self._features(batch.images)
        maps = head_maps(self.head, self.spec, features, batch.targets, self.config)
        losses = self.spec.loss(maps, batch.targets, self.config)
        if alone:
            return losses
        added = auxiliary_losses(self.auxiliary_loss, features.side, self.spec, batch.targets, self.config.name)
        return {**losses, **added}

    def _features(self, images: Tensor) -> Features:
        """What the encoder makes of (B, 3, H, W) uint8 images, with what it saw."""
        normalised = self.normalization(images)
        made = self.encoder(normalised)
        return replace(made, side={**made.side, IMAGE: normalised})

    def after_update(self) -> None:
        """Nothing: no other weights follow the trained ones."""

    def after_evaluation(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Nothing beside the values."""
        return ()

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
        return PreparedSample(sample, self.targets(sample, generator))

    def targets(self, sample: Sample, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """The detector's targets, and a seed for what its stages draw."""
        made = self.spec.targets(sample, self.config)
        if self.spec.stages:
            made[SEED] = generator.integers(2**31, size=()).astype(np.int64)
        return made

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """The image at the largest of its test sizes; no targets."""
        return PreparedSample(evaluation_transform(sample, self._largest_view))

    def set_test_size(self, settings: EvaluationTransformSettings) -> None:
        """Images are evaluated at another size from now on."""
        self.evaluation_transform = settings
        self._largest_view = _enlarged(settings, max(self.evaluation.scales))

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """Precision, recall and hmean over these records."""
        return DetectionMetric(records, self.evaluation, self._decoding_pool())

    def collector(self, take: Callable[[Path, list[Detection]], None]) -> DetectionCollector:
        """Takes predictions as a metric does, and passes the detections of every image on."""
        return DetectionCollector(take, self._decoding_pool())

    def _decoding_pool(self) -> DecodingPool | None:
        workers = self.evaluation.decode_workers
        return DecodingPool(self.decoder, workers) if workers else None


class DetectionMetric:
    """Scores detections against the ground truth of the records, swept over score thresholds.

    `compute` gives precision, recall and hmean at the threshold of the best hmean on these very images, that threshold,
    and what distinguishes "broken" from "not trained yet": the number of detections, their mean and best score.

    Kept are the sums of counts and the scores of detections; records are read where an image is scored.
    """

    def __init__(
        self, records: Sequence[ImageRecord], settings: EvaluationSettings, pool: DecodingPool | None = None
    ) -> None:
        self._counts = SetCounts(find_protocol(settings.protocol), settings.thresholds)
        self._records = records
        self._index = {record.path: index for index, record in enumerate(records)}
        self._collector = DetectionCollector(self._score, pool)

    def update(self, batch: Batch, predictions: Sequence[Sequence[Detection]] | UndecodedBatch) -> None:
        """Scores one batch, or has it decoded and scores what has been decoded so far.

        Raises:
            DataError: an image that is not among the records, or that was added before.
        """
        for meta in batch.metas:
            if meta.path not in self._index:
                raise DataError("the image is not among the records", meta.path)
        self._collector.update(batch, predictions)

    def include(self, other: DetectionMetric) -> None:
        """Adds the images that another process scored.

        Raises:
            DataError: an image is in both.
        """
        self.counts.include(other.counts)

    @property
    def counts(self) -> SetCounts:
        """What was counted in all images that were added."""
        self._collector.finish()
        return self._counts

    def __reduce__(self) -> tuple[Callable[[SetCounts], DetectionMetric], tuple[SetCounts]]:
        """Pickled as what it counted, to be included and computed elsewhere; a copy takes no more images."""
        return DetectionMetric._of, (self.counts,)

    @classmethod
    def _of(cls, counts: SetCounts) -> DetectionMetric:
        metric = cls((), EvaluationSettings())
        metric._counts = counts
        return metric

    def _score(self, path: Path, found: list[Detection]) -> None:
        instances = self._records[self._index[path]].instances
        protocol, thresholds = self._counts.protocol, self._counts.thresholds
        self._counts.add(path, evaluate_image(found, instances, protocol, thresholds, path))

    def compute(self) -> dict[str, float]:
        """Values over all images added; rates in [0, 1], NaN where undefined."""
        sweep = self.counts.scores()
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


def head_channels(spec: DetectorSpec, encoder: Encoder) -> tuple[int, ...]:
    """Channels of what a head reads of an encoder: of its levels and, in front, of its stem, where it uses it."""
    stem: int | None = getattr(encoder, "stem_channels", None)
    return encoder.channels if stem is None or not spec.uses_stem else (stem, *encoder.channels)


def _enlarged(settings: EvaluationTransformSettings, scale: float) -> EvaluationTransformSettings:
    """The test size times a scale."""
    sides = {name: max(1, round(getattr(settings, name) * scale)) for name in ("long_side", "short_side")}
    greatest = None if settings.greatest_scale is None else settings.greatest_scale * scale
    return settings.model_copy(
        update={**sides, "least_scale": settings.least_scale * scale, "greatest_scale": greatest}
    )
