"""DRRG: Deep Relational Reasoning Graph Network for Arbitrary Shape Text Detection (Zhang et al., CVPR 2020).

arXiv:2003.07493.
"""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Stage, Targets
from scenetext.detectors.drrg.config import DRRGSettings
from scenetext.detectors.drrg.decode import decode
from scenetext.detectors.drrg.loss import loss
from scenetext.detectors.drrg.model import head
from scenetext.detectors.drrg.proposals import propose
from scenetext.detectors.drrg.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The text region and where it is known, (B, H, W) uint8 each."""
    return targets["text"], targets["valid"]


SPEC = DetectorSpec(
    config=DRRGSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    stages=(Stage("links", propose),),
)
