"""Small settings of PAN, and the maps of a perfect head."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.pan.config import PANSettings

_STRIDE = 4
"""Input pixels per map pixel."""


def perfect_maps(targets: Targets, config: PANSettings) -> dict[str, Tensor]:
    """Texts and kernels; the similarity vectors of consecutive texts are orthogonal."""
    text, kernel = (targets[name][:, ::_STRIDE, ::_STRIDE] for name in ("text", "kernel"))
    dimensions = config.embedding_channels
    directions = F.one_hot((text % dimensions).long(), dimensions).movedim(-1, 1).float()
    logits = {"text": (text > 0).float() * 20 - 10, "kernel": kernel.float() * 20 - 10}
    return {**logits, "embedding": 10 * directions}


EXAMPLES = DetectorExamples(
    small={"pyramid_channels": 8, "head_channels": 8}, perfect_maps=perfect_maps, soft_maps=("text", "kernel")
)
