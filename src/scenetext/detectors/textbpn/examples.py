"""Small settings of TextBPN, and the maps of a perfect head."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.textbpn.config import STEPS, BoundarySettings
from scenetext.detectors.textbpn.loss import unit_vectors


def perfect_maps(targets: Targets, config: BoundarySettings) -> dict[str, Tensor]:
    """The text region, exact distances and directions, and after every refinement the true boundaries."""
    distance, boundary = targets["distance"].float(), targets["boundary"].float()
    valid = targets["extent"] > 0
    return {
        "text": targets["text"].float() * 20 - 10,
        "distance": distance.logit(eps=5e-5),
        "direction": unit_vectors(targets["direction"].float(), config.distance_margin),
        "boundary.proposal": targets["proposal"],
        "boundary.valid": valid,
        "boundary.score": valid.float(),
        "boundary.refined": torch.stack([boundary] * STEPS, dim=2),
    }


EXAMPLES = DetectorExamples(small={}, perfect_maps=perfect_maps, soft_maps=("text", "distance"))
