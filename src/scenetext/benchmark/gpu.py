"""What one card does: pre-training, detectors and TCM, against the matrix rate of the same card in the same run.

Every measurement is a stage (`stages`): it writes its result as soon as it has it, and one that fails stops no other.
The same code runs on a CPU, at sizes that say nothing about speed.
"""

from __future__ import annotations

import gc
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from scenetext.benchmark.card import (
    MATRIX_KINDS,
    copy_rate,
    largest_batch,
    matrix_rate,
    most_expensive_operators,
    rate_name,
    step_of,
)
from scenetext.benchmark.detection import softened
from scenetext.benchmark.measurements import (
    Measurement,
    counted,
    measured,
    metric_table,
    milliseconds,
    operations,
    repeated,
    reset_peak_memory,
)
from scenetext.benchmark.overhead import time_waiting
from scenetext.benchmark.pace import Pace, Size, drawn_batch, drawn_samples, evaluation_pace, training_pace
from scenetext.benchmark.run import count_model
from scenetext.benchmark.stages import Result, Stage, problem_lines, read_result, within
from scenetext.data.loading.dataset import collate
from scenetext.detectors import detector_names, find_examples
from scenetext.distributed import Processes
from scenetext.errors import DataError
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.runs.build import build_task, build_trainer
from scenetext.runs.kinds import build_detection_task
from scenetext.runs.settings import DetectionRun, PretrainingRun, Run, check_run
from scenetext.structures import Batch
from scenetext.tasks.detection import DetectionTask
from scenetext.training.device import autocast_to, peak_memory, resolve_precision
from scenetext.training.learner import Learner

Columns = Mapping[str, list[Measurement]]
"""Measurements by what they are of: a column of a table each."""

_IMAGES = "images of a step"
TCM_ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "dbnet": {"name": "clip_resnet"},
    "tcm_dbnet": {"name": "tcm", "fast": False},
    "fasttcm_dbnet": {"name": "tcm", "fast": True},
}
"""DBNet on CLIP's RN50 first, which the others are compared with."""


@dataclass(frozen=True)
class Sizes:
    """How large everything is that is measured.

    Attributes:
        matrix: side of the square matrices.
        products: of them in one sample: so many that starting one is no part of the time.
        copied: MiB that are copied within the card.
        oclip_side: of the pre-training's square images, pixels.
        first_batch, last_batch: images of a pre-training step, the first to be tried, and the most.
        training_side, training_images: of a detector's step.
        inference: (height, width) of test images.
        inference_images: sizes of batches.
        repetitions: samples of every value.
        loader_steps: with the real loader.
        compiled: whether everything is measured once more with torch.compile.
        tiny: whether the detectors are small, too.
        oclip, encoder, tcm: settings of the models; empty = the published ones.
    """

    matrix: int = 8192
    products: int = 10
    copied: int = 2048
    oclip_side: int = 512
    first_batch: int = 8
    last_batch: int = 1024
    training_side: int = 640
    training_images: int = 16
    inference: Size = (736, 1280)
    inference_images: tuple[int, ...] = (1, 8)
    repetitions: int = 10
    loader_steps: int = 30
    compiled: bool = True
    tiny: bool = False
    oclip: Mapping[str, Any] = field(default_factory=dict)
    encoder: Mapping[str, Any] = field(default_factory=dict)
    tcm: Mapping[str, Any] = field(default_factory=dict)


_TINY_ENCODER = {"layers": [1, 1, 1, 1], "width": 8}
_TINY_TEXT = {"text_width": 16, "text_heads": 2, "text_layers": 1, "decoder_layers": 1, "decoder_heads": 2}
TINY = Sizes(
    matrix=64,
    products=1,
    copied=1,
    oclip_side=64,
    first_batch=2,
    last_batch=4,
    training_side=64,
    training_images=2,
    inference=(64, 96),
    inference_images=(1, 2),
    repetitions=1,
    loader_steps=2,
    compiled=False,
    tiny=True,
    oclip={"encoder": _TINY_ENCODER, "embed_dim": 32, **_TINY_TEXT},
    encoder=_TINY_ENCODER,
    tcm={
        **{"input_size": 64, "embed_dim": 16, "text": {"width": 8, "heads": 2, "layers": 1}},
        "decoder": {"width": 8, "heads": 2, "layers": 1},
    },
)


