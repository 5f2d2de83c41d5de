"""The peak rates of a device, and the operations and memory of a training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.profiler import ProfilerActivity, profile

from scenetext.benchmark.measurements import Measurement, counted, measured, repeated
from scenetext.errors import DeviceError
from scenetext.structures import Batch
from scenetext.training.device import is_out_of_memory
from scenetext.training.learner import Learner

MATRIX_KINDS = ("bf16", "fp16", "tf32", "fp32")
"""Number formats that matrix products are timed in."""


def rate_name(kind: str) -> str:
    """What the rate of matrix products in a number format is called."""
    return f"matrix products, {kind}"


def matrix_rate(kind: str, side: int, times: int, repetitions: int, device: torch.device) -> Measurement:
    """TFLOP/s of products of square matrices of random numbers: zeros would be faster than real data.

    Args:
        kind: one of `MATRIX_KINDS`.
        side: rows and columns.
        times: products in one sample.
    """
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(kind, torch.float32)
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))

    def multiply() -> None:
        for _ in range(times):
            torch.mm(left, right)

    with _tf32(kind == "tf32"):
        seconds = repeated(multiply, repetitions, device)
    return measured(rate_name(kind), [2 * times * side**3 / each / 1e12 for each in seconds], "TFLOP/s")


def copy_rate(mebibytes: int, repetitions: int, device: torch.device) -> Measurement:
    """GB/s that a copy within the device's memory reads and writes."""
    source = torch.ones(mebibytes << 20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = repeated(lambda: target.copy_(source), repetitions, device)
    return measured(
        "copy within the card, read and written", [2 * source.nbytes / each / 1e9 for each in seconds], "GB/s"
    )


@contextmanager
def _tf32(on: bool) -> Iterator[None]:
    """Whether float32 products may be computed in TF32, where the card has it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if on else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def step_of(learner: Learner, batch: Batch) -> Callable[[], None]:
    """A whole training step on a batch that is on the device: forward, losses, backward, update."""

    def step() -> None:
        learner.accumulate(batch, 0)
        learner.update()

    return step


def largest_batch(step: Callable[[int], object], first: int, last: int, clean: Callable[[], object]) -> int:
    """The largest of first, 2 first, 4 first, ... up to `last` images whose step fits into the device's memory.

    Args:
        step: takes one step of so many images.
        clean: frees what a step that did not fit still holds.

    Raises:
        DeviceError: not even the first fits.
    """
    fits, images = 0, first
    while images <= last and _fits(partial(step, images)):
        fits, images = images, 2 * images
        clean()
    clean()
    if not fits:
        raise DeviceError(f"a step of {first} images does not fit into the device's memory")
    return fits


def _fits(action: Callable[[], object]) -> bool:
    try:
        action()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def most_expensive_operators(
    step: Callable[[], object], device: torch.device, steps: int, count: int = 10
) -> list[Measurement]:
    """The operators that a device spends the most time on, each without those it calls, and what all of them take.

    Args:
        steps: that are recorded, after one that is not.
    """
    step()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        for _ in range(steps):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    own = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"  # microseconds
    # Kernels are listed beside the operators that start them; with both, every microsecond would count twice.
    events = [event for event in profiler.key_averages() if event.device_type.name == "CPU"]
    times = sorted(((getattr(event, own) / 1e3 / steps, event) for event in events), key=lambda pair: -pair[0])
    whole = sum(spent for spent, _ in times)
    named = [counted(f"{event.key}, {event.count // steps} calls", spent, "ms") for spent, event in times[:count]]
    return [*named, counted("all operators", whole, "ms")]
