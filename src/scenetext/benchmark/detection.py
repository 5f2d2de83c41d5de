"""What a detector costs outside of its training step: targets, samples, forward, decoding, hmean."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.benchmark.measurements import Measurement, counted, measured, operations, timed
from scenetext.benchmark.pace import processor_seconds
from scenetext.contracts import Maps
from scenetext.data.loading.dataset import collate
from scenetext.data.records.images import one_opencv_thread
from scenetext.data.records.samples import load_sample
from scenetext.data.transforms.evaluation import evaluation_transform
from scenetext.data.transforms.photometric import PhotometricSettings
from scenetext.data.transforms.training import TrainingTransformSettings, training_transform
from scenetext.detectors import find_examples
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.named_rules import find_protocol
from scenetext.runs.data import read_run_records
from scenetext.runs.kinds import build_detection_task
from scenetext.runs.settings import DetectionRun
from scenetext.structures import Detection, ImageRecord, PreparedSample, Sample
from scenetext.tasks.detection import DetectionTask
from scenetext.training.device import resolve_device

TARGET_WINDOW = TrainingTransformSettings(
    size=(640, 640),
    horizontal_flip=0,
    rotation=(0, 0),
    scale=(1, 1),
    aspect=(1, 1),
    photometric=PhotometricSettings(brightness=0, contrast=0, saturation=0),
)
"""What targets are timed on, the same for all detectors: windows of stored pixels."""
_CALLS = 5
"""How often each image is done in a round; its time is the median, as in the published values."""
_EVALUATED_IMAGES = 500
_END_TO_END = ("input, file to tensor", "forward", "decode")
"""Times that add up to that of an image from its file to its detections."""
_JITTER = 2.0
"""Standard deviation of the vertices of detections that are scored, pixels."""


@dataclass(frozen=True)
class Probe:
    """One thing that every round measures again.

    Attributes:
        name, unit: of the metric.
        sample: measures it once, in that unit.
        rate: name of the metric in images/s that follows from its milliseconds; None = none does.
    """

    name: str
    unit: str
    sample: Callable[[], float]
    rate: str | None = None

    def metrics(self, values: list[float]) -> list[Measurement]:
        """The metrics of its samples."""
        own = measured(self.name, values, self.unit)
        return [own] if self.rate is None else [own, measured(self.rate, [1000 / each for each in values], "images/s")]


@dataclass(frozen=True)
class Subject:
    """A detector and the images that it is timed on.

    Attributes:
        training_records, validation_records: of the run's data.
        windows: parts of the training images, for targets.
        images: (1, 3, H, W), the first validation image at the test size.
        maps: perfect ones (`DetectorExamples.perfect_maps`) of each validation image at the test size, softened.
    """

    run: DetectionRun[Any, Any]
    task: DetectionTask
    device: torch.device
    training_records: Sequence[ImageRecord]
    validation_records: Sequence[ImageRecord]
    windows: Sequence[Sample]
    images: Tensor
    maps: Sequence[Maps]


def measure_in_alternation(
    runs: Mapping[str, DetectionRun[Any, Any]], images: int, rounds: int
) -> dict[str, list[Measurement]]:
    """The metrics of several detectors, measured in alternation: every round measures each of them once per detector.

    So a disturbance of the machine that lasts longer than a round affects all of them alike. Times are CPU time of one
    thread, which other work on the machine disturbs less than the clock; a GPU's forward pass is timed by the clock.

    Args:
        runs: by their names in the result; weights are random.
        images: how many of the training images (for targets and samples) and of the validation images (for decoding and
            hmean) are taken, the first ones.
        rounds: samples of every metric, each a mean over the images of the median of five calls.
    """
    subjects = {name: make_subject(run, images) for name, run in runs.items()}
    probes = {name: probes_of(subject) for name, subject in subjects.items()}
    values = sample_in_alternation(probes, rounds)
    return {name: [*count_subject(subjects[name]), *_metrics(probes[name], values[name])] for name in runs}


def sample_in_alternation(probes: Mapping[str, Sequence[Probe]], rounds: int) -> dict[str, list[list[float]]]:
    """The samples of every probe of every detector, one in each round; a round before the first warms up."""
    values: dict[str, list[list[float]]] = {name: [[] for _ in own] for name, own in probes.items()}
    for number in range(rounds + 1):
        for name, own in probes.items():
            for probe, samples in zip(own, values[name], strict=True):
                value = probe.sample()
                if number:
                    samples.append(value)
    return values


def _metrics(probes: Sequence[Probe], values: Sequence[list[float]]) -> list[Measurement]:
    """The metrics of every probe, and the end-to-end rate that follows from some of them."""
    metrics = list(chain.from_iterable(probe.metrics(samples) for probe, samples in zip(probes, values, strict=True)))
    stages = [samples for probe, samples in zip(probes, values, strict=True) if probe.name in _END_TO_END]
    rates = [1000 / sum(parts) for parts in zip(*stages, strict=True)]
    return [*metrics, measured("end to end, file to detections", rates, "images/s")]


def make_subject(run: DetectionRun[Any, Any], images: int) -> Subject:
    """Builds the detector of a run and what it is timed on.

    Raises:
        ConfigError: the detector has no `examples.py`, whose maps would be decoded.
    """
    examples = find_examples(run.detector.name)
    torch.manual_seed(run.training.seed)
    device = resolve_device(run.training.device)
    task = build_detection_task(run).eval().to(device)
    records = read_run_records(run, None)
    training, validation = list(records.training[:images]), list(records.validation[:images])
    samples = [load_sample(record) for record in training]
    whole = [evaluation_transform(load_sample(record), run.evaluation_transform) for record in validation]
    prepared = [task.spec.targets(sample, task.config) for sample in whole]
    targets = [{name: torch.from_numpy(value)[None] for name, value in one.items()} for one in prepared]
    return Subject(
        run,
        task,
        device,
        training,
        validation,
        windows=[training_transform(each, TARGET_WINDOW, np.random.default_rng(i)) for i, each in enumerate(samples)],
        images=collate([PreparedSample(whole[0])]).images,
        maps=[
            softened(examples.perfect_maps(one, task.config), examples.soft_maps, seed)
            for seed, one in enumerate(targets)
        ],
    )


def softened(maps: Maps, soft: tuple[str, ...], seed: int) -> dict[str, Tensor]:
    """Perfect maps as a network gives them: soft edges (means over 3 x 3) and noise (standard deviation 0.5).

    Args:
        soft: prefixes of the names of the maps that this is done to, `DetectorExamples.soft_maps`.
    """
    generator = torch.Generator().manual_seed(seed)
    made = dict(maps)
    for name, logits in maps.items():
        if name.startswith(soft):
            stacked = logits.flatten(0, -3)[:, None]
            smoothed = F.avg_pool2d(F.pad(stacked, (1, 1, 1, 1), mode="replicate"), 3, stride=1).view(logits.shape)
            made[name] = smoothed + 0.5 * torch.randn(logits.shape, generator=generator)
    return made


def count_subject(subject: Subject) -> list[Measurement]:
    """Size and operations of the model, and what the times depend on."""
    image = subject.images
    with torch.no_grad():  # of the image itself, since stages look at what they find in it
        forward = operations(lambda: subject.task.maps(image.to(subject.device)))
    height, width = image.shape[-2:]
    windows = [sum(instance.polygon is not None for instance in window.instances) for window in subject.windows]
    decoded = [len(subject.task.spec.decode(maps, subject.task.config)[0]) for maps in subject.maps]
    return [
        counted("parameters", sum(parameter.numel() for parameter in subject.task.parameters()) / 1e6, "M"),
        counted("height of the first input", height, "pixels"),
        counted("width of the first input", width, "pixels"),
        counted("operations of its forward pass", forward, "GFLOP"),
        counted("polygons in a window, mean", statistics.mean(windows), "1"),
        counted("texts decoded in an image, mean", statistics.mean(decoded), "1"),
    ]


def probes_of(subject: Subject) -> list[Probe]:
    """Everything that is measured of a detector."""
    return [
        Probe("targets of a 640 x 640 window", "ms", lambda: _mean_ms(lambda i: _targets(subject, i), subject.windows)),
        Probe(
            "sample, file to tensors",
            "ms",
            lambda: _mean_ms(lambda i: _sample(subject, i), subject.training_records),
            rate="loader, one core",
        ),
        Probe("input, file to tensor", "ms", lambda: _mean_ms(lambda i: _input(subject, i), subject.maps)),
        Probe("decode", "ms", lambda: _mean_ms(lambda i: _decode(subject, i), subject.maps), rate="decode, one core"),
        Probe("forward", "ms", lambda: _forward_ms(subject), rate="forward, rate"),
        Probe(f"hmean of {_EVALUATED_IMAGES} images", "ms", lambda: 1e3 * time_hmean(subject.validation_records)),
    ]


def _mean_ms(action: Callable[[int], object], items: Sequence[object]) -> float:
    """Mean CPU time over the items, the median of its calls for each; milliseconds."""
    return 1e3 * statistics.mean(_median_seconds(partial(action, index)) for index in range(len(items)))


def _median_seconds(action: Callable[[], object]) -> float:
    return statistics.median(_cpu_seconds(action) for _ in range(_CALLS))


def _cpu_seconds(action: Callable[[], object]) -> float:
    """CPU time of an action on one thread, OpenCV's included."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with one_opencv_thread():
            return processor_seconds(action, torch.device("cpu"))
    finally:
        torch.set_num_threads(threads)


