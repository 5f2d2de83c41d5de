"""The three losses of DBNet (section 3.5)."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.dbnet.config import BinarizationSettings
from scenetext.layers.pixel_losses import balanced_cross_entropy, dice_loss, masked_l1_loss


def loss(maps: Maps, targets: Targets, config: BinarizationSettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: logits "probability" and "threshold", (B, H, W) each.
        targets: what `targets` makes, with leading axis B.
        config: amplification and the share of negatives.

    Returns:
        probability: balanced cross-entropy of the probability map outside ignored text.
        threshold: L1 distance of the threshold map near the borders.
        binary: dice loss of the approximate binary map 1 / (1 + exp(-k (P - T))) outside ignored text.
        Scalars float32; for a batch without text 0, tied to the graph.
    """
    logits = maps["probability"]
    text, text_valid = targets["probability"], targets["probability_valid"]
    with torch.autocast(device_type=logits.device.type, enabled=False):
        threshold = maps["threshold"].float().sigmoid()
        binary = torch.sigmoid(config.amplification * (logits.float().sigmoid() - threshold))
        return {
            "probability": balanced_cross_entropy(
                logits, text, text_valid, config.negative_ratio, config.negatives_without_text
            ),
            "threshold": masked_l1_loss(threshold, targets["threshold"], targets["threshold_valid"]),
            "binary": dice_loss(binary, text, text_valid),
        }
