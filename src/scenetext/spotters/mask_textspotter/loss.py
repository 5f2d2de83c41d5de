"""The losses of Mask TextSpotter: of kernels, boxes, masks, character maps and readings (section 3.5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.layers.pixel_losses import dice_loss
from scenetext.layers.stages import of_stage
from scenetext.spotters.mask_textspotter.characters import NOT_KNOWN
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings


def loss(maps: Maps, targets: Targets, config: MaskTextSpotterSettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: what the head and the stages give; the stages have compared them with the targets.
        targets: kernels.
        config: says how texts are read.

    Returns:
        segmentation: dice over all pixels of the batch.
        box_text: mean cross-entropy of the proposals that were drawn; box_offset: smooth L1 distance of the offsets,
            summed over those that are text and divided by the number of all that were drawn.
        mask, character: mean cross-entropy of the pixels; see `character_loss`.
        reading: negative log-likelihood of a text, mean over those that are known.
        Scalars float32; 0 and tied to the graph where there is nothing to learn from.
    """
    with torch.autocast(device_type=maps["probability"].device.type, enabled=False):
        box_text, box_offset = _box_losses(maps)
        masks = maps["masks.valid"]
        return {
            "segmentation": dice_loss(
                maps["probability"].float().sigmoid(), targets["kernels"], targets["kernels_valid"]
            ),
            "box_text": box_text,
            "box_offset": box_offset,
            "mask": _mask_loss(maps["masks.logits"].float(), maps["masks.wanted"], masks),
            "character": _character_term(maps, masks),
            "reading": config.recognizer.loss(of_stage(maps, "masks"), masks),
        }


def character_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of character maps, mean over the pixels weighted by their class.

    The weight of the background is 1 and that of every character (M - n) / n in a region of M pixels, n of them of
    characters; of all regions together the mean.

    Args:
        logits: (R, C + 1, S, S), background first.
        wanted: (R, S, S) int64, `NOT_KNOWN` where a pixel does not count.

    Returns:
        Scalar float32. Source: Mask TextSpotter (ECCV 2018), equations 4 and 5, with weights in the published code.
    """
    annotated = (wanted != NOT_KNOWN).flatten(1).any(dim=1)
    count = (wanted > 0).flatten(1).sum(dim=1)
    pixels = wanted[0].numel()
    weight = torch.where(count > 0, (pixels - count) / count.clamp(min=1), 1.0)
    characters = torch.where(annotated, weight, 0).sum() / annotated.sum().clamp(min=1)
    known = wanted != NOT_KNOWN
    each = F.cross_entropy(logits, wanted.clamp(min=0), reduction="none")
    weights = torch.where(wanted > 0, characters, 1.0) * known
    return (each * weights).sum() / weights.sum().clamp(min=1e-6)


def _character_term(maps: Maps, valid: Tensor) -> Tensor:
    """The loss of the character maps; 0 without them."""
    if "masks.characters" not in maps:
        return maps["masks.logits"].float().sum() * 0
    wanted = torch.where(valid[..., None, None], maps["masks.wanted_characters"], NOT_KNOWN)
    return character_loss(maps["masks.characters"].float().flatten(0, 1), wanted.flatten(0, 1))


def _box_losses(maps: Maps) -> tuple[Tensor, Tensor]:
    """Cross-entropy and smooth L1 distance of the proposals; Fast R-CNN, equations 1 and 2."""
    valid, label = maps["boxes.valid"], maps["boxes.label"]
    count = valid.sum().clamp(min=1)
    text = F.binary_cross_entropy_with_logits(maps["boxes.text"].float(), label, reduction="none")
    distance = F.smooth_l1_loss(maps["boxes.offset"].float(), maps["boxes.wanted"], reduction="none").sum(dim=2)
    return (text * valid).sum() / count, (distance * label * valid).sum() / count


def _mask_loss(logits: Tensor, wanted: Tensor, valid: Tensor) -> Tensor:
    """Mean cross-entropy of the pixels of valid masks (B, P, S, S)."""
    each = F.binary_cross_entropy_with_logits(logits, wanted.float(), reduction="none").mean(dim=(2, 3))
    return (each * valid).sum() / valid.sum().clamp(min=1)
