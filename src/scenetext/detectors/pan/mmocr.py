"""Names of PAN in checkpoints of MMOCR 1.x."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scenetext.detectors.pan.config import LARGEST_NUMBER_OF_PYRAMIDS

NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{
            f"pyramid.lateral.{level}.{part}": f"neck.reduce_conv_c{level + 2}.{number}"
            for level in range(4)
            for part, number in (("convolution", 0), ("norm", 1))
        },
        **{
            f"pyramid.enhancements.{pyramid}.{path}.{step}.{part}": f"neck.fpems.{pyramid}.{branch}{step + 1}.{layer}"
            for pyramid in range(LARGEST_NUMBER_OF_PYRAMIDS)
            for path, branch in (("to_finer", "up_add"), ("to_coarser", "down_add"))
            for step in range(3)
            for part, layer in (("within", "depthwise_conv"), ("across", "pointwise_conv"), ("norm", "bn"))
        },
        "maps.reduce.convolution": "det_head.conv1",
        "maps.reduce.norm": "det_head.bn1",
        "maps.predict": "det_head.conv2",
    }
)
"""Prefixes of parameter names of the head, scenetext's to MMOCR's."""
