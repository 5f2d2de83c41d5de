"""ODM's objective: the map, how a text detector sees it, and which words belong to which image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.distributed import share_of_each
from scenetext.layers.contrastive import Pairs, concatenated, contrastive_loss, with_scaled_gradient
from scenetext.pretraining.odm.config import OdmSettings
from scenetext.pretraining.odm.perceptual import PerceptualLoss

if TYPE_CHECKING:
    from scenetext.contracts import Targets
    from scenetext.pretraining.odm.model import OdmOutputs

CELL_PIXELS = 4
"""Pixels of the label in a cell of the map."""
EMPTY_SHARE = 0.01
"""Share of the map's area that is added to both sides of the overlap, so that a map without strokes has one too."""


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatchSummary:
    """What the losses of a micro-batch need to know of another one of the same step; carries no gradient.

    Attributes:
        pairs: its images and words.
        located: scalar int64, its images that have a map.
    """

    pairs: Pairs
    located: Tensor


def odm_loss(
    outputs: OdmOutputs,
    targets: Targets,
    settings: OdmSettings,
    perceptual: PerceptualLoss | None = None,
    others: Sequence[MicroBatchSummary] = (),
) -> dict[str, Tensor]:
    """Unweighted loss terms of one micro-batch, float32 scalars, also under autocast.

    Args:
        outputs: of the model.
        targets: see `targets.training_targets`.
        perceptual: what looks at the maps; None = no such term.
        others: the other micro-batches of the same process.

    Returns:
        map: mean binary cross-entropy over the pixels of all images that have a map. The network draws one logit for
            four pixels, so it is compared with their mean, which is the same.
        dice: one minus the overlap of drawn and true strokes, the mean over the same images; only with a weight.
        perceptual: see `PerceptualLoss`; the mean over the same images.
        contrastive: see `layers.contrastive`; images without words of their own are excluded where words are pooled.
        Each is this micro-batch's share: their mean over micro-batches and processes is the loss of the whole batch.
    """
    located = targets["located"]
    share = _share_of_step(located, [other.located for other in others])
    with torch.autocast(located.device.type, enabled=False):
        logits = outputs.logits.float()[:, 0]
        losses = {"map": (share * _map_loss(logits, targets["map"])).sum()}
        if settings.loss_weights["dice"]:
            losses["dice"] = (share * _dice_loss(logits, targets["map"])).sum()
        if perceptual is not None:
            losses["perceptual"] = (share * perceptual(logits.sigmoid(), targets["grey"] / 255)).sum()
        pairs = with_scaled_gradient(pairs_of(outputs, settings), len(others) + 1)
        collected = concatenated([pairs, *(other.pairs for other in others)])
        losses["contrastive"] = contrastive_loss(collected, outputs.logit_scale.float())
    return losses


def pairs_of(outputs: OdmOutputs, settings: OdmSettings) -> Pairs:
    """The images and words that a model's outputs stand for."""
    return make_pairs(outputs.image_features, outputs.text_features, outputs.has_words, settings)


def make_pairs(images: Tensor, texts: Tensor, has_words: Tensor, settings: OdmSettings) -> Pairs:
    """(B, D) features each, and which images (B,) count: all where slots are pooled, as published."""
    valid = has_words if settings.word_pooling == "words" else torch.ones_like(has_words)
    return Pairs(images.float(), texts.float(), valid)


def _map_loss(logits: Tensor, strokes: Tensor) -> Tensor:
    """(B,) mean over cells, of logits (B, h, w) and the strokes among the pixels of each cell."""
    target = strokes.float() / CELL_PIXELS
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(1, 2))


def _dice_loss(logits: Tensor, strokes: Tensor) -> Tensor:
    """(B,) one minus 2 P T / (|P|^2 + |T|^2), of logits (B, h, w) and the strokes among the pixels of each cell."""
    expected, drawn = strokes.float().flatten(1) / CELL_PIXELS, logits.sigmoid().flatten(1)
    least = EMPTY_SHARE * expected.shape[1]
    both = drawn.square().sum(dim=1) + expected.square().sum(dim=1)
    return 1 - (2 * (drawn * expected).sum(dim=1) + least) / (both + least)


def _share_of_step(located: Tensor, elsewhere: Sequence[Tensor]) -> Tensor:
    """(B,) weights of images, so that sums over micro-batches, averaged over these and processes, are means of the
    step over its images with a map."""
    return located.float() * share_of_each(located.count_nonzero(), elsewhere)