def _targets(subject: Subject, index: int) -> None:
    subject.task.spec.targets(subject.windows[index], subject.task.config)


def _sample(subject: Subject, index: int) -> None:
    collate([subject.task.prepare_training(load_sample(subject.training_records[index]), np.random.default_rng(index))])


def _decode(subject: Subject, index: int) -> None:
    subject.task.spec.decode(subject.maps[index], subject.task.config)


def _input(subject: Subject, index: int) -> None:
    collate([subject.task.prepare_evaluation(load_sample(subject.validation_records[index]), np.random.default_rng(0))])


def _forward_ms(subject: Subject) -> float:
    """The network on the first image, from host memory."""

    def forward() -> None:
        with torch.no_grad():
            subject.task.maps(subject.images.to(subject.device))

    return 1e3 * (_cpu_seconds(forward) if subject.device.type == "cpu" else timed(forward, subject.device))


def time_hmean(records: Sequence[ImageRecord]) -> float:
    """CPU seconds of scoring 500 images, the records cyclically: all their polygons, moved a little, as detections."""
    generator = np.random.default_rng(0)
    work = []
    for index in range(_EVALUATED_IMAGES):
        instances = records[index % len(records)].instances
        polygons = [instance.polygon for instance in instances if instance.polygon is not None]
        detections = [
            Detection(
                (polygon + generator.normal(0, _JITTER, polygon.shape)).astype(np.float32),
                float(generator.uniform(0.3, 1)),
            )
            for polygon in polygons
        ]
        work.append((Path(str(index)), detections, instances))

    def score() -> None:
        evaluator = DetectionEvaluator(find_protocol("ic15"))
        evaluator.add_all(work)
        evaluator.scores()

    return _cpu_seconds(score)
