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


MMOCR_NAMES = {
    "pyramid.lateral.0": "neck.lateral_convs.0.conv",
    "pyramid.lateral.1": "neck.lateral_convs.1.conv",
    "pyramid.lateral.2": "neck.lateral_convs.2.conv",
    "pyramid.smooth.0": "neck.fpn_convs.0.conv",
    "pyramid.smooth.1": "neck.fpn_convs.1.conv",
    "pyramid.smooth.2": "neck.fpn_convs.2.conv",
    "regions": "det_head.out_conv_cls",
    "contour": "det_head.out_conv_reg",
}
"""Beginnings of our parameters' names, and of the same in MMOCR 1.x."""

SPEC = DetectorSpec(
    config=FCENetSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    mmocr_names=MMOCR_NAMES,
)
