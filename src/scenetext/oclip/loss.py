"""oCLIP's objective (section 3.4): the hidden characters, and which words belong to which image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.oclip.config import OclipSettings

if TYPE_CHECKING:
    from scenetext.oclip.model import OclipOutputs


def oclip_loss(outputs: OclipOutputs, masked: Tensor, settings: OclipSettings) -> dict[str, Tensor]:
    """Unweighted loss terms, float32 scalars, also under autocast.

    Args:
        outputs: of the model.
        masked: (B, N) int64, the hidden character of every word; 0 = nothing hidden, left out.

    Returns:
        character: L_cls, mean cross-entropy of the hidden characters; 0, tied to the graph, if there is none. Absent in
            the first stage.
        contrastive: L_bc, see `contrastive_loss`. Images without a word are left out of it when words are pooled
            (there is nothing to compare with); the published pooling has a feature for them too, and keeps them.
    """
    with torch.autocast(masked.device.type, enabled=False):
        told = outputs.has_words if settings.word_pooling == "words" else torch.ones_like(outputs.has_words)
        losses = {}
        if outputs.character_logits is not None:
            losses["character"] = character_loss(outputs.character_logits.float(), masked)
        losses["contrastive"] = contrastive_loss(
            outputs.image_features.float(), outputs.text_features.float(), outputs.logit_scale.float(), told
        )
    return losses


def character_loss(logits: Tensor, masked: Tensor) -> Tensor:
    """Cross-entropy of (B, N, V) logits with (B, N) ids, mean over the ids that are not 0; 0 where there is none."""
    total = F.cross_entropy(logits.flatten(0, 1), masked.flatten(), ignore_index=0, reduction="sum")
    return total / masked.count_nonzero().clamp(min=1)


def contrastive_loss(image_features: Tensor, text_features: Tensor, scale: Tensor, told: Tensor) -> Tensor:
    """CLIP's symmetric loss: each image among all texts and each text among all images, mean of the two directions.

    Args:
        image_features, text_features: (B, D), unit length; row i of both belongs together.
        scale: scalar, inverse of the temperature.
        told: (B,) bool; pairs that are false are neither asked for nor offered as an answer.
    """
    logits = scale * image_features @ text_features.T
    # The lowest finite number, not minus infinity: a batch without any word would pass NaN through the softmax's
    # gradient, which is masked out again here but stops a run under torch's anomaly detection.
    lowest = torch.finfo(logits.dtype).min
    pairs = torch.arange(len(logits), device=logits.device).masked_fill(~told, -100)
    both = [
        F.cross_entropy(each.masked_fill(~told, lowest), pairs, ignore_index=-100, reduction="sum")
        for each in (logits, logits.T)
    ]
    return (both[0] + both[1]) / (2 * told.count_nonzero().clamp(min=1))
