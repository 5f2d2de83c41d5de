"""One seed fixes a run."""

from __future__ import annotations

from typing import Any

import torch


def seed_everything(seed: int) -> None:
    """Seeds torch on all devices: weight initialisation. Data draws its own randomness from (seed, epoch, image)."""
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """State of torch's generators, as plain tensors that a checkpoint can hold."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def restore_random_state(state: dict[str, Any]) -> None:
    """Restores what `random_state` returned; device states only where as many devices are there."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
