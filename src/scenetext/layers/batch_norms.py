"""The running statistics of batch norms: when they are updated, and when they must not be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """All batch norms within a module, synchronised ones too."""
    return [part for part in module.modules() if isinstance(part, _BatchNorm)]


def hold_statistics(module: nn.Module) -> None:
    """Makes batch norms normalise by their running statistics without updating them; undone by `module.train()`.

    Their gains and biases are still learnt.
    """
    for norm in batch_norms(module):
        norm.eval()


@contextmanager
def statistics_untouched(module: nn.Module) -> Iterator[None]:
    """Within, batch norms in training mode normalise by the batch as always, and their running statistics stay.

    For a second forward pass over the same images. The statistics are still handed to the operator (with a
    momentum of 0), so that what it saves for the gradient is the same in number and shape.
    """
    norms = [norm for norm in batch_norms(module) if norm.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches


class StatisticsSnapshot:
    """The running statistics of a module's batch norms as they are now, to go back to."""

    def __init__(self, module: nn.Module) -> None:
        self._buffers: list[Tensor] = [buffer for norm in batch_norms(module) for buffer in norm.buffers()]
        self._values = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def restore(self) -> None:
        """Puts the statistics back."""
        for buffer, value in zip(self._buffers, self._values, strict=True):
            buffer.copy_(value)
