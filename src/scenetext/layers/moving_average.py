"""Arithmetic of moving averages of weights, which the trainer's average and teachers share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def moving_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Tensors of floating point that training changes; a shared one once, buffers that are not saved are constants."""
    by_identity: dict[int, tuple[str, Tensor]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if value.is_floating_point() and (value.requires_grad or not isinstance(value, nn.Parameter)):
            by_identity.setdefault(id(value), (name, value))
    return dict(by_identity.values())


@torch.no_grad()
def move_averages(averages: Mapping[str, Tensor], values: Mapping[str, Tensor], decay: float) -> None:
    """Each average becomes decay * average + (1 - decay) * value, in place.

    Args:
        averages: by name.
        values: the present ones of at least the same names.
        decay: in [0, 1].
    """
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average(list(averages.values()), [values[name].detach() for name in averages], 0)
