"""PAN: Efficient and Accurate Arbitrary-Shaped Text Detection with Pixel Aggregation Network (Wang et al., ICCV 2019,
arXiv:1908.05900)."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import DetectorSpec, Targets
from scenetext.detectors.pan.config import LARGEST_NUMBER_OF_PYRAMIDS, PANSettings
from scenetext.detectors.pan.decode import decode
from scenetext.detectors.pan.loss import loss
from scenetext.detectors.pan.model import head
from scenetext.detectors.pan.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The whole texts and where they are known, (B, H, W) uint8 each."""
    return (targets["text"] > 0).to(torch.uint8), targets["valid"]


MMOCR_NAMES = {
    **{
        f"pyramid.lateral.{level}.{part}": f"neck.reduce_conv_c{level + 2}.{number}"
        for level in range(4)
        for part, number in (("convolution", 0), ("norm", 1))
    },
    **{
        f"pyramid.enhancements.{pyramid}.{ours}.{step}.{part}": f"neck.fpems.{pyramid}.{theirs}{step + 1}.{theirs_part}"
        for pyramid in range(LARGEST_NUMBER_OF_PYRAMIDS)
        for ours, theirs in (("to_finer", "up_add"), ("to_coarser", "down_add"))
        for step in range(3)
        for part, theirs_part in (("within", "depthwise_conv"), ("across", "pointwise_conv"), ("norm", "bn"))
    },
    "maps.reduce.convolution": "det_head.conv1",
    "maps.reduce.norm": "det_head.bn1",
    "maps.predict": "det_head.conv2",
}
"""Beginnings of parameter names, ours to MMOCR's."""

SPEC = DetectorSpec(
    config=PANSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    mmocr_names=MMOCR_NAMES,
)
