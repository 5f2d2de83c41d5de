"""oCLIP's objective (section 3.4): the hidden characters, and which words belong to which image.

A step's batch may be spread over processes, and within a process over micro-batches (gradient accumulation). The mean
of the losses over micro-batches and processes is always the loss of the whole batch, and so is its gradient: every
micro-batch compares its features with those of all others, and the gradient of its own features is multiplied by the
number of micro-batches, by which the mean divides it (`with_scaled_gradient`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.distributed import share_of_each, total_over_ranks
from scenetext.layers.contrastive import (
    Pairs,
    concatenated,
    contrastive_loss,
    published_contrastive_loss,
    with_scaled_gradient,
)
from scenetext.pretraining.oclip.config import OclipSettings

if TYPE_CHECKING:
    from scenetext.pretraining.oclip.model import OclipOutputs


LEAST_ATTENTION = 1e-6
"""Below it, where a word is not looked at costs no more."""


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatchSummary:
    """What the losses of a micro-batch need to know of another one of the same step; carries no gradient.

    Attributes:
        pairs: its images and words.
        hidden: scalar int64, its number of hidden characters.
        placed: scalar int64, its number of words of known place; 0 where nothing is learnt of places.
    """

    pairs: Pairs
    hidden: Tensor
    placed: Tensor


def oclip_loss(
    outputs: OclipOutputs,
    masked: Tensor,
    settings: OclipSettings,
    others: Sequence[MicroBatchSummary] = (),
    cells: Tensor | None = None,
) -> dict[str, Tensor]:
    """Unweighted loss terms of one micro-batch, float32 scalars, also under autocast.

    Args:
        outputs: of the model.
        masked: (B, N) int64, the hidden character of every word; 0 = nothing hidden, excluded.
        others: the other micro-batches of the same process.
        cells: (B, N, h, w) bool, see `targets.covered_cells`; where the model gives `looks`.

    Returns:
        character: L_cls, mean cross-entropy of the hidden characters; 0, tied to the graph, if there is none. Absent in
            the first stage.
        contrastive: L_bc, see `contrastive_loss`. Images without a word are excluded from it when words are pooled
            (there is nothing to compare with); the published pooling has a feature for them too, and keeps them.
        place: only with a weight, see `place_loss`.
        Each is this micro-batch's share: their mean over micro-batches and processes is the loss of the whole batch.
    """
    with torch.autocast(masked.device.type, enabled=False):
        scale = outputs.logit_scale.float()
        pairs = with_scaled_gradient(pairs_of(outputs, settings), len(others) + 1)
        collected = concatenated([pairs, *(other.pairs for other in others)])
        losses = {}
        if outputs.character_logits is not None:
            share = character_loss if settings.gather == "exact" else published_character_loss
            losses["character"] = share(outputs.character_logits.float(), masked, [other.hidden for other in others])
        if outputs.looks is not None and cells is not None:
            losses["place"] = place_loss(outputs.looks, cells, [other.placed for other in others])
        contrast = contrastive_loss if settings.gather == "exact" else published_contrastive_loss
        losses["contrastive"] = contrast(collected, scale)
    return losses


def pairs_of(outputs: OclipOutputs, settings: OclipSettings) -> Pairs:
    """The pairs that a model's outputs stand for."""
    valid = outputs.has_words if settings.word_pooling == "words" else torch.ones_like(outputs.has_words)
    return Pairs(outputs.image_features.float(), outputs.text_features.float(), valid)


def character_loss(logits: Tensor, masked: Tensor, hidden_elsewhere: Sequence[Tensor] = ()) -> Tensor:
    """Cross-entropy of (B, N, V) logits with (B, N) ids that are not 0; 0 where there is none.

    Args:
        hidden_elsewhere: hidden characters of the other micro-batches. The sum over this one is divided by the mean
            number over all micro-batches of all processes, so that every character of the step weighs the same.
    """
    total = F.cross_entropy(logits.flatten(0, 1), masked.flatten(), ignore_index=0, reduction="sum")
    return total * share_of_each(masked.count_nonzero(), hidden_elsewhere)


def place_loss(looks: Tensor, cells: Tensor, placed_elsewhere: Sequence[Tensor] = ()) -> Tensor:
    """How little the decoder looks at a word where it is; not in the paper.

    Args:
        looks: (blocks, B, N, S) attention that sums to 1 over the S cells of the image.
        cells: (B, N, h, w) bool, h * w = S, the cells of every word; none = its place is unknown, excluded.
        placed_elsewhere: words of known place of the other micro-batches, as for `character_loss`.

    Returns:
        The negative logarithm of the attention on the word's own cells together, mean over blocks and words.
    """
    own = cells.flatten(2)
    seen = (looks * own).sum(dim=-1).clamp(min=LEAST_ATTENTION)
    total = -(seen.log().mean(dim=0) * own.any(dim=-1)).sum()
    return total * share_of_each(placed_words(cells), placed_elsewhere)


def placed_words(cells: Tensor) -> Tensor:
    """Scalar int64, the words of (B, N, h, w) bool that have a cell."""
    return cells.flatten(2).any(dim=-1).count_nonzero()


def published_character_loss(logits: Tensor, masked: Tensor, hidden_elsewhere: Sequence[Tensor] = ()) -> Tensor:
    """As the published code has it: every process's own mean in the gradient, the sum of them as the value."""
    total = F.cross_entropy(logits.flatten(0, 1), masked.flatten(), ignore_index=0, reduction="sum")
    own = total / masked.count_nonzero().clamp(min=1)
    return own + (total_over_ranks(own) - own.detach())
