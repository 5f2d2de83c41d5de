"""A trained detector made ready to be used: what only its training needs goes, and it computes as fast as it can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from scenetext.layers.folding import fold_batch_norms
from scenetext.tasks.detection import DetectionTask

InferencePrecision = Literal["auto", "fp32", "bf16"]
"""auto = bf16 on a CPU that multiplies in it, else fp32."""
_TRIAL_SIZE = (64, 96)
"""Height and width of the image of the pass in which batch norms are matched with convolutions."""


@dataclass(frozen=True)
class Inference:
    """How a prepared detector computes.

    Attributes:
        device: where.
        precision: of its network; what is decoded is float32.
        folded: batch norms that became part of convolutions.
        runtime: what computes it instead of PyTorch; None = nothing.
    """

    device: torch.device
    precision: Literal["fp32", "bf16"]
    folded: int
    runtime: str | None = None

    def __str__(self) -> str:
        if self.runtime is not None:
            return f"network: {self.runtime}"
        precise = ", rounded to bf16 (--precision fp32 computes without)" if self.precision == "bf16" else " in fp32"
        return f"network: on {self.device}{precise}, {self.folded} batch norms folded into convolutions"


def prepare_for_inference(
    task: DetectionTask, device: torch.device, precision: InferencePrecision = "fp32"
) -> Inference:
    """Changes a task in place, so that `detect` is quick: it cannot be trained or saved any more.

    Batch norms are folded into convolutions and maps that only losses read are not made. In fp32, its maps are those
    of the task as it was but for rounding (about 1e-6 of their values).

    Args:
        task: with its weights. Where another runtime computes its encoder and head, the head says so by an attribute
            `runtime`, and the precision is that of the exported network.
        device: where it runs.
        precision: bf16 rounds the inputs of convolutions and matrix products to 8 bits of mantissa.
    """
    task.to(device).to(memory_format=torch.channels_last).eval()
    for name in task.spec.training_maps:
        delattr(task.head, name)
    trial = torch.randint(256, (1, 3, *_TRIAL_SIZE), dtype=torch.uint8, device=device)
    with torch.no_grad():
        folded = fold_batch_norms(task, lambda: task.maps(trial))
    task.to(memory_format=torch.channels_last)
    runtime: str | None = getattr(task.head, "runtime", None)
    chosen = _chosen(precision, device) if runtime is None else "fp32"
    task.autocast = torch.bfloat16 if chosen == "bf16" else None
    return Inference(device, chosen, folded, runtime)


def _chosen(precision: InferencePrecision, device: torch.device) -> Literal["fp32", "bf16"]:
    if precision == "auto":
        return "bf16" if device.type == "cpu" and cpu_multiplies_bf16() else "fp32"
    return precision


def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has instructions for products of bf16 numbers (AMX or AVX-512), as torch sees it."""
    asked = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(ask is not None and ask() for ask in asked)
