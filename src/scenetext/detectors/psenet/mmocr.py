"""Names of PSENet in checkpoints of MMOCR 1.x."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{
            f"pyramid.{module}.{part}": f"neck.{mmocr_module}.{mmocr_part}"
            for module, mmocr_module in (
                *((f"lateral.{level}", f"lateral_convs.{level}") for level in range(4)),
                *((f"smooth.{level}", f"fpn_convs.{level}") for level in range(3)),
                ("fuse", "output_convs"),
            )
            for part, mmocr_part in (("convolution", "conv"), ("norm", "bn"))
        },
        "kernels.reduce.convolution": "det_head.conv1",
        "kernels.reduce.norm": "det_head.bn1",
        "kernels.predict": "det_head.conv2",
    }
)
"""Prefixes of parameter names of the head, scenetext's to MMOCR's."""
