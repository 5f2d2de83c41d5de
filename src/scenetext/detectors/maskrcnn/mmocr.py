"""Names of Mask R-CNN in checkpoints of MMOCR 1.x, which are MMDetection's behind a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PREFIX = "wrapped_model."
"""In front of all names, those of the backbone too; readers of weights remove such prefixes by themselves."""
NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{f"pyramid.lateral.{level}": f"neck.lateral_convs.{level}.conv" for level in range(4)},
        **{f"pyramid.smooth.{level}": f"neck.fpn_convs.{level}.conv" for level in range(4)},
        "rpn.convolution": "rpn_head.rpn_conv",
        "rpn.objectness": "rpn_head.rpn_cls",
        "rpn.offset": "rpn_head.rpn_reg",
        "later.boxes.hidden": "roi_head.bbox_head.shared_fcs",
        "later.boxes.classes": "roi_head.bbox_head.fc_cls",
        "later.boxes.offset": "roi_head.bbox_head.fc_reg",
        **{f"later.masks.convolutions.{index}": f"roi_head.mask_head.convs.{index}.conv" for index in range(4)},
        "later.masks.upsample": "roi_head.mask_head.upsample",
        "later.masks.logits": "roi_head.mask_head.conv_logits",
    }
)
"""Prefixes of parameter names of the heads, scenetext's to MMOCR's."""
