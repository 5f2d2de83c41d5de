"""Small settings of DBNet, and the maps of a perfect head."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.dbnet.config import BinarizationSettings


def perfect_maps(targets: Targets, config: BinarizationSettings) -> dict[str, Tensor]:
    """The probability map of the text kernels; the threshold map is not decoded, and flat."""
    kernels = targets["probability"].float()
    return {"probability": kernels * 20 - 10, "threshold": torch.zeros_like(kernels)}


EXAMPLES = DetectorExamples(
    small={"inner_channels": 16, "level_channels": 8},
    perfect_maps=perfect_maps,
    soft_maps=("probability",),
    # A kernel is grown by another ratio than it was shrunk by: they cancel out for compact shapes alone.
    long_text_overlap=0.7,
)
