"""CLIP as OpenAI and open_clip publish it; its ResNets have scenetext's names under `visual`.

OpenAI's RN50.pt and RN101.pt are TorchScript archives with weights in half precision and, as tensors among the weights,
`input_resolution`, `context_length` and `vocab_size`. open_clip writes state dicts, in torch files or safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from scenetext.errors import CheckpointError

IMAGE_ENCODER = "visual."
"""Prefix of the names of the image encoder."""
CLIP_VOCABULARY = 49408
"""Rows of the token embedding, those of CLIP's byte-pair encoding: these distinguish CLIP from oCLIP, whose first-stage
models have the same names."""
_STAGES = ("layer1", "layer2", "layer3", "layer4")


def has_clip_vocabulary(weights: Mapping[str, Tensor]) -> bool:
    """Whether the text side of a model reads CLIP's tokens."""
    embedding = weights.get("token_embedding.weight")
    return embedding is not None and embedding.ndim == 2 and embedding.shape[0] == CLIP_VOCABULARY


def clip_resnet_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings of `encoders.clip_image` that the weights of a CLIP ResNet imply: blocks of the stages and width.

    Raises:
        CheckpointError: a stage has no block, or the stem has no such shape.
    """
    layers = tuple(len({name.split(".")[1] for name in weights if name.startswith(stage + ".")}) for stage in _STAGES)
    stem = weights.get("conv3.weight")
    if 0 in layers or stem is None or stem.ndim != 4 or stem.shape[0] < 2 or stem.shape[0] % 2:
        raise CheckpointError("there is an image encoder, but no ResNet with CLIP's stem and four stages")
    return {"name": "clip_resnet", "layers": layers, "width": int(stem.shape[0])}
