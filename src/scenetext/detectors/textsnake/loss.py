"""The losses of TextSnake (section 3.5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.textsnake.config import TextSnakeSettings
from scenetext.layers.pixel_losses import balanced_cross_entropy, masked_mean, unit_direction


def loss(maps: Maps, targets: Targets, config: TextSnakeSettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: what the head gives.
        targets: what `targets` makes, with leading axis B.
        config: share of negatives.

    Returns:
        text: cross-entropy of the text region, over text and the hardest background outside ignored text.
        centre: mean cross-entropy of the centre region over text, so never outside of it.
        radius: mean smooth L1 distance of predicted / true radius from 1, over the centre region.
        sin, cos: mean smooth L1 distance over the centre region, the predicted pair brought to unit length.
        Scalars float32, finite also without any text.
    """
    with torch.autocast(device_type=maps["text"].device.type, enabled=False):
        valid = targets["valid"] != 0
        text, centre = (targets["text"] != 0) & valid, (targets["centre"] != 0) & valid
        predicted = {name: maps[name].float() for name in ("centre", "sin", "cos", "radius")}
        sin, cos = unit_direction(predicted["sin"], predicted["cos"])
        ratio = predicted["radius"] / (targets["radius"] + 1e-2)
        cross_entropy = F.binary_cross_entropy_with_logits(predicted["centre"], centre.float(), reduction="none")
        return {
            "text": balanced_cross_entropy(
                maps["text"], targets["text"], targets["valid"], config.negative_ratio, config.negatives_without_text
            ),
            "centre": masked_mean(cross_entropy, text),
            "radius": _distance(ratio, torch.ones_like(ratio), centre),
            "sin": _distance(sin, targets["sin"], centre),
            "cos": _distance(cos, targets["cos"], centre),
        }


def _distance(predicted: Tensor, true: Tensor, where: Tensor) -> Tensor:
    """Mean smooth L1 distance of two maps (B, H, W) in a region."""
    return masked_mean(F.smooth_l1_loss(predicted, true, reduction="none"), where)
