"""The encoder in checkpoints of TextBPN's and TextBPN++'s authors: its names both ways, and what is never used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

_BACKBONE = "fpn.backbone."
_DEFORMABLE = "fpn.backbone.base_net."
"""Prefix of a ResNet with deformable convolutions, under torchvision's names."""
_STAGES: Mapping[str, str] = MappingProxyType(
    {"conv1": "stage1.0", "bn1": "stage1.1", **{f"layer{number}": f"stage{number + 1}" for number in range(1, 5)}}
)
_OFFSETS, _PUBLISHED_OFFSETS = "conv2.conv_offset.", "conv2_offset."
UNUSED: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        f"{_DEFORMABLE}fc.weight": (1000, 2048),
        f"{_DEFORMABLE}fc.bias": (1000,),
        f"{_DEFORMABLE}smooth.weight": (256, 2048, 1, 1),
        f"{_DEFORMABLE}smooth.bias": (256,),
        f"{_BACKBONE}up2.weight": (64, 64, 4, 4),
        f"{_BACKBONE}up2.bias": (64,),
    }
)
"""Shapes of what such a model may hold and not use: two layers of deformable ResNets, and at stride 4 the layer that
enlarges the stem."""


def is_textbpn(weights: Mapping[str, Tensor]) -> bool:
    """Whether named tensors are a detector of these authors."""
    return not weights.keys().isdisjoint((f"{_BACKBONE}stage1.0.weight", f"{_DEFORMABLE}conv1.weight"))


def from_textbpn_name(name: str) -> str | None:
    """The name in `encoders.resnet` of a tensor of the checkpoint; None: it is no part of the encoder."""
    if name in UNUSED:
        return None
    if name.startswith(_DEFORMABLE):
        return name.removeprefix(_DEFORMABLE).replace(_PUBLISHED_OFFSETS, _OFFSETS)
    match = re.match(re.escape(_BACKBONE) + r"(stage(?:1\.[01]|[2-5]))\.", name)
    if match is None:
        return None
    own = {published: stage for stage, published in _STAGES.items()}
    return own[match[1]] + name[match.end() - 1 :] if match[1] in own else None


def to_textbpn_name(name: str, deformable: bool) -> str:
    """The name in the checkpoint of a tensor of `encoders.resnet`."""
    if deformable:
        return _DEFORMABLE + name.replace(_OFFSETS, _PUBLISHED_OFFSETS)
    stage, _, rest = name.partition(".")
    return f"{_BACKBONE}{_STAGES[stage]}.{rest}"
