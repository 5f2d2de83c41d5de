"""Exponential moving average of a model's weights, to be evaluated and published instead of the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import Field
from torch import nn

from scenetext.config import Settings
from scenetext.errors import CheckpointError
from scenetext.layers.moving_average import move_averages, moving_tensors


class AveragingSettings(Settings):
    """How the average of the weights follows them."""

    decay: float = Field(default=0.999, gt=0, lt=1)
    """Share of the average that stays at each step; the average looks back about 1 / (1 - decay) steps."""
    warmup: bool = True
    """Lets the n-th update, from 0, keep at most (1 + n) / (10 + n), so that initial weights are soon forgotten."""


class WeightAverage:
    """A moving average of what training changes in a model: trainable parameters, and buffers of floating point.

    Running statistics of norms are averaged like weights: those of the last step belong to the last weights, the
    averaged network sees other activations. Counters and frozen parameters are not kept twice.

    torch's `AveragedModel` would hold a second whole model, frozen parts included, with an average of integer counters,
    and would have to be evaluated instead of the task; so only its arithmetic is used here.

    Args:
        model: the bare model, not its wrapper for several processes, on the device where it is trained and frozen as
            it will be. The average starts at its present weights.
        settings: decay and its warm-up.

    Attributes:
        averages: name -> average, on the device and in the memory layout of the original.
        updates: how many there were.
    """

    def __init__(self, model: nn.Module, settings: AveragingSettings) -> None:
        self.settings = settings
        self.averages = {name: value.detach().clone() for name, value in moving_tensors(model).items()}
        self.updates = 0
        self._swapped = False

    def update(self, model: nn.Module) -> None:
        """Moves the averages toward the present weights; to be called after every optimiser step."""
        decay = self.settings.decay
        if self.settings.warmup:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        move_averages(self.averages, moving_tensors(model), decay)
        self.updates += 1

    @contextmanager
    def in_place_of_weights(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model has the averaged weights; afterwards its own again, bit for bit, also after an error.

        Values are swapped within the existing tensors, so that the optimiser, wrappers and compiled code still refer to
        the right ones, and no third copy of the weights is made.
        """
        self._swap(model)
        self._swapped = True
        try:
            yield
        finally:
            self._swap(model)
            self._swapped = False

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on with the same bits, as plain data; the tensors are not copied.

        Raises:
            RuntimeError: the averages are in the model at present, so the state would be that of the model.
        """
        if self._swapped:
            raise RuntimeError("the averages are swapped with the weights; save outside in_place_of_weights")
        return {"updates": self.updates, "averages": dict(self.averages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over a saved state.

        Raises:
            CheckpointError: it is of other tensors, as where another part of the model was frozen.
        """
        saved = {name: tuple(value.shape) for name, value in state["averages"].items()}
        own = {name: tuple(value.shape) for name, value in self.averages.items()}
        if saved != own:
            names = sorted(name for name in saved.keys() | own.keys() if saved.get(name) != own.get(name))
            raise CheckpointError(
                f"the saved average of the weights does not fit what is trained here: {len(names)} tensors differ, "
                f"such as {', '.join(names[:3])}; freeze the same parts as the run that saved it"
            )
        for name, value in self.averages.items():
            value.copy_(state["averages"][name])
        self.updates = int(state["updates"])

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        values = moving_tensors(model)
        for name, average in self.averages.items():
            held = values[name].detach().clone()
            values[name].copy_(average)
            average.copy_(held)
