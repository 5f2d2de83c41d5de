"""PAN: Efficient and Accurate Arbitrary-Shaped Text Detection with Pixel Aggregation Network (Wang et al., ICCV 2019,
arXiv:1908.05900)."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import DetectorSpec, Targets
from scenetext.detectors.pan.config import PANSettings
from scenetext.detectors.pan.decode import decode
from scenetext.detectors.pan.loss import loss
from scenetext.detectors.pan.model import head
from scenetext.detectors.pan.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The whole texts and where they are known, (B, H, W) uint8 each."""
    return (targets["text"] > 0).to(torch.uint8), targets["valid"]


SPEC = DetectorSpec(
    config=PANSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
)
