"""One seed fixes a run."""

from __future__ import annotations

from typing import Any

import torch


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seeds torch on all devices; data draws its own randomness from (seed, epoch, image).

    Args:
        rank: of this process. Initial weights are drawn with that of the first, since all must start alike; what a
            model draws while it learns (dropout) must differ from process to process.
    """
    torch.manual_seed(seed + rank)


def random_state(device: torch.device) -> dict[str, Any]:
    """State of this process's generators, of the CPU and of its GPU, as plain tensors for a checkpoint.

    Args:
        device: where the process trains; other GPUs are not asked, since that alone would take memory there.
    """
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None}


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Restores what `random_state` returned; the GPU's only where both the run before and this one have one."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
