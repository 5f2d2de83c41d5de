"""The losses of Mask R-CNN: of anchors and of boxes (text or not, and where), and of masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.maskrcnn.anchors import anchor_lists
from scenetext.detectors.maskrcnn.config import MaskRCNNSettings


def loss(maps: Maps, targets: Targets, config: MaskRCNNSettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: what the head and the stages give; the stages have compared them with the targets.
        targets, config: not used.

    Returns:
        anchor_text, box_text: mean cross-entropy of the anchors, and proposals, that were drawn.
        anchor_offset, box_offset: L1 distance of the offsets, summed over those that are text and divided by the number
            of all that were drawn.
        mask: mean cross-entropy of the pixels of masks.
        Scalars float32; 0 and tied to the graph where there is nothing to learn from.
    """
    with torch.autocast(device_type=maps["boxes.text"].device.type, enabled=False):
        levels = zip(*anchor_lists(maps), strict=True)
        logits, offsets = (torch.cat([each.float() for each in parts], dim=1) for parts in zip(*levels, strict=True))
        index = maps["anchors.index"]
        anchor_text, anchor_offset = _text_and_offset(
            logits.gather(1, index), offsets.gather(1, index[..., None].expand(-1, -1, 4)), maps, "anchors"
        )
        box_text, box_offset = _text_and_offset(maps["boxes.text"].float(), maps["boxes.offset"].float(), maps, "boxes")
        return {
            "anchor_text": anchor_text,
            "anchor_offset": anchor_offset,
            "box_text": box_text,
            "box_offset": box_offset,
            "mask": _mask_loss(maps["masks.logits"][:, :, 0].float(), maps["masks.wanted"], maps["masks.valid"]),
        }


def _text_and_offset(logits: Tensor, offsets: Tensor, maps: Maps, stage: str) -> tuple[Tensor, Tensor]:
    """Cross-entropy (B, P) and L1 distance (B, P, 4) of the places of a stage; Faster R-CNN, equation 1."""
    valid, label, wanted = (maps[f"{stage}.{key}"] for key in ("valid", "label", "wanted"))
    count = valid.sum().clamp(min=1)
    text = F.binary_cross_entropy_with_logits(logits, label, reduction="none")
    distance = (offsets - wanted).abs().sum(dim=2)
    return (text * valid).sum() / count, (distance * label * valid).sum() / count


def _mask_loss(logits: Tensor, wanted: Tensor, valid: Tensor) -> Tensor:
    """Mean cross-entropy of the pixels of valid masks (B, P, 28, 28)."""
    each = F.binary_cross_entropy_with_logits(logits, wanted.float(), reduction="none").mean(dim=(2, 3))
    return (each * valid).sum() / valid.sum().clamp(min=1)
