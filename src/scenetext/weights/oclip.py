"""oCLIP as published: scenetext's model has the same names; a checkpoint is {epoch, name, state_dict, optimizer}."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from scenetext.errors import CheckpointError

IMAGE_ENCODER = "visual."
"""Prefix of the names of the image encoder."""
_DISTRIBUTED = "module."
_ODM = ("fpn_head.fpn_conv.0.weight", "mim.conv2.weight")
"""Names that ODM's models have and oCLIP's do not; the rest is called alike."""


def published_checkpoint(weights: Mapping[str, Tensor], name: str) -> dict[str, Any]:
    """The published layout, without its optimizer: every name of the state dict has the prefix "module.".

    Args:
        weights: under the names of `oclip.model.OclipModel`.
        name: of the training.
    """
    return {"epoch": 0, "name": name, "state_dict": {_DISTRIBUTED + key: value for key, value in weights.items()}}


def is_odm(weights: Mapping[str, Tensor]) -> bool:
    """Whether a model with the names of oCLIP's is ODM's, which has no classes of characters but draws."""
    return all(name in weights for name in _ODM)


def oclip_sizes(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the shapes of an oCLIP model's weights say of its settings, by name in `oclip.config.OclipSettings`.

    The numbers of attention heads cannot be inferred from weights.

    Raises:
        CheckpointError: a tensor that determines a size is missing or has no such size.
    """
    first_stage = "text_class.weight" not in weights
    characters, width = _shape(weights, "token_embedding.weight", 2)
    _, joint = _shape(weights, "text_projection", 2)
    sizes = {
        "vocabulary_size": characters,
        "input_size": 32 * math.isqrt(_shape(weights, "visual.attnpool.positional_embedding", 2)[0] - 1),
        "embed_dim": joint,
        "context_length": _shape(weights, "positional_embedding", 2)[0],
        "text_width": width,
        "text_layers": _count_blocks(weights, "transformer.resblocks."),
        "first_stage": first_stage,
    }
    if not first_stage:
        sizes["decoder_layers"] = _count_blocks(weights, "transformer_decoder.resblocks.")
    return sizes


def _shape(weights: Mapping[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    if name not in weights or weights[name].ndim != axes or not weights[name].numel():
        found = f"has shape {tuple(weights[name].shape)}" if name in weights else "is missing"
        raise CheckpointError(f"these are no weights of a whole oCLIP model: {name} {found}")
    return tuple(weights[name].shape)


def _count_blocks(weights: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).partition(".")[0] for name in weights if name.startswith(prefix)})
