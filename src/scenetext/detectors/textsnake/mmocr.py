"""Names of TextSnake in checkpoints of MMOCR 1.x."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "neck.first": "neck.up4",
        **{
            f"neck.blocks.{index}.{part}": f"neck.up_block{3 - index}.{name}"
            for index in range(4)
            for part, name in (("mix", "conv1x1"), ("reduce", "conv3x3"), ("enlarge", "deconv"))
        },
        "maps": "det_head.out_conv",
    }
)
"""Prefixes of parameter names of the head, scenetext's to MMOCR's."""
