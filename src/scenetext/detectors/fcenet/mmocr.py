"""Names of FCENet in checkpoints of MMOCR 1.x."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "pyramid.lateral.0": "neck.lateral_convs.0.conv",
        "pyramid.lateral.1": "neck.lateral_convs.1.conv",
        "pyramid.lateral.2": "neck.lateral_convs.2.conv",
        "pyramid.smooth.0": "neck.fpn_convs.0.conv",
        "pyramid.smooth.1": "neck.fpn_convs.1.conv",
        "pyramid.smooth.2": "neck.fpn_convs.2.conv",
        "regions": "det_head.out_conv_cls",
        "contour": "det_head.out_conv_reg",
    }
)
"""Prefixes of parameter names of the head, scenetext's to MMOCR's."""
