"""Blob in small, and the map of a head that has learnt its targets."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.blob.config import BlobSettings


def perfect_maps(targets: Targets, config: BlobSettings) -> dict[str, Tensor]:
    return {"kernel": targets["kernel"].float() * 20 - 10}


EXAMPLES = DetectorExamples(small={"channels": 8}, perfect_maps=perfect_maps, soft_maps=("kernel",))
