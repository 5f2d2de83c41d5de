"""Names of DBNet in checkpoints of MMOCR 1.x. Its branches are numbered sequences, ReLUs included."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{f"pyramid.lateral.{level}": f"neck.lateral_convs.{level}.conv" for level in range(4)},
        **{f"pyramid.smooth.{level}": f"neck.smooth_convs.{level}.conv" for level in range(4)},
        **{
            f"{branch}.{part}": f"det_head.{mmocr_branch}.{number}"
            for branch, mmocr_branch in (("probability", "binarize"), ("threshold", "threshold"))
            for part, number in (("reduce", 0), ("reduce_norm", 1), ("enlarge", 3), ("enlarge_norm", 4), ("predict", 6))
        },
    }
)
"""Prefixes of parameter names of the head, scenetext's to MMOCR's."""
