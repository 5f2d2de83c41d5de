"""oCLIP's objective (section 3.4): the hidden characters, and which words belong to which image.

A step's batch may be spread over processes, and within a process over parts that go through the network one after
the other. Whatever the spread, the mean of the losses over parts and processes is the loss of the whole batch, and so
is its gradient: every part compares its features with those of all others, and its own are given the weight that the
mean takes away (`amplified`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.distributed import gather_rows, rank, total_over_ranks, world_size
from scenetext.pretraining.oclip.config import OclipSettings

if TYPE_CHECKING:
    from scenetext.pretraining.oclip.model import OclipOutputs


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Images and the words that belong to them, as the contrastive loss compares them.

    Attributes:
        images, texts: (B, D) float32, unit length; row i of both belongs together.
        told: (B,) bool; pairs that are false are neither asked for nor offered as an answer.
    """

    images: Tensor
    texts: Tensor
    told: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PartSummary:
    """What the losses of a part need to know of another part of the same step; carries no gradient.

    Attributes:
        pairs: its images and words.
        hidden: scalar int64, its number of hidden characters.
    """

    pairs: Pairs
    hidden: Tensor


def oclip_loss(
    outputs: OclipOutputs, masked: Tensor, settings: OclipSettings, others: Sequence[PartSummary] = ()
) -> dict[str, Tensor]:
    """Unweighted loss terms of one part of a step's batch, float32 scalars, also under autocast.

    Args:
        outputs: of the model.
        masked: (B, N) int64, the hidden character of every word; 0 = nothing hidden, left out.
        others: the other parts of the same process.

    Returns:
        character: L_cls, mean cross-entropy of the hidden characters; 0, tied to the graph, if there is none. Absent in
            the first stage.
        contrastive: L_bc, see `contrastive_loss`. Images without a word are left out of it when words are pooled
            (there is nothing to compare with); the published pooling has a feature for them too, and keeps them.
        Each is this part's share: their mean over parts and processes is the loss of the whole batch.
    """
    with torch.autocast(masked.device.type, enabled=False):
        scale = outputs.logit_scale.float()
        pairs = amplified(pairs_of(outputs, settings), len(others) + 1)
        collected = joined([pairs, *(other.pairs for other in others)])
        losses = {}
        if outputs.character_logits is not None:
            share = character_loss if settings.gather == "exact" else published_character_loss
            losses["character"] = share(outputs.character_logits.float(), masked, [other.hidden for other in others])
        contrast = contrastive_loss if settings.gather == "exact" else published_contrastive_loss
        losses["contrastive"] = contrast(collected, scale)
    return losses


def pairs_of(outputs: OclipOutputs, settings: OclipSettings) -> Pairs:
    """The pairs that a model's outputs stand for."""
    told = outputs.has_words if settings.word_pooling == "words" else torch.ones_like(outputs.has_words)
    return Pairs(outputs.image_features.float(), outputs.text_features.float(), told)


def joined(pairs: Sequence[Pairs]) -> Pairs:
    """Several pairs as one, in their order."""
    if len(pairs) == 1:
        return pairs[0]
    return Pairs(
        torch.cat([each.images for each in pairs]),
        torch.cat([each.texts for each in pairs]),
        torch.cat([each.told for each in pairs]),
    )


def amplified(pairs: Pairs, factor: int) -> Pairs:
    """The same pairs, whose features pass `factor` times their gradient."""
    if factor == 1:
        return pairs
    images, texts = (value + (factor - 1) * (value - value.detach()) for value in (pairs.images, pairs.texts))
    return Pairs(images, texts, pairs.told)


def character_loss(logits: Tensor, masked: Tensor, hidden_elsewhere: Sequence[Tensor] = ()) -> Tensor:
    """Cross-entropy of (B, N, V) logits with (B, N) ids that are not 0; 0 where there is none.

    Args:
        hidden_elsewhere: hidden characters of the other parts. The sum over this part is divided by the mean number of
            hidden characters over all parts of all processes, so that every character of the step weighs the same.
    """
    total = F.cross_entropy(logits.flatten(0, 1), masked.flatten(), ignore_index=0, reduction="sum")
    hidden = torch.stack([masked.count_nonzero(), *hidden_elsewhere]).sum()
    parts = world_size() * (len(hidden_elsewhere) + 1)
    return total * parts / total_over_ranks(hidden).clamp(min=1)


def published_character_loss(logits: Tensor, masked: Tensor, hidden_elsewhere: Sequence[Tensor] = ()) -> Tensor:
    """As the published code has it: every process's own mean in the gradient, the sum of them as the value."""
    total = F.cross_entropy(logits.flatten(0, 1), masked.flatten(), ignore_index=0, reduction="sum")
    own = total / masked.count_nonzero().clamp(min=1)
    return own + (total_over_ranks(own) - own.detach())


def contrastive_loss(pairs: Pairs, scale: Tensor) -> Tensor:
    """CLIP's symmetric loss: each image among all texts and each text among all images, mean of the two directions.

    Each process asks for its own pairs among those of all processes, so it holds B x W B logits, not the square.

    Args:
        pairs: of this process.
        scale: scalar, inverse of the temperature.
    """
    everyone = Pairs(gather_rows(pairs.images), gather_rows(pairs.texts), gather_rows(pairs.told.to(torch.uint8)) > 0)
    total = _both_directions(pairs, everyone, scale, first=rank() * len(pairs.told))
    return total * world_size() / (2 * everyone.told.count_nonzero().clamp(min=1))


def published_contrastive_loss(pairs: Pairs, scale: Tensor) -> Tensor:
    """The same value; but the features of other processes are constants, as the published code gathers them.

    With gradients averaged over W processes, the network gets 1 / W of the exact gradient and `scale` all of it.
    """
    start = rank() * len(pairs.told)
    everyone = Pairs(
        _with_own_block(gather_rows(pairs.images.detach()), pairs.images, start),
        _with_own_block(gather_rows(pairs.texts.detach()), pairs.texts, start),
        gather_rows(pairs.told.to(torch.uint8)) > 0,
    )
    total = _both_directions(everyone, everyone, scale, first=0)
    return total / (2 * everyone.told.count_nonzero().clamp(min=1))


def _with_own_block(gathered: Tensor, own: Tensor, start: int) -> Tensor:
    return torch.cat([gathered[:start], own, gathered[start + len(own) :]])


def _both_directions(asked: Pairs, offered: Pairs, scale: Tensor, first: int) -> Tensor:
    """Sum of the cross-entropies of `asked` among `offered`, of which it is the part that begins at row `first`."""
    # The lowest finite number, not minus infinity: a batch without any word would pass NaN through the softmax's
    # gradient, which is masked out again here but stops a run under torch's anomaly detection.
    lowest = torch.finfo(asked.images.dtype).min
    places = torch.arange(first, first + len(asked.told), device=asked.told.device).masked_fill(~asked.told, -100)
    images_among_texts = scale * asked.images @ offered.texts.T
    texts_among_images = scale * asked.texts @ offered.images.T
    return torch.stack(
        [
            F.cross_entropy(logits.masked_fill(~offered.told, lowest), places, ignore_index=-100, reduction="sum")
            for logits in (images_among_texts, texts_among_images)
        ]
    ).sum()
