"""The contrastive loss: which words belong to which image (CLIP; oCLIP, section 3.4), over micro-batches and processes.

A step's batch may be spread over processes, and within a process over micro-batches (gradient accumulation). The mean
of the losses over micro-batches and processes is always the loss of the whole batch, and so is its gradient: every
micro-batch compares its features with those of all others, and the gradient of its own features is multiplied by the
number of micro-batches, by which the mean divides it (`with_scaled_gradient`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.distributed import gather_rows, rank, world_size

LOWEST_TEMPERATURE = 0.01
"""Bound of the contrastive temperature, CLIP's."""
FIRST_TEMPERATURE = 0.07
"""Contrastive temperature at the start, CLIP's."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Images and the words that belong to them, as the contrastive loss compares them.

    Attributes:
        images, texts: (B, D) float32, unit length; row i of both belongs together.
        valid: (B,) bool; pairs that are false are excluded, as queries and as candidates.
    """

    images: Tensor
    texts: Tensor
    valid: Tensor


def concatenated(pairs: Sequence[Pairs]) -> Pairs:
    """Several pairs as one, in their order."""
    if len(pairs) == 1:
        return pairs[0]
    return Pairs(
        torch.cat([each.images for each in pairs]),
        torch.cat([each.texts for each in pairs]),
        torch.cat([each.valid for each in pairs]),
    )


def with_scaled_gradient(pairs: Pairs, factor: int) -> Pairs:
    """The same pairs; the gradient of their features is multiplied by `factor`."""
    if factor == 1:
        return pairs
    images, texts = (value + (factor - 1) * (value - value.detach()) for value in (pairs.images, pairs.texts))
    return Pairs(images, texts, pairs.valid)


def contrastive_loss(pairs: Pairs, scale: Tensor) -> Tensor:
    """CLIP's symmetric loss: each image among all texts and each text among all images, mean of the two directions.

    Each process compares its own pairs with those of all W processes, so it holds B x W B logits, not (W B)^2.

    Args:
        pairs: of this process.
        scale: scalar, inverse of the temperature.
    """
    gathered = Pairs(gather_rows(pairs.images), gather_rows(pairs.texts), gather_rows(pairs.valid.to(torch.uint8)) > 0)
    total = _both_directions(pairs, gathered, scale, first=rank() * len(pairs.valid))
    # Times W: gradients are averaged over processes, and this sum has only the pairs of one.
    return total * world_size() / (2 * gathered.valid.count_nonzero().clamp(min=1))


def published_contrastive_loss(pairs: Pairs, scale: Tensor) -> Tensor:
    """The same value; but the features of other processes are constants, as the published code gathers them.

    With gradients averaged over W processes, the network gets 1 / W of the exact gradient and `scale` all of it.
    """
    start = rank() * len(pairs.valid)
    gathered = Pairs(
        _with_own_block(gather_rows(pairs.images.detach()), pairs.images, start),
        _with_own_block(gather_rows(pairs.texts.detach()), pairs.texts, start),
        gather_rows(pairs.valid.to(torch.uint8)) > 0,
    )
    total = _both_directions(gathered, gathered, scale, first=0)
    return total / (2 * gathered.valid.count_nonzero().clamp(min=1))


def _with_own_block(gathered: Tensor, own: Tensor, start: int) -> Tensor:
    return torch.cat([gathered[:start], own, gathered[start + len(own) :]])


def _both_directions(queries: Pairs, candidates: Pairs, scale: Tensor, first: int) -> Tensor:
    """Sum of the cross-entropies of `queries` among `candidates`, whose rows from `first` on they are."""
    # The lowest finite number, not minus infinity: a batch without any word would pass NaN through the softmax's
    # gradient, which is masked out again here but stops a run under torch's anomaly detection.
    lowest = torch.finfo(queries.images.dtype).min
    labels = torch.arange(first, first + len(queries.valid), device=queries.valid.device)
    labels = labels.masked_fill(~queries.valid, -100)
    images_among_texts = scale * queries.images @ candidates.texts.T
    texts_among_images = scale * queries.texts @ candidates.images.T
    return torch.stack(
        [
            F.cross_entropy(logits.masked_fill(~candidates.valid, lowest), labels, ignore_index=-100, reduction="sum")
            for logits in (images_among_texts, texts_among_images)
        ]
    ).sum()


def inverse_temperature(logit_scale: Tensor, clamped: bool, training: bool) -> Tensor:
    """exp(logit_scale), at most 100 where clamped.

    In training the parameter itself is put back to the bound, as CLIP's training does: a clamp in the graph alone
    would leave it without gradient above the bound, where it would stay.
    """
    if not clamped:
        return logit_scale.exp()
    bound = -math.log(LOWEST_TEMPERATURE)
    if not training:
        return logit_scale.clamp(max=bound).exp()
    with torch.no_grad():
        logit_scale.clamp_(max=bound)
    return logit_scale.exp()
