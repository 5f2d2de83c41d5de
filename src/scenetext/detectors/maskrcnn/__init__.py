"""Mask R-CNN (He et al., ICCV 2017, arXiv:1703.06870) for text: boxes around texts, and a mask in each."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Stage, Targets
from scenetext.detectors.maskrcnn.config import MaskRCNNSettings
from scenetext.detectors.maskrcnn.decode import decode
from scenetext.detectors.maskrcnn.loss import loss
from scenetext.detectors.maskrcnn.model import head
from scenetext.detectors.maskrcnn.proposals import propose_anchors, propose_boxes, propose_masks
from scenetext.detectors.maskrcnn.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """All text at stride 4, and where that is known, (B, H / 4, W / 4) uint8 each."""
    return targets["region"], targets["region_valid"]


SPEC = DetectorSpec(
    config=MaskRCNNSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    stages=(Stage("anchors", propose_anchors), Stage("boxes", propose_boxes), Stage("masks", propose_masks)),
)
