"""The losses of DRRG (section 3.6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.drrg.config import DRRGSettings
from scenetext.layers.pixel_losses import balanced_cross_entropy, masked_mean, unit_direction

OUTSIDE_WEIGHT = 0.5
"""Weight in the centre loss of the pixels outside text."""


def loss(maps: Maps, targets: Targets, config: DRRGSettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: what the head and its stage give.
        targets: what `targets` makes, with leading axis B.
        config: share of negatives.

    Returns:
        text: cross-entropy of the text region, over text and the hardest background outside ignored text.
        centre: mean cross-entropy of the centre region over text, plus half of that over the background.
        height: mean smooth L1 distance of predicted / true height from 1, weighted by log(height + 1), of the heights
            above and below together, over the centre region.
        sin, cos: mean smooth L1 distance over the centre region, the predicted pair brought to unit length.
        links: mean cross-entropy over all links of the batch.
        Scalars float32, finite also without any text.
    """
    with torch.autocast(device_type=maps["text"].device.type, enabled=False):
        valid = targets["valid"] != 0
        text, centre = (targets["text"] != 0) & valid, (targets["centre"] != 0) & valid
        sin, cos = unit_direction(maps["sin"].float(), maps["cos"].float())
        cross_entropy = F.binary_cross_entropy_with_logits(maps["centre"].float(), centre.float(), reduction="none")
        outside = valid & ~text
        return {
            "text": balanced_cross_entropy(
                maps["text"], targets["text"], targets["valid"], config.negative_ratio, config.negatives_without_text
            ),
            "centre": masked_mean(cross_entropy, text) + OUTSIDE_WEIGHT * masked_mean(cross_entropy, outside),
            "height": _height_loss(maps, targets, centre),
            "sin": masked_mean(_distance(sin, targets["sin"]), centre),
            "cos": masked_mean(_distance(cos, targets["cos"]), centre),
            "links": _link_loss(maps),
        }


def _height_loss(maps: Maps, targets: Targets, centre: Tensor) -> Tensor:
    """Relative distances of both heights, where a high text counts more."""
    weight = (targets["top"] + targets["bottom"] + 1).log()
    ratios = [maps[name].float() / (targets[name] + 1e-2) for name in ("top", "bottom")]
    return masked_mean(weight * sum(_distance(ratio, torch.ones_like(ratio)) for ratio in ratios), centre)


def _link_loss(maps: Maps) -> Tensor:
    """Over the links of all components whose graph is looked at."""
    logits = maps["links.link"].float()
    counts = (maps["links.valid"] & maps["links.is_pivot"])[..., None] & maps["links.has_nearest"]
    each = F.binary_cross_entropy_with_logits(logits, maps["links.linked"], reduction="none")
    return masked_mean(each, counts)


def _distance(predicted: Tensor, true: Tensor) -> Tensor:
    return F.smooth_l1_loss(predicted, true, reduction="none")
