"""TextBPN: Adaptive Boundary Proposal Network for Arbitrary Shape Text Detection (Zhang et al., ICCV 2021,
arXiv:2107.12664).
"""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Stage, Targets
from scenetext.detectors.textbpn.config import TextBPNSettings
from scenetext.detectors.textbpn.decode import decode
from scenetext.detectors.textbpn.loss import loss
from scenetext.detectors.textbpn.model import head
from scenetext.detectors.textbpn.proposals import propose
from scenetext.detectors.textbpn.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The text map and where it is known, (B, H / stride, W / stride) uint8 each."""
    return targets["text"], targets["valid"]


STAGES = (Stage("boundary", propose),)

SPEC = DetectorSpec(
    config=TextBPNSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    stages=STAGES,
    uses_stem=True,
)
