"""The encoder in checkpoints of Mask TextSpotter v3's published code: its names both ways, and how it sees pixels.

It is torchvision's ResNet with its stem in a module of its own. Its batch norms are frozen and count no batches.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

PREFIX = "backbone.body."
_STEM = "stem."
_IN_STEM = ("conv1.", "bn1.")
PIXEL_STATISTICS: Mapping[str, tuple[float, ...]] = {
    "pixel_mean": (122.7717 / 255, 115.9465 / 255, 102.9801 / 255),
    "pixel_std": (1 / 255, 1 / 255, 1 / 255),
}
"""Settings of its encoder: these means are taken off red, green and blue from 0 to 255, which are not divided."""


def is_mask_textspotter(weights: Mapping[str, Tensor]) -> bool:
    """Whether named tensors are a model of version 3, without names of parent modules."""
    return {f"{PREFIX}{_STEM}conv1.weight", "proposal.head.seg_out.0.0.weight"} <= weights.keys()


def from_published_name(name: str) -> str | None:
    """The name in `encoders.resnet` of a tensor of the checkpoint; None: it is no part of the encoder."""
    return name.removeprefix(PREFIX).removeprefix(_STEM) if name.startswith(PREFIX) else None


def to_published_name(name: str) -> str:
    """The name in the checkpoint of a tensor of `encoders.resnet`."""
    return f"{PREFIX}{_STEM if name.startswith(_IN_STEM) else ''}{name}"
