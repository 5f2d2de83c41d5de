"""Neck and head of Blob: the levels, added up at the finest one's size, to one map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.detectors.blob.config import BlobSettings
from scenetext.structures import Features


class BlobHead(nn.Module):
    """Features of images (B, 3, H, W), to logits "kernel", (B, H, W)."""

    def __init__(self, config: BlobSettings, channels: Sequence[int]) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, config.channels, 3, padding=1) for count in channels)
        self.predict = nn.Conv2d(config.channels, 1, 1)

    def forward(self, features: Features) -> dict[str, Tensor]:
        made = [lateral(level) for lateral, level in zip(self.lateral, features.levels, strict=True)]
        fused = torch.stack([F.interpolate(level, size=made[0].shape[-2:]) for level in made]).sum(0)
        logits = F.interpolate(self.predict(F.relu(fused)), scale_factor=4, mode="bilinear")
        return {"kernel": logits[:, 0]}


def head(config: BlobSettings, channels: Sequence[int]) -> BlobHead:
    return BlobHead(config, channels)
