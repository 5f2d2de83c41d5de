"""Small settings of PSENet, and the maps of a perfect head."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.psenet.config import PSENetSettings

_STRIDE = 4
"""Input pixels per map pixel."""


def perfect_maps(targets: Targets, config: PSENetSettings) -> dict[str, Tensor]:
    """A map of every kernel, the whole texts first."""
    level = targets["level"][:, None, ::_STRIDE, ::_STRIDE]
    numbers = torch.arange(len(config.shrink_ratios))[:, None, None]
    return {"kernels": (level > numbers).float() * 20 - 10}


EXAMPLES = DetectorExamples(
    small={"pyramid_channels": 16, "head_channels": 8}, perfect_maps=perfect_maps, soft_maps=("kernels",)
)
