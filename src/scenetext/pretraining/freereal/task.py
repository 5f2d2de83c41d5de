"""FreeReal as a task over a detector's own: a student on mixed images, and its moving average, which labels them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.contracts import Metric, PretrainingParts
from scenetext.data.loading.dataset import collate
from scenetext.data.transforms.camera import capture, compress, decompress
from scenetext.drawing.detections import draw_instances
from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.named_rules import find_protocol
from scenetext.layers.moving_average import move_averages, moving_tensors
from scenetext.pretraining.freereal.config import FreeRealSettings
from scenetext.pretraining.freereal.glyphs import paste_glyphs
from scenetext.pretraining.freereal.mixing import mix_with_partners
from scenetext.pretraining.freereal.monitoring import (
    COUNTED,
    SOUND_PRECISION,
    FreeRealMetric,
    count_pseudo_labels,
    signs_of_collapse,
)
from scenetext.pretraining.freereal.preparation import (
    LAYER,
    SEED,
    STRONG,
    TRUTH,
    WORDS,
    prepare_mixture,
    unpack_instances,
)
from scenetext.pretraining.freereal.pseudo_labels import pseudo_instances
from scenetext.structures import Batch, Detection, ImageRecord, PreparedSample, Sample, TextInstance

TEACHER = "teacher."
"""Prefix of the teacher's weights; the student's have the names of a detector's training."""
PICTURED = 2
"""Mixed images of the last step that are drawn at an evaluation."""
REPORTED = ("hmean", "precision", "recall", "student_hmean", "pseudo_precision", "pseudo_recall", "pseudo_texts")
_LOOKED_AT = 10_000
"""Unlabelled images whose records are looked through for labels."""


def make_task(parts: PretrainingParts) -> FreeRealTask:
    """The task of a run.

    Raises:
        ConfigError: settings that contradict a teacher.
    """
    run = parts.run
    if run.training.averaging is not None:
        raise ConfigError("training.averaging: the teacher is an average of the weights already; set it to null")
    if not parts.augment:
        raise ConfigError(
            "--overfit: a teacher has nothing to add where all labels are known; train the detector alone"
        )
    return FreeRealTask(run.method, parts.detection)


def detector_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a detector's run starts from: the teacher's weights, by the names of a detector's task."""
    return {name.removeprefix(TEACHER): value for name, value in weights.items() if name.startswith(TEACHER)}


