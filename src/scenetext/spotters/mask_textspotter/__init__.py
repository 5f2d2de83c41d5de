"""Mask TextSpotter v3 (Liao et al., ECCV 2020, arXiv:2007.09482): proposals from a segmentation, read in their masks.

Written from the paper; the published code and its weights are under CC BY-NC 4.0.
"""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Stage, Targets
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.decode import decode
from scenetext.spotters.mask_textspotter.loss import loss
from scenetext.spotters.mask_textspotter.model import head
from scenetext.spotters.mask_textspotter.stages import propose_boxes, propose_masks
from scenetext.spotters.mask_textspotter.targets import targets
from scenetext.structures import TextInstance


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The text kernels, and where these are known, (B, H, W) uint8 each."""
    return targets["kernels"], targets["kernels_valid"]


def unread(instance: TextInstance, config: MaskTextSpotterSettings) -> str | None:
    """Why a text is not learnt to be read; None = it is."""
    return config.readable.why_unread(instance)


SPEC = DetectorSpec(
    config=MaskTextSpotterSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    stages=(Stage("boxes", propose_boxes), Stage("masks", propose_masks)),
    unread=unread,
)
