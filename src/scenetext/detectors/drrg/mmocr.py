"""Names of DRRG in checkpoints of MMOCR 1.x, whose weights need `as_published: true`."""

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
        "later.links.norm": "det_head.gcn.bn0",
        **{f"later.links.convolutions.{index}": f"det_head.gcn.conv{index + 1}" for index in range(4)},
        "later.links.classifier": "det_head.gcn.classifier",
    }
)
"""Prefixes of parameter names of the head, scenetext's to MMOCR's."""