def weights_from_detector(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A detector's weights as those of a student and an equal teacher that have not begun."""
    return {**weights, **{TEACHER + name: value for name, value in weights.items()}, **_progress()}


class FreeRealTask(nn.Module):
    """Learns a detector from glyphs on unlabelled images, and from what its moving average detects in these.

    The student has the names of a detector's training (`encoder`, `head`), so that settings that name parts of it mean
    the same; the teacher is a whole task of the same kind, in evaluation mode, without gradients. Nothing random is
    drawn in the step itself but from seeds of the samples.

    Args:
        settings: the method.
        detection: the task of the detector, with whatever weights; the teacher starts as a copy.
    """

    best_metric = "hmean"
    overfit_mark = 0.9
    encoder: Any
    pseudo_counts: Tensor
    first_pseudo_texts: Tensor
    teacher_started: Tensor

    def __init__(self, settings: FreeRealSettings, detection: Any) -> None:
        super().__init__()
        self.settings = settings
        self._student = (detection,)  # a tuple is no module: its parts are registered under their own names
        for name, child in detection.named_children():
            self.add_module(name, child)
        self.teacher = copy.deepcopy(detection).requires_grad_(False).eval()
        thresholds = detection.evaluation.thresholds
        self.teacher.evaluation = detection.evaluation.model_copy(
            update={"thresholds": tuple(sorted({*thresholds, settings.sure}))}
        )
        self.loss_weights: Mapping[str, float] = detection.loss_weights
        self._pseudo_config = _with_lower_threshold(detection.config, settings.unsure)
        self._protocol = find_protocol(detection.evaluation.protocol)
        self._has_teacher = False
        self._last_mixed: list[Sample] = []
        for name, value in _progress().items():
            self.register_buffer(name, value)

    @property
    def student(self) -> Any:
        """The detector's own task, on the weights that learn."""
        return self._student[0]

    def train(self, mode: bool = True) -> FreeRealTask:
        """Training mode for the student alone."""
        super().train(mode)
        self.student.training = mode
        self.teacher.eval()
        return self

    def study(self, records: Mapping[str, Sequence[ImageRecord]]) -> list[str]:
        """What there is to learn from without labels, and that labels of it are not learnt from.

        Raises:
            DataError: there is nothing.
        """
        unlabelled = records.get("unlabelled", ())
        if len(unlabelled) < 2:
            raise DataError("data.unlabelled: names less than two images; those of a batch are mixed with each other")
        looked_at = min(len(unlabelled), _LOOKED_AT)
        labelled = sum(bool(unlabelled[index].instances) for index in range(looked_at))
        remarks = [f"unlabelled: {len(unlabelled)} images"]
        if labelled:
            remarks.append(
                f"unlabelled: {labelled} of {looked_at} images have text in their records; it is not learnt from, only "
                "compared with pseudo labels"
            )
        return remarks

    def forward(self, batch: Batch, others: Sequence[None] = ()) -> dict[str, Tensor]:
        """The unweighted loss terms of the detector, on what the student is to see and the labels that it has."""
        return dict(self.student(self.mixed(batch)))

    def mixed(self, batch: Batch) -> Batch:
        """The batch that the detector learns from, on the device of the given one.

        Args:
            batch: weak views of unlabelled images, with what `prepare_mixture` put beside them.
        """
        self._require_teacher()
        seeds = batch.targets[SEED].tolist()
        whole = 0 if self.settings.glyphs else len(seeds) - len(seeds) // 2
        labelled = self._pseudo_labelled(batch, whole)
        unlabelled = mix_with_partners(labelled, self.settings.partner, np.random.default_rng(seeds))
        samples = [_whole_scene(batch, index) for index in range(whole)] + unlabelled
        prepared, pasted = [], []
        for index, (seed, sample) in enumerate(zip(seeds, samples, strict=True)):
            generator = np.random.default_rng(seed)
            mixed, words = self._with_glyphs(batch, index, sample, generator)
            mixed = self._seen_by_camera(mixed, generator)
            prepared.append(PreparedSample(mixed, self.student.targets(mixed, generator)))
            pasted.append(words)
        self._count(batch, labelled, pasted[whole:], whole)
        self._last_mixed = [item.sample for item in prepared[-PICTURED:]]
        return collate(prepared).to(batch.images.device)

    @torch.no_grad()
    def pseudo_labels(self, images: Tensor) -> list[list[Detection]]:
        """What the teacher detects in (B, 3, H, W) uint8 images, in their pixels, of any score from `unsure` on."""
        found: list[list[Detection]] = self.student.spec.decode(self.teacher.maps(images), self._pseudo_config)
        return found

    def after_update(self) -> None:
        """Moves the teacher toward the student."""
        values = moving_tensors(self.student)
        own = self.teacher.state_dict(keep_vars=True)
        move_averages({name: own[name] for name in values}, values, self.settings.decay)

    def after_evaluation(self, metrics: Mapping[str, float]) -> list[str]:
        """Warnings about pseudo labels; counting begins again.

        Raises:
            TrainingError: see `signs_of_collapse`.
        """
        if "pseudo_texts" not in metrics:  # before the first step
            if metrics["pseudo_precision"] >= SOUND_PRECISION:
                return []
            share = f"{metrics['pseudo_precision']:.0%} of what the teacher is sure of on the validation images is text"
            return [
                f"warning: {share}; below {SOUND_PRECISION:.0%} errors are learnt: raise method.sure, or train the "
                "detector longer"
            ]
        warnings = signs_of_collapse(metrics, self.first_pseudo_texts.item(), self.settings)
        if self.first_pseudo_texts.isnan():
            self.first_pseudo_texts.fill_(metrics["pseudo_texts"])
        self.pseudo_counts.zero_()
        return warnings

    def summary(self, batch: Batch) -> None:
        """Nothing: images of other micro-batches are not mixed in."""

    def compiled_parts(self) -> Sequence[nn.Module]:
        """Those of student and teacher."""
        return (*self.student.compiled_parts(), *self.teacher.compiled_parts())

    def predict(self, batch: Batch) -> tuple[Any, Any]:
        """What the detector's metric needs, of teacher and student."""
        return self.teacher.predict(batch), self.student.predict(batch)

    def pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        """Evaluation images with sure (green) and unsure (blue) pseudo texts; mixed images with their labels."""
        drawn = {}
        named = zip(batch.named_images().items(), self.pseudo_labels(batch.images), batch.metas, strict=True)
        for (name, image), found, meta in named:
            drawn[name] = draw_instances(image, self._instances(found, meta.content_size))
        for number, sample in enumerate(self._last_mixed):
            drawn[f"mixed_{number}"] = draw_instances(sample.image, sample.instances)
        return drawn

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """See `prepare_mixture`."""
        return prepare_mixture(sample, self.settings, self.student.transform, generator)

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """As the detector's task."""
        prepared: PreparedSample = self.student.prepare_evaluation(sample, generator)
        return prepared

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """The detector's, of the teacher; see `FreeRealMetric`."""
        return FreeRealMetric(
            self.teacher.metric(records),
            self.student.metric(records),
            self.settings.sure,
            self.pseudo_counts.tolist(),
        )

    def _require_teacher(self) -> None:
        """Once a process: a teacher that has not begun takes the weights that the student was given by then."""
        if self._has_teacher:
            return
        self._has_teacher = True
        if not self.teacher_started.item():
            self.teacher.load_state_dict(self.student.state_dict())
            self.teacher_started.fill_(1)

    def _pseudo_labelled(self, batch: Batch, first: int) -> list[Sample]:
        """The strong views, from the `first` of the batch on, with what the teacher detects in the weak ones."""
        found = self.pseudo_labels(batch.images[first:]) if first < len(batch.metas) else []
        return [
            Sample(_pixels(strong), self._instances(texts, meta.content_size), meta)
            for strong, texts, meta in zip(batch.targets[STRONG][first:], found, batch.metas[first:], strict=True)
        ]

    def _with_glyphs(
        self, batch: Batch, index: int, sample: Sample, generator: np.random.Generator
    ) -> tuple[Sample, tuple[TextInstance, ...]]:
        """A sample with the letters of its layer, and the words of these; as it is where no glyphs are pasted."""
        if not self.settings.glyphs:
            return sample, ()
        words = unpack_instances(WORDS, batch.targets, index)
        contrast, covered = self.settings.contrast_minimum, self.settings.covered
        return paste_glyphs(sample, _pixels(batch.targets[LAYER][index]), words, contrast, covered, generator)

    def _instances(self, found: Sequence[Detection], content_size: tuple[int, int]) -> tuple[TextInstance, ...]:
        return pseudo_instances(found, content_size, self.settings.sure, self.settings.unsure)

    def _seen_by_camera(self, sample: Sample, generator: np.random.Generator) -> Sample:
        image = capture(sample.image.astype(np.float32), self.settings.camera, generator)
        return replace(sample, image=decompress(compress(image, self.settings.camera, generator)))

    def _count(
        self, batch: Batch, labelled: Sequence[Sample], pasted: Sequence[tuple[TextInstance, ...]], first: int
    ) -> None:
        """Adds the unlabelled images from the `first` of the batch on to the counts."""
        total = np.zeros(len(COUNTED))
        area = float(batch.images.shape[2] * batch.images.shape[3])
        for number, (sample, words) in enumerate(zip(labelled, pasted, strict=True)):
            truth = unpack_instances(TRUTH, batch.targets, first + number)
            total += count_pseudo_labels(sample.instances, words, truth, area, self._protocol)
        self.pseudo_counts += torch.from_numpy(total).to(self.pseudo_counts.device)


def report(metrics: Mapping[str, float]) -> list[str]:
    """The values of an evaluation as a table in Markdown."""
    names = [name for name in REPORTED if name in metrics]
    cells = [f"{metrics[name]:.4g}" for name in names]
    return [f"| {' | '.join(names)} |", "|" + "---|" * len(names), f"| {' | '.join(cells)} |"]


def _progress() -> dict[str, Tensor]:
    """The buffers that hold where a run stands: see `COUNTED`, `signs_of_collapse`, and whether there is a teacher."""
    return {
        "pseudo_counts": torch.zeros(len(COUNTED), dtype=torch.float64),
        "first_pseudo_texts": torch.tensor(float("nan"), dtype=torch.float64),
        "teacher_started": torch.tensor(0),
    }


def _with_lower_threshold(config: Any, threshold: float) -> Any:
    """A detector's settings that decode all from a score on, where they have a score from which on they decode."""
    decoding = getattr(config, "decoding", None)
    own = getattr(decoding, "score_threshold", None)
    if decoding is None or own is None or own <= threshold:
        return config
    return config.model_copy(update={"decoding": decoding.model_copy(update={"score_threshold": threshold})})


def _whole_scene(batch: Batch, index: int) -> Sample:
    """A labelled image of a batch, whole."""
    image = _pixels(batch.targets[LAYER][index])
    meta = replace(batch.metas[index], content_size=(image.shape[0], image.shape[1]))
    return Sample(image, unpack_instances(WORDS, batch.targets, index), meta)


def _pixels(image: Tensor) -> np.ndarray:
    """(H, W, C) uint8."""
    return np.ascontiguousarray(image.cpu().numpy())
