"""PSENet: Shape Robust Text Detection with Progressive Scale Expansion Network (Wang et al., CVPR 2019,
arXiv:1903.12473)."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Targets
from scenetext.detectors.psenet.config import PSENetSettings
from scenetext.detectors.psenet.decode import decode
from scenetext.detectors.psenet.loss import loss
from scenetext.detectors.psenet.model import head
from scenetext.detectors.psenet.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The whole texts and where they are known, (B, H, W) uint8 each."""
    return targets["level"].clamp(max=1), targets["valid"]


SPEC = DetectorSpec(
    config=PSENetSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
)
