"""Names and layout of DBNet's official code (github.com/MhLiao/DB) for those of MMOCR 1.x, which has the same network.

Written from the layout of its `SegDetector`: `in2` to `in5` and `out2` to `out5` are the pyramid, `binarize` and
`thresh` the branches, numbered as MMOCR's. It joins the pyramid's levels coarsest first and reads images as BGR; MMOCR
finest first, and RGB. So the first convolutions of backbone and branches are turned.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scenetext.weights.mmocr import DETECTOR_BACKBONE, rename_prefix

PIXEL_STATISTICS: Mapping[str, tuple[float, ...]] = {
    "pixel_mean": (0.40786863, 0.45752457, 0.48109378),
    "pixel_std": (1.0, 1.0, 1.0),
}
"""Settings of its encoders: 104.00698793, 116.66876762 and 122.67891434 of 255 are taken off red, green and blue."""
NORMALIZATION = tuple(f"encoder.{name}=[{','.join(map(str, each))}]" for name, each in PIXEL_STATISTICS.items())
"""The same on a command line."""
_UNUSED = ("backbone.fc.", "backbone.smooth.")
"""Prefixes of layers that its ResNet has and never calls."""
_LEVELS = 4
_PREFIXES: Mapping[str, str] = {
    **{f"decoder.in{level + 2}": f"neck.lateral_convs.{level}.conv" for level in range(_LEVELS)},
    **{f"decoder.out{level + 2}.0": f"neck.smooth_convs.{level}.conv" for level in range(1, _LEVELS)},
    "decoder.out2": "neck.smooth_convs.0.conv",
    "decoder.binarize": "det_head.binarize",
    "decoder.thresh": "det_head.threshold",
}
_JOINED = ("decoder.binarize.0.weight", "decoder.thresh.0.weight")
"""Convolutions over the joined levels."""


def is_official_db(weights: Mapping[str, Tensor]) -> bool:
    """Whether named tensors are a DBNet of the official code, without names of parent modules."""
    return {"backbone.layer1.0.conv1.weight", "decoder.in5.weight", "decoder.binarize.0.weight"} <= weights.keys()


def backbone_name(name: str) -> str | None:
    """The name of a tensor of its ResNet in MMDetection's and scenetext's; None: it is no part of an encoder."""
    if not name.startswith(DETECTOR_BACKBONE) or name.startswith(_UNUSED):
        return None
    return name.removeprefix(DETECTOR_BACKBONE).replace(".conv2_offset.", ".conv2.conv_offset.")


def as_mmocr(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """A whole detector under MMOCR's names, and the names of what has none there.

    Returns:
        The tensors, with channels in MMOCR's order; and names that were dropped.
    """
    renamed: dict[str, Tensor] = {}
    dropped = []
    for name, value in weights.items():
        inner = backbone_name(name)
        new = rename_prefix(name, _PREFIXES) if inner is None else DETECTOR_BACKBONE + inner
        if new is None:
            dropped.append(name)
            continue
        if name in _JOINED:
            value = torch.cat(value.chunk(_LEVELS, dim=1)[::-1], dim=1)
        if name == f"{DETECTOR_BACKBONE}conv1.weight":
            value = value.flip(1)
        renamed[new] = value
    return renamed, tuple(dropped)
