"""Metrics of the training steps between two lines of the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from scenetext.training.device import peak_memory


@dataclass
class StepWindow:
    """Sums over the training steps since the last logged line.

    Attributes:
        waited: seconds spent waiting for data.
        values: of the loss terms and the gradient norm, by name; norms that overflowed under fp16 are not among them.
    """

    started: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    images: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, values: Mapping[str, float], images: int, overflowed: bool = False) -> None:
        """Adds one step.

        Args:
            values: loss terms, "loss" among them, and "gradient_norm", which is skipped where it overflowed.
            images: of the step.
            overflowed: whether gradients did under fp16.
        """
        self.images += images
        for name, value in values.items():
            if not (overflowed and name == "gradient_norm"):
                self.values.setdefault(name, []).append(value)

    def metrics(self, learning_rate: float, device: torch.device) -> dict[str, float]:
        """Means of the losses, the learning rate, images per second, the share of time spent waiting for data, and the
        most memory that this process has held so far, in GiB: on a GPU that of the GPU."""
        elapsed = max(time.monotonic() - self.started, 1e-9)
        means = {name: sum(values) / len(values) for name, values in self.values.items()}
        loss = means.pop("loss")
        return {
            "loss": loss,
            **means,
            "learning_rate": learning_rate,
            "images_per_second": self.images / elapsed,
            "waiting_share": self.waited / elapsed,
            "memory_gib": peak_memory(device) / 2**30,
        }

    def exclude(self, seconds: float) -> None:
        """Excludes time that was not spent training (an evaluation) from the rates."""
        self.started += seconds

    def reset(self) -> None:
        """Starts again from zero."""
        self.started, self.waited, self.images, self.values = time.monotonic(), 0.0, 0, {}
