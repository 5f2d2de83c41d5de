"""Speeds of detectors in one process, in alternation: each is timed in every round, so all are disturbed alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from scenetext.benchmark.measurements import memory_kept, operations, reset_peak_memory, timed
from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import whole_sample
from scenetext.errors import ConfigError
from scenetext.structures import Batch, PreparedSample, Sample, TextInstance
from scenetext.tasks.detection import DetectionTask
from scenetext.training.device import peak_memory
from scenetext.training.learner import weighted_sum

_WARM_UP = 2
"""Rounds that are not counted."""
_WORD = np.array([(0, 0), (1, 0), (1, 0.3), (0, 0.3)], np.float32)
"""A word's outline, in units of its length."""

Size = tuple[int, int]
"""(height, width) in pixels."""
Precision = Callable[[], AbstractContextManager[object]]
Clock = Callable[[Callable[[], object], torch.device], float]
"""Seconds that an action takes: `measurements.timed`, or `processor_seconds`."""


def processor_seconds(action: Callable[[], object], device: torch.device) -> float:
    """Seconds that an action keeps processors busy, all threads together: hardly touched by what else a machine does.

    Raises:
        ConfigError: the device is no CPU.
    """
    if device.type != "cpu":
        raise ConfigError(f"processor time says nothing of {device}; use the wall clock")
    began = time.process_time()
    action()
    return time.process_time() - began


@dataclass(frozen=True)
class Pace:
    """Speed and memory of one detector.

    Attributes:
        name: of the detector.
        seconds: of every counted round.
        ratios: of every counted round, the first detector's seconds over this one's: its speed relative to that.
        operations: GFLOP per image (2 per multiply-add); of a forward pass only.
        kept: MiB that a forward pass keeps for the backward pass, weights apart; 0 in evaluation.
        peak: MiB, most memory during one turn (of tensors on a GPU, else of the process).
    """

    name: str
    seconds: tuple[float, ...]
    ratios: tuple[float, ...]
    operations: float
    kept: float
    peak: float

    @property
    def speed(self) -> float:
        """Turns per second, from the median."""
        return 1 / statistics.median(self.seconds)

    @property
    def ratio(self) -> float:
        """Speed relative to the first detector, median over the rounds."""
        return statistics.median(self.ratios)


def drawn_samples(size: Size, count: int) -> list[Sample]:
    """Noise images of this size with four words each."""
    generator = np.random.default_rng(0)
    scale = np.array(size[::-1], np.float32)
    samples = []
    for number in range(count):
        image = generator.integers(0, 256, (*size, 3), np.uint8)
        corners = generator.uniform(0, 0.6, (4, 2)).astype(np.float32)
        words = tuple(TextInstance((corner + 0.3 * _WORD) * scale, "word") for corner in corners)
        samples.append(whole_sample(image, Path(f"noise_{number}"), words))
    return samples


def drawn_batch(task: DetectionTask, size: Size, count: int, device: torch.device) -> Batch:
    """Noise images (count, 3, *size) with four words each and the detector's own targets of them."""
    samples = drawn_samples(size, count)
    prepared = [PreparedSample(sample, task.targets(sample, np.random.default_rng(0))) for sample in samples]
    return collate(prepared).to(device)


def evaluation_pace(
    tasks: Mapping[str, DetectionTask],
    size: Size,
    rounds: int,
    device: torch.device,
    precision: Precision = nullcontext,
    clock: Clock = timed,
) -> list[Pace]:
    """Maps of one image, without decoding: the text feature of FastTCM is computed before the counted rounds."""

    def turn(task: DetectionTask, batch: Batch) -> None:
        with torch.no_grad(), precision():
            task.maps(batch.images)

    for task in tasks.values():
        task.eval()
    return _time_in_alternation(
        tasks, turn, drawn_batches(tasks, size, 1, device), rounds, device, clock, training=False
    )


def training_pace(
    tasks: Mapping[str, DetectionTask],
    size: Size,
    images: int,
    rounds: int,
    device: torch.device,
    precision: Precision = nullcontext,
    clock: Clock = timed,
) -> list[Pace]:
    """Forward, losses and backward of a batch, without the optimiser."""

    def turn(task: DetectionTask, batch: Batch) -> None:
        task.zero_grad(set_to_none=True)
        with precision():
            losses = task(batch)
        weighted_sum(losses, task.loss_weights).backward()  # type: ignore[no-untyped-call]

    for task in tasks.values():
        task.train()
    return _time_in_alternation(
        tasks, turn, drawn_batches(tasks, size, images, device), rounds, device, clock, training=True
    )


def drawn_batches(tasks: Mapping[str, DetectionTask], size: Size, count: int, device: torch.device) -> dict[str, Batch]:
    """A batch for every detector: the same images, its own targets."""
    return {name: drawn_batch(task, size, count, device) for name, task in tasks.items()}


def _time_in_alternation(
    tasks: Mapping[str, DetectionTask],
    turn: Callable[[DetectionTask, Batch], None],
    batches: Mapping[str, Batch],
    rounds: int,
    device: torch.device,
    clock: Clock,
    training: bool,
) -> list[Pace]:
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    peaks: dict[str, float] = {}
    for number in range(rounds + _WARM_UP):
        for name, task in tasks.items():
            reset_peak_memory(device)
            taken = clock(partial(turn, task, batches[name]), device)
            peaks[name] = peak_memory(device) / 2**20
            task.zero_grad(set_to_none=True)
            if number >= _WARM_UP:
                seconds[name].append(taken)
    first = next(iter(seconds.values()))
    return [
        Pace(
            name,
            tuple(taken),
            tuple(reference / each for reference, each in zip(first, taken, strict=True)),
            forward_operations(tasks[name], batches[name], training),
            memory_kept(tasks[name], partial(tasks[name], batches[name])) if training else 0.0,
            peaks[name],
        )
        for name, taken in seconds.items()
    ]


def forward_operations(task: DetectionTask, batch: Batch, training: bool) -> float:
    """GFLOP of a forward pass per image; in evaluation without what was computed before and is kept."""
    with torch.set_grad_enabled(training):
        return operations(lambda: task.maps(batch.images)) / len(batch.images)


def evaluation_pace_table(paces: Sequence[Pace]) -> str:
    """One row per detector: medians with the smallest and the largest round."""
    lines = [
        f"| detector | evaluation, ms | images/s | speed / {paces[0].name} | GFLOP an image, forward |",
        "|---|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *(f"| {_pace_cells(pace, 1)} |" for pace in paces)])


def training_pace_table(paces: Sequence[Pace], images: int) -> str:
    """As `evaluation_pace_table`, of a training step of so many images, with its memory."""
    lines = [
        f"| detector | training step of {images}, ms | images/s | speed / {paces[0].name} | GFLOP an image, forward | "
        "kept for backward, MiB | peak memory, MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join(
        [*lines, *(f"| {_pace_cells(pace, images)} | {pace.kept:.0f} | {pace.peak:.0f} |" for pace in paces)]
    )


def _pace_cells(pace: Pace, images: int) -> str:
    times = sorted(1000 * each for each in pace.seconds)
    spread = f"{1000 / pace.speed:.4g} ({times[0]:.4g} to {times[-1]:.4g})"
    ratio = f"{pace.ratio:.3f} ({min(pace.ratios):.2f} to {max(pace.ratios):.2f})"
    return f"{pace.name} | {spread} | {images * pace.speed:.3g} | {ratio} | {pace.operations:.1f}"
