"""Optimisers: their settings, which parameters they get, and at which learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from scenetext.config import Settings
from scenetext.errors import CheckpointError, ConfigError
from scenetext.training.parameter_groups import (
    ParameterGroup,
    ParameterGroupSettings,
    freeze,
    frozen_by_pattern,
    parameter_groups,
)

FUSED_DEVICES = ("cpu", "cuda")
"""Where torch 2.6 and newer have one kernel for a whole update."""


SETTINGS_IN_GROUPS = ("lr", "weight_decay", "betas", "eps", "momentum", "learning_rate_factor")
"""What torch keeps in its parameter groups, and so in an optimiser's state, although it comes from the settings."""


Decay = Annotated[float, Field(ge=0, lt=1)]
"""Of a moving average."""


class OptimizerSettings(Settings):
    """How weights are updated."""

    name: Literal["adamw", "adam", "sgd", "ranger"] = "adamw"
    """adamw: oCLIP; sgd with momentum: DBNet's published recipe; ranger (RAdam with lookahead and centred gradients,
    TCM): needs `pip install scenetext[ranger]`."""
    learning_rate: PositiveFloat = 1e-4
    """Peak learning rate, reached at the end of the warm-up; for a batch of `base_batch`, if that is given."""
    base_batch: PositiveInt | None = None
    """Images of the batch that `learning_rate` is stated for; the rate grows in proportion to the real batch. null =
    the rate is used as it is."""
    weight_decay: NonNegativeFloat = 0.1
    """Decay of matrices and convolutions; gains, biases, norms and logit_scale have none."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Momentum terms of adam, adamw and ranger (its authors: 0.95, 0.999)."""
    epsilon: PositiveFloat = 1e-8
    """Denominator term of adam, adamw and ranger (its authors: 1e-5)."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of sgd."""
    clip_gradient_norm: PositiveFloat | None = None
    """Gradients are scaled down to this L2 norm where they exceed it; null = never."""
    groups: tuple[ParameterGroupSettings, ...] = ()
    """Parameters that learn slower, faster, with another decay, or not at all."""


def scaled_learning_rate(settings: OptimizerSettings, batch_size: int) -> float:
    """Peak learning rate of a batch, which grows in proportion to it (Goyal et al. 2017, linear scaling rule).

    Args:
        batch_size: images of one optimiser step, those of all processes together.
    """
    return settings.learning_rate * (1 if settings.base_batch is None else batch_size / settings.base_batch)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Sets the learning rate of all parameter groups: this one, times the factor of each."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("learning_rate_factor", 1.0)


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any], name: str, saved: str | None) -> None:
    """Restores an optimiser's state (moments); settings that were changed since then keep their new values.

    Args:
        name: `optimizer.name` now.
        saved: the same in the run that saved the state; None where the checkpoint does not say.

    Raises:
        CheckpointError: the state is of another optimiser, or its parameters are divided into other groups.
    """
    remedy = (
        "resume with the optimizer.name and optimizer.groups of the run that saved it, or go on without its state: "
        "--resume --fresh-optimizer"
    )
    if saved not in (None, name):
        raise CheckpointError(f"optimizer.name: the optimiser's state is of {saved}, not of {name}; {remedy}")
    present = [{key: group[key] for key in SETTINGS_IN_GROUPS if key in group} for group in optimizer.param_groups]
    try:
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise CheckpointError(f"the optimiser's state does not fit ({error}); {remedy}") from error
    for group, settings in zip(optimizer.param_groups, present, strict=True):
        group.update(settings)


def build_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimiser of a model's trainable parameters, fused where the device has such kernels.

    Freezes what the settings freeze. The learning rates stand at those of the settings until `set_learning_rate`.

    Raises:
        ConfigError: everything is frozen, a pattern of `groups` changes nothing, or the optimiser is not installed.
    """
    freeze(model, settings.groups)
    trained = parameter_groups(model, settings.weight_decay, settings.groups)
    if not trained:
        raise ConfigError("optimizer.groups: every parameter is frozen, so there is nothing to train")
    groups = [_torch_group(group, settings.learning_rate) for group in trained]
    if settings.name == "ranger":
        return _build_ranger(groups, settings)
    fused = _can_be_fused(parameter for group in trained for parameter in group.parameters.values())
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, fused=fused)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon, fused=fused)


def describe_groups(model: nn.Module, settings: OptimizerSettings, batch_size: int) -> list[str]:
    """What learns and how fast, one line per group, for the start of a run; after `freeze` or `build_optimizer`."""
    peak = scaled_learning_rate(settings, batch_size)
    stated = (
        "" if settings.base_batch is None else f" ({settings.learning_rate:g} for a batch of {settings.base_batch})"
    )
    lines = [f"{settings.name}, peak learning rate {peak:g}{stated} at a batch of {batch_size}"]
    for group in parameter_groups(model, settings.weight_decay, settings.groups):
        rate = peak * group.settings.learning_rate_factor
        lines.append(
            f"{group.settings.pattern}: {_millions(group.parameters.values())}, "
            f"peak learning rate {rate:g}, weight decay {group.weight_decay:g}"
        )
    frozen = frozen_by_pattern(model, settings.groups).items()
    return lines + [f"{pattern or 'by the model itself'}: {_millions(each)}, frozen" for pattern, each in frozen]


def _millions(parameters: Iterable[nn.Parameter]) -> str:
    return f"{sum(parameter.numel() for parameter in parameters) / 1e6:.4g} M parameters"


def _torch_group(group: ParameterGroup, learning_rate: float) -> dict[str, Any]:
    """A group in torch's form; the factor is a key of its own, so that it is saved with the optimiser's state."""
    factor = group.settings.learning_rate_factor
    return {
        "params": list(group.parameters.values()),
        "weight_decay": group.weight_decay,
        "lr": learning_rate * factor,
        "learning_rate_factor": factor,
    }


def _can_be_fused(parameters: Iterable[nn.Parameter]) -> bool:
    return all(each.device.type in FUSED_DEVICES and each.is_floating_point() for each in parameters)


def _build_ranger(groups: list[dict[str, Any]], settings: OptimizerSettings) -> torch.optim.Optimizer:
    try:
        from pytorch_optimizer import Ranger
    except ImportError:
        raise ConfigError(
            "optimizer.name: ranger needs the package pytorch_optimizer; install it with: pip install scenetext[ranger]"
        ) from None
    # Without degenerated_to_sgd, release 4.1.0 walks up the gradient while RAdam's variance is not known yet (5 steps).
    return Ranger(
        groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon, degenerated_to_sgd=True
    )
