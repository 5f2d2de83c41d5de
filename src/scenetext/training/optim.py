"""Optimisers, which parameters they decay, and learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat
from torch import nn

from scenetext.config import Settings


class OptimizerSettings(Settings):
    """How weights are updated."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """adamw: oCLIP and most detectors here; sgd with momentum: DBNet's published recipe."""
    learning_rate: PositiveFloat = 1e-4
    """Peak learning rate, reached at the end of the warm-up."""
    weight_decay: NonNegativeFloat = 0.1
    """Decay of matrices and convolutions; gains, biases, norms and logit_scale have none."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Momentum terms of adam and adamw."""
    epsilon: PositiveFloat = 1e-8
    """Denominator term of adam and adamw."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of sgd."""
    clip_gradient_norm: PositiveFloat | None = None
    """Gradients are scaled down to this L2 norm where they exceed it; null = never."""


class ScheduleSettings(Settings):
    """How the learning rate moves over the steps of a run."""

    name: Literal["cosine", "polynomial", "constant"] = "cosine"
    """After the warm-up: cosine to zero (oCLIP), (1 - progress)^power (detectors), or flat."""
    warmup_steps: NonNegativeInt = 0
    """Steps of linear warm-up; step s of them has (s + 1) / warmup_steps of the peak (oCLIP)."""
    power: PositiveFloat = 0.9
    """Exponent of the polynomial schedule."""


def learning_rate_factor(step: int, total_steps: int, settings: ScheduleSettings) -> float:
    """Share of the peak learning rate at a step, 0 <= step < total_steps. oCLIP, implementation details."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(total_steps - settings.warmup_steps, 1)
    if settings.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if settings.name == "polynomial":
        return (1 - progress) ** settings.power
    return 1.0


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Sets one learning rate for all parameter groups."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Trainable parameters in two groups: matrices and kernels are decayed, everything of fewer than two axes is not.

    Gains, biases, norms (those in shortcuts too) and logit_scale have fewer than two axes. The published oCLIP code
    looks for name parts instead and so decays the batch norms of the shortcuts; ours does not.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trainable if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trainable if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def build_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimiser of a model's trainable parameters; fused kernels, which the CPU has too."""
    groups = parameter_groups(model, settings.weight_decay)
    rate = settings.learning_rate
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, fused=True)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, betas=settings.betas, eps=settings.epsilon, fused=True)
