"""DBNet: Real-time Scene Text Detection with Differentiable Binarization (Liao et al., AAAI 2020, arXiv:1911.08947)."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Targets
from scenetext.detectors.dbnet.config import DBNetSettings
from scenetext.detectors.dbnet.decode import decode
from scenetext.detectors.dbnet.loss import loss
from scenetext.detectors.dbnet.model import head
from scenetext.detectors.dbnet.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The text kernels and where they are known, (B, H, W) uint8 each."""
    return targets["probability"], targets["probability_valid"]


SPEC = DetectorSpec(
    config=DBNetSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    training_maps=("threshold",),
)
