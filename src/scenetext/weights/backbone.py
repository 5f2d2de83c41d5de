"""The image backbone inside a pre-training checkpoint: what a detector takes over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from scenetext.errors import CheckpointError

_POOL = "attnpool."
_STAGES = ("layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True)
class Backbone:
    """A CLIP ResNet without its attention pool.

    Attributes:
        weights: tensors under the names of `encoders.clip_image.ClipResNet`.
        layers: blocks of the four stages.
        width: channels of the stem's output.
        left_out: keys of the source that are not part of it (text side, decoder, pool).
    """

    weights: dict[str, Tensor]
    layers: tuple[int, ...]
    width: int
    left_out: tuple[str, ...]


def extract_backbone(weights: Mapping[str, Tensor]) -> Backbone:
    """Takes the image backbone out of an oCLIP model's weights (ours or published: both name it `visual`).

    Raises:
        CheckpointError: there is no CLIP ResNet in these weights.
    """
    prefix = _image_encoder_prefix(weights)
    inside = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
    kept = {name: value for name, value in inside.items() if not name.startswith(_POOL)}
    layers = tuple(_count_blocks(kept, stage) for stage in _STAGES)
    if 0 in layers:
        raise CheckpointError(
            f"these weights have an image encoder under {prefix!r}, but not one of four ResNet stages"
        )
    left_out = tuple(name for name in weights if name.removeprefix(prefix) not in kept or not name.startswith(prefix))
    return Backbone(weights=kept, layers=layers, width=int(kept["conv3.weight"].shape[0]), left_out=left_out)


def _image_encoder_prefix(weights: Mapping[str, Tensor]) -> str:
    for name in weights:
        match = re.fullmatch(r"((?:.*\.)?visual\.)conv3\.weight", name)
        if match:
            return match[1]
    beginnings = ", ".join(sorted({name.split(".")[0] for name in weights})[:8])
    raise CheckpointError(
        f"no image encoder (visual.conv3.weight) in these weights; their keys begin with: {beginnings}"
    )


def _count_blocks(weights: Mapping[str, Tensor], stage: str) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith(stage + ".")})
