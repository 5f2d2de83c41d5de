"""What a real image costs a detector, and a reader behind it: all parts of the work timed, what is found scored."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from scenetext.benchmark.measurements import Measurement, counted, measured, milliseconds
from scenetext.contracts import Stage
from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import load_sample
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.scores import DEFAULT_THRESHOLDS
from scenetext.spotters.reader.model import WordReader
from scenetext.structures import Batch, Detection, ImageRecord
from scenetext.tasks.decoding import Decoder
from scenetext.tasks.detection import DetectionTask

TOTAL = "all of an image"
"""From the file to its texts."""


Found = Mapping[Path, Sequence[Detection]]
"""Detections by image."""


class Stopwatch:
    """Adds up the seconds of named parts until an image is done; a part within another counts for itself alone.

    Args:
        device: whose work is waited for.
        clock: seconds; `time.process_time` is hardly touched by what else a machine does.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.perf_counter) -> None:
        self.images: list[dict[str, float]] = []
        """For every image, the seconds of its parts."""
        self._device, self._clock = device, clock
        self._parts: defaultdict[str, float] = defaultdict(float)
        self._within: list[float] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens within belongs to a part."""
        began = self._now()
        self._within.append(0.0)
        yield
        took = self._now() - began
        self._parts[name] += took - self._within.pop()
        if self._within:
            self._within[-1] += took

    def image_done(self) -> None:
        """The next part belongs to another image."""
        self.images.append(dict(self._parts))
        self._parts.clear()

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return self._clock()


def time_reading(
    task: DetectionTask,
    records: Sequence[ImageRecord],
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[Measurement], Found]:
    """The milliseconds of every part of an evaluation, one image at a time, and what is found; the first is a warm-up.

    Of a stage, "places" is where it looks (for a light reader: the detector's decoding, and the rectangles around what
    it found); the stage itself is its look there. Of the light reader, "network" is that look, cutting words out apart.

    Args:
        task: on the device; it is not to be used for anything else afterwards.
        records: at least one.
    """
    watch = Stopwatch(device, clock)
    watched = _watched(task.eval(), watch)
    found: dict[Path, list[Detection]] = {}
    for record in (records[0], *records):
        with watch.part("the rest"), torch.no_grad():
            with watch.part("reading and resizing the image"):
                batch = collate([task.prepare_evaluation(load_sample(record), np.random.default_rng(0))]).to(device)
            (found[record.path],) = watched(batch)
        watch.image_done()
    return _measurements(watch.images[1:]), found


def scored(records: Sequence[ImageRecord], found: Found) -> list[Measurement]:
    """How many texts there are, and how many are right, at the threshold that is best on these very images."""
    metrics = [measured("texts in an image", [float(len(found[record.path])) for record in records], "texts")]
    for name in ("ic15", "ic15_end_to_end"):
        evaluator = DetectionEvaluator(find_protocol(name), (0.0, *DEFAULT_THRESHOLDS))
        evaluator.add_all((record.path, found[record.path], record.instances) for record in records)
        best = evaluator.scores().best
        metrics.append(counted(f"best hmean by {name}", 100 * best.hmean, "%"))
    return [*metrics, counted("words read, of those found", 100 * best.word_accuracy, "%")]


def _measurements(images: Sequence[dict[str, float]]) -> list[Measurement]:
    names = dict.fromkeys(name for parts in images for name in parts)
    parts = [milliseconds(name, [one.get(name, 0.0) for one in images]) for name in names]
    return [*parts, milliseconds(TOTAL, [sum(one.values()) for one in images])]


def _watched(task: DetectionTask, watch: Stopwatch) -> Callable[[Batch], list[list[Detection]]]:
    """The detection of a batch, with its parts timed."""
    spec = replace(
        task.spec,
        stages=tuple(
            Stage(stage.name, _timed(stage.propose, watch, f"{stage.name}: places")) for stage in task.spec.stages
        ),
        decode=_timed(task.spec.decode, watch, "decoding"),
    )
    later = dict(getattr(task.head, "later", nn.ModuleDict()).items())
    readers = {name: one for name, one in later.items() if isinstance(one, WordReader)}
    networks: dict[str, nn.Module] = {f"{name}: network": one.columns for name, one in readers.items()}
    networks |= {f"{name}: attention": one.reader for name, one in readers.items() if one.reader is not None}
    for name, module in {"encoder": cast(nn.Module, task.encoder), "head": task.head, **later, **networks}.items():
        module.forward = _timed(module.forward, watch, name)
    task.spec, task.decoder = spec, Decoder(spec.decode, task.config, task.evaluation.merge_iou)
    return task.detect


def _timed(function: Callable[..., Any], watch: Stopwatch, name: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        with watch.part(name):
            return function(*arguments)

    return call
