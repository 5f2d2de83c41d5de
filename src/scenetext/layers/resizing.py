"""Maps of a coarse head and targets of the image's size, brought to one size for a loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor


def to_one_size(logits: Tensor, targets: Mapping[str, Tensor], enlarge: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Either enlarges the logits to the targets (bilinearly) or thins out the targets.

    Args:
        logits: (B, C, h, w), any float type.
        targets: (B, H, W) each, H and W the same multiple of h and w.
        enlarge: which of the two.

    Returns:
        Logits (B, C, H, W) or (B, C, h, w), float32, and the targets at that size.
    """
    height, width = next(iter(targets.values())).shape[-2:]
    if enlarge:
        return F.interpolate(logits.float(), size=(height, width), mode="bilinear"), dict(targets)
    step = height // logits.shape[-2]
    return logits.float(), {name: target[..., ::step, ::step] for name, target in targets.items()}