@dataclass
class GpuBenchmark:
    """The stages of one card and the page of their results.

    Attributes:
        device: where everything runs.
        sizes: how large it is.
        folder: of the results; later stages read those of earlier ones.
        records: of the images that the loader reads; need to exist only when its stage starts.
    """

    device: torch.device
    sizes: Sizes
    folder: Path
    records: Path

    def __post_init__(self) -> None:
        self.precision = resolve_precision("auto", self.device)
        self.groups: dict[str, list[str]] = {}

    def subject(self) -> str:
        """The card and the versions that the results hold for."""
        versions = f"torch {torch.__version__}, Python {platform.python_version()}"
        tiny = ", tiny sizes" if self.sizes.tiny else ""
        if self.device.type != "cuda":
            return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, {versions}{tiny}"
        memory = torch.cuda.get_device_properties(self.device).total_memory / 2**30
        name = torch.cuda.get_device_name(self.device)
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return f"{name}, {memory:.0f} GiB, CUDA {torch.version.cuda}, cuDNN {cudnn}, {versions}{tiny}"

    def stages(self) -> list[Stage]:
        """All stages, the most important first: what is compiled takes a minute a model to start, and comes last."""
        return [*self._eager_stages(), *(self._compiled_stages() if self.sizes.compiled else [])]

    def _eager_stages(self) -> list[Stage]:
        return [
            self._stage("The card", "rates", 30, self.measure_rates),
            self._stage(self._oclip_group(), "oclip", 90, self.measure_oclip),
            self._stage("Operators of the oCLIP step", "operators", 40, self.measure_operators),
            self._stage("oCLIP with the real loader", "waiting", 90, self.measure_waiting),
            self._stage("TCM over DBNet", "tcm", 60, self.measure_tcm),
            *self._detector_stages("training", 30, self.measure_training),
            *self._detector_stages("inference", 30, self.measure_inference),
        ]

    def _compiled_stages(self) -> list[Stage]:
        return [
            self._stage(self._oclip_group(), "oclip_compiled", 180, partial(self.measure_oclip, compiled=True)),
            self._stage("TCM over DBNet, compiled", "tcm_compiled", 400, partial(self.measure_tcm, compiled=True)),
            *self._detector_stages("training", 180, self.measure_training, compiled=True),
            *self._detector_stages("inference", 180, self.measure_inference, compiled=True),
        ]

    def _oclip_group(self) -> str:
        return f"oCLIP, {self.sizes.oclip_side} x {self.sizes.oclip_side}"

    def _stage(self, group: str, name: str, seconds: float, action: Callable[[], Columns]) -> Stage:
        """A stage whose columns stand in the group's table."""
        self.groups.setdefault(group, []).append(name)

        def run(limit: float) -> Mapping[str, Any]:
            with within(limit):
                columns = action()
            return {"columns": {column: [asdict(each) for each in values] for column, values in columns.items()}}

        return Stage(name, f"{group}: {name}", seconds, run)

    def _detector_stages(
        self, kind: str, seconds: float, action: Callable[..., Columns], compiled: bool = False
    ) -> list[Stage]:
        """A stage for every detector, in one table."""
        sizes, suffix = self.sizes, "_compiled" if compiled else ""
        group = {
            "training": f"Training step of {sizes.training_images} images at {sizes.training_side} pixels",
            "inference": f"Inference at {sizes.inference[0]} x {sizes.inference[1]}",
        }[kind] + (", compiled" if compiled else "")
        return [
            self._stage(group, f"{kind}_{name}{suffix}", seconds, partial(action, name, compiled=compiled))
            for name in detector_names()
        ]

    def page(self, results: Mapping[str, Result]) -> str:
        """Markdown: a table per group of stages, then what could not be measured."""
        lines = [
            "# Benchmark of one card",
            "",
            f"{self.subject()}. Computed in {self.precision}; medians (smallest to largest). The share is that of the "
            "card's own matrix rate in the same precision, operations counted as 2 per multiply-add.",
        ]
        for group, names in self.groups.items():
            columns: dict[str, list[Measurement]] = {}
            for name in names:
                columns |= _columns(results.get(name))
            if columns:
                lines += ["", f"## {group}", "", metric_table(columns)]
        problems = problem_lines(results)
        return "\n".join([*lines, *(["", "## Not measured", "", *problems] if problems else []), ""])

    def clean(self) -> None:
        """Gives back what a stage held on the card, compiled code included."""
        torch.compiler.reset()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def measure_rates(self) -> Columns:
        """Matrix products in every number format, and a copy within the card."""
        side, times, repetitions = self.sizes.matrix, self.sizes.products, self.sizes.repetitions
        rates = [matrix_rate(kind, side, times, repetitions, self.device) for kind in MATRIX_KINDS]
        return {"card": [*rates, copy_rate(self.sizes.copied, repetitions, self.device)]}

    def measure_oclip(self, compiled: bool = False) -> Columns:
        """The step at the largest batch that fits; compiled at the one that fitted without."""
        images = self.oclip_batch_size() if compiled else None
        learner = self._learner(self._oclip_run(self.sizes.first_batch, compiled))
        if images is None:
            images = largest_batch(
                lambda count: step_of(learner, _oclip_batch(learner, self.sizes.oclip_side, count))(),
                self.sizes.first_batch,
                self.sizes.last_batch,
                self.clean,
            )
        batch = _oclip_batch(learner, self.sizes.oclip_side, images)
        return {"compiled" if compiled else "eager": self._measure_step(learner, batch)}

    def oclip_batch_size(self) -> int:
        """Images of the largest step that fits, by the result of the stage "oclip".

        Raises:
            DataError: that stage has no result.
        """
        for measurement in _columns(read_result(self.folder, "oclip")).get("eager", []):
            if measurement.name == _IMAGES:
                return int(measurement.value)
        raise DataError("the stage oclip has no result; which batch fits is not known", self.folder)

    def measure_operators(self) -> Columns:
        """The ten operators of the step on which the device spends the most time."""
        images = self.oclip_batch_size()
        learner = self._learner(self._oclip_run(images))
        step = step_of(learner, _oclip_batch(learner, self.sizes.oclip_side, images))
        return {"a step": most_expensive_operators(step, self.device, self.sizes.repetitions)}

    def measure_waiting(self) -> Columns:
        """How long steps of a real training wait for data, at the largest batch, or one that the records can fill."""
        if not self.records.is_file():
            raise DataError("is not there; name records of images with --data", self.records)
        run = self._oclip_run(self.oclip_batch_size())
        with tempfile.TemporaryDirectory() as folder:
            trainer, _ = build_trainer(run, Path(folder))
            waiting = time_waiting(trainer, self.sizes.loader_steps)
        return {"share of a step's time": [waiting]}

    def measure_training(self, name: str, compiled: bool) -> Columns:
        """A detector's training step."""
        learner = self._learner(self._detection_run({"name": "clip_resnet"}, name, compiled))
        side = self.sizes.training_side
        batch = drawn_batch(cast(DetectionTask, learner.task), (side, side), self.sizes.training_images, self.device)
        return {name: self._measure_step(learner, batch)}

    def measure_inference(self, name: str, compiled: bool) -> Columns:
        """A detector's forward pass, alone and with decoding: of perfect maps, softened."""
        examples = find_examples(name)
        task = self._detection_task(self._detection_run({"name": "clip_resnet"}, name, compiled))
        metrics: list[Measurement] = []
        for images in self.sizes.inference_images:
            torch.compiler.reset()  # each batch size is compiled for itself
            batch = drawn_batch(task, self.sizes.inference, images, self.device)
            targets = {key: value.cpu() for key, value in batch.targets.items()}
            perfect = softened(examples.perfect_maps(targets, task.config), examples.soft_maps, 0)
            maps = {key: value.to(self.device) for key, value in perfect.items()}
            forward = partial(self._maps, task, batch.images)

            def whole(forward: Callable[[], object] = forward, maps: Mapping[str, Tensor] = maps) -> None:
                forward()
                task.spec.decode(maps, task.config)

            if not metrics:
                metrics.append(counted("operations of an image", operations(forward) / images, "GFLOP"))
            for way, action in (("forward", forward), ("forward and decoding", whole)):
                seconds = repeated(action, self.sizes.repetitions, self.device)
                metrics.append(milliseconds(f"{way}, time of {images}", seconds))
                metrics.append(measured(f"{way}, batch {images}", [images / each for each in seconds], "images/s"))
        return {name: metrics}

    def measure_tcm(self, compiled: bool = False) -> Columns:
        """TCM and FastTCM beside DBNet on the same encoder, in alternation."""
        tasks = {
            name: self._detection_task(self._detection_run(encoder, "dbnet", compiled))
            for name, encoder in TCM_ENCODERS.items()
        }
        autocast = partial(autocast_to, self.precision, self.device)
        rounds, side, images = self.sizes.repetitions, self.sizes.training_side, self.sizes.training_images
        inference = evaluation_pace(tasks, self.sizes.inference, rounds, self.device, autocast)
        training = training_pace(tasks, (side, side), images, rounds, self.device, autocast)
        return {
            first.name: [*_pace_metrics("inference, one image", first), *_pace_metrics(f"training, {images}", second)]
            for first, second in zip(inference, training, strict=True)
        }

    def _measure_step(self, learner: Learner, batch: Batch) -> list[Measurement]:
        """Time, rate, share of the card's matrix rate and memory of a whole training step."""
        images = len(batch.metas)
        (_, per_image) = count_model(learner, _few(batch))
        reset_peak_memory(self.device)
        seconds = repeated(step_of(learner, batch), self.sizes.repetitions, self.device)
        memory = peak_memory(self.device) / 2**20
        rates = [images * per_image.value / each / 1e3 for each in seconds]
        card = [each for each in _columns(read_result(self.folder, "rates")).get("card", []) if each.unit == "TFLOP/s"]
        own = [each.value for each in card if each.name == rate_name(self.precision)]
        share = [measured("share of the matrix rate", [100 * rate / own[0] for rate in rates], "%")] if own else []
        return [
            counted(_IMAGES, images, "1"),
            milliseconds("training step", seconds),
            measured("training", [images / each for each in seconds], "images/s"),
            per_image,
            measured("rate", rates, "TFLOP/s"),
            *share,
            counted("peak memory", memory, "MiB"),
        ]

    def _learner(self, run: Run) -> Learner:
        return Learner(build_task(run), run, self.device, Processes(), run.loader.batch_size)

    def _detection_task(self, run: DetectionRun[Any, Any]) -> DetectionTask:
        """In evaluation mode, laid out and compiled as a training would have it."""
        torch.manual_seed(run.training.seed)
        task = build_detection_task(run).eval()
        task.to(self.device).to(memory_format=torch.channels_last)
        for part in task.compiled_parts() if run.training.compile else ():
            part.compile()
        return task

    def _maps(self, task: DetectionTask, images: Tensor) -> None:
        with torch.no_grad(), autocast_to(self.precision, self.device):
            task.maps(images)

    def _oclip_run(self, images: int, compiled: bool = False) -> PretrainingRun:
        side = self.sizes.oclip_side
        model = {"method": {**self.sizes.oclip, "input_size": side}, "transform": {"size": side}}
        return cast(PretrainingRun, self._run("pretraining", images, compiled, model))

    def _detection_run(self, encoder: Mapping[str, Any], detector: str, compiled: bool) -> DetectionRun[Any, Any]:
        small = {**self.sizes.encoder, **(self.sizes.tcm if encoder["name"] == "tcm" else {})}
        head = find_examples(detector).small if self.sizes.tiny else {}
        model = {"encoder": {**encoder, **small}, "detector": {"name": detector, **head}}
        return cast(DetectionRun[Any, Any], self._run("detection", self.sizes.training_images, compiled, model))

    def _run(self, kind: str, images: int, compiled: bool, model: Mapping[str, Any]) -> Run:
        values = {
            "kind": kind,
            "data": {"train": [str(self.records)], "validation": [str(self.records)]},
            "loader": {"batch_size": images},
            "training": {"steps": 1, "evaluate_every": 1, "device": str(self.device), "compile": compiled},
            **model,
        }
        return check_run(values, "the benchmark's settings")


def _oclip_batch(learner: Learner, side: int, images: int) -> Batch:
    """So many noise images with four words each, few of them different: the time does not depend on what they show."""
    task = cast(OclipTask, learner.task)
    generator = np.random.default_rng(0)
    prepared = [task.prepare_training(sample, generator) for sample in drawn_samples((side, side), min(images, 8))]
    return collate([prepared[index % len(prepared)] for index in range(images)]).to(learner.device)


def _few(batch: Batch) -> Batch:
    """The first two images of a batch, to count with."""
    targets = {name: value[:2] for name, value in batch.targets.items()}
    return Batch(batch.images[:2], targets, batch.metas[:2])


def _pace_metrics(what: str, pace: Pace) -> list[Measurement]:
    seconds, ratios = list(pace.seconds), list(pace.ratios)
    return [milliseconds(what, seconds), measured(f"{what}: speed over DBNet's", ratios, "1")]


def _columns(result: Result | None) -> dict[str, list[Measurement]]:
    """The measurements of a stage's result; none where there is no result."""
    columns = {} if result is None else result.content.get("columns", {})
    return {name: [Measurement(**each) for each in values] for name, values in columns.items()}
