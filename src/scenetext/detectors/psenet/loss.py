"""The two losses of PSENet (section 3.5)."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.psenet.config import PSENetSettings
from scenetext.layers.pixel_losses import hardest_pixels, squared_dice_loss, to_one_size


def loss(maps: Maps, targets: Targets, config: PSENetSettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: logits "kernels", (B, K, h, w), the whole texts first.
        targets: what `targets` makes, with leading axis B.
        config: sampling and the size at which losses are taken.

    Returns:
        text: dice loss of the whole texts, over text and the hardest negatives of every image.
        kernels: dice loss of the shrunk kernels inside of the texts, averaged over kernels and images.
        Scalars float32; for a batch without text 0, tied to the graph.
    """
    with torch.autocast(device_type=maps["kernels"].device.type, enabled=False):
        logits, wanted = to_one_size(maps["kernels"], targets, config.full_size_loss)
        probability = logits.sigmoid()
        text, shrunk = probability[:, 0], probability[:, 1:]
        level, valid = wanted["level"], wanted["valid"] != 0
        is_text = level > 0
        within = (text.detach() > 0.5 if config.kernel_sampling == "predicted" else is_text) & valid
        number = torch.arange(2, 2 + shrunk.shape[1], device=level.device)[:, None, None]
        return {
            "text": squared_dice_loss(text, is_text, hardest_pixels(text, is_text, valid, config.negative_ratio)),
            "kernels": squared_dice_loss(
                shrunk.flatten(0, 1),
                (level[:, None] >= number).flatten(0, 1),
                within[:, None].expand_as(shrunk).flatten(0, 1),
            ),
        }
