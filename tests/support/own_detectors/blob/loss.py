"""The loss of Blob."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.blob.config import BlobSettings
from scenetext.layers.pixel_losses import balanced_cross_entropy


def loss(maps: Maps, targets: Targets, config: BlobSettings) -> dict[str, Tensor]:
    """The balanced cross-entropy of the kernel map, in float32."""
    with torch.autocast(device_type=maps["kernel"].device.type, enabled=False):
        return {"kernel": balanced_cross_entropy(maps["kernel"], targets["kernel"], targets["valid"], 3.0)}
