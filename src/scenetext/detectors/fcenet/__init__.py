"""FCENet: Fourier Contour Embedding for Arbitrary-Shaped Text Detection (Zhu et al., CVPR 2021, arXiv:2104.10442)."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Targets
from scenetext.detectors.fcenet.config import FCENetSettings
from scenetext.detectors.fcenet.decode import decode
from scenetext.detectors.fcenet.loss import loss
from scenetext.detectors.fcenet.model import head
from scenetext.detectors.fcenet.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """All text at stride 8, whatever its level, and where that is known, (B, H / 8, W / 8) uint8 each."""
    return targets["region"], targets["region_valid"]


SPEC = DetectorSpec(
    config=FCENetSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
)
