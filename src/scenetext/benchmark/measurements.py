"""A metric of a benchmark, and how times and memory are taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_WARM_UP = 2
"""Repetitions that are not counted: kernels are chosen and memory is claimed in the first ones."""
_RESET_PEAK = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measurement:
    """One measured or counted thing.

    Attributes:
        name: what.
        value: in `unit`; the median where it was measured.
        unit: of all values.
        low, high: smallest and largest sample; equal to `value` where it was counted.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float


def measured(name: str, values: list[float], unit: str) -> Measurement:
    """A metric of several samples."""
    return Measurement(name, statistics.median(values), unit, min(values), max(values))


def counted(name: str, value: float, unit: str) -> Measurement:
    """A metric that does not vary."""
    return Measurement(name, value, unit, value, value)


def timed(action: Callable[[], object], device: torch.device) -> float:
    """Seconds that an action takes until the device has done it."""
    began = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def repeated(action: Callable[[], object], repetitions: int, device: torch.device) -> list[float]:
    """Seconds of every repetition after a warm-up."""
    return [timed(action, device) for _ in range(repetitions + _WARM_UP)][_WARM_UP:]


def milliseconds(name: str, seconds: list[float]) -> Measurement:
    """A metric of times given in seconds."""
    return measured(name, [1000 * each for each in seconds], "ms")


def operations(action: Callable[[], object]) -> float:
    """GFLOP of an action, 2 per multiply-add: matrix products, attention, convolutions, deformable ones as well.

    What is compiled runs as it was before: inside fused kernels nothing could be counted.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_formulas())
    with torch.compiler.set_stance("force_eager"), counter:
        action()
    return counter.get_total_flops() / 1e9


def _formulas() -> dict[Any, Callable[..., int]]:
    """FLOP formulas of operators that torch alone cannot count."""
    try:
        import torchvision.ops  # noqa: F401  (it registers the operators)
    except (ImportError, RuntimeError):  # without it, or with one for another torch, no model has these operators
        return {}
    operators = torch.ops.torchvision
    return {
        operators.deform_conv2d: _deformable_operations,
        operators._deform_conv2d_backward: _deformable_backward_operations,
    }


def _deformable_operations(
    images: Sequence[int], weight: Sequence[int], offsets: Sequence[int], *_: Any, **__: Any
) -> int:
    """Without the interpolation; shapes (B, C, H, W), (C', C, h, w) and (B, 2 G h w, H', W')."""
    return 2 * images[0] * prod(weight) * prod(offsets[-2:])


def _deformable_backward_operations(
    _gradient: Sequence[int],
    images: Sequence[int],
    weight: Sequence[int],
    offsets: Sequence[int],
    *_: Any,
    **__: Any,
) -> int:
    """Products for the sampled pixels' gradient and for the weight's."""
    return 2 * _deformable_operations(images, weight, offsets)


def metric_table(columns: Mapping[str, Sequence[Measurement]]) -> str:
    """Metrics as rows and configs as columns: median (smallest to largest), then ratios to the first config.

    A metric that a config does not have (a detector has no decoder of words) is a dash.
    """
    names = list(columns)
    others = names[1:]
    lines = [
        "| metric | " + " | ".join([*names, *(f"{name} / {names[0]}" for name in others)]) + " |",
        "|---|" + "---:|" * (len(names) + len(others)),
    ]
    by_name = [{metric.name: metric for metric in metrics} for metrics in columns.values()]
    for name, unit in {metric.name: metric.unit for metrics in columns.values() for metric in metrics}.items():
        row = [metrics.get(name) for metrics in by_name]
        ratios = [_ratio_cell(metric, row[0]) for metric in row[1:]]
        lines.append(f"| {name}, {unit} | " + " | ".join([*map(_metric_cell, row), *ratios]) + " |")
    return "\n".join(lines)


def _metric_cell(metric: Measurement | None) -> str:
    if metric is None:
        return "-"
    spread = f" ({metric.low:.3g} to {metric.high:.3g})" if metric.low < metric.high else ""
    return f"{metric.value:.4g}{spread}"


def _ratio_cell(metric: Measurement | None, first: Measurement | None) -> str:
    return f"{metric.value / first.value:.2f}" if metric and first and first.value else "-"


def reset_peak_memory(device: torch.device) -> None:
    """Lets `peak_memory` (training/device.py) count from here on; on a CPU only on Linux, elsewhere from the start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        _RESET_PEAK.write_text("5")  # proc(5): resets the peak resident set size


def memory_kept(module: nn.Module, forward: Callable[[], object]) -> float:
    """MiB of what autograd saves in a forward pass, each piece of memory once, the module's parameters apart."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    saved: dict[int, int] = {}

    def note(value: Tensor) -> Tensor:
        memory = value.untyped_storage()
        if memory.data_ptr() not in parameters:
            saved[memory.data_ptr()] = memory.nbytes()
        return value

    eager = torch.compiler.set_stance("force_eager")  # compiled parts save other things, in ways that hooks do not see
    with eager, torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        losses = forward()
    del losses  # held to here: memory that is given back and taken again would count once
    return sum(saved.values()) / 2**20
