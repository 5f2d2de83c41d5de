"""CLIP as OpenAI and open_clip publish it; its ResNets have the names of ours under `visual`.

OpenAI's RN50.pt and RN101.pt are TorchScript archives with weights in half precision and, as tensors among the weights,
`input_resolution`, `context_length` and `vocab_size`. open_clip writes state dicts, in torch files or safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

IMAGE_ENCODER = "visual."
"""In front of the names of the image encoder."""
CLIP_VOCABULARY = 49408
"""Rows of the token embedding, those of CLIP's byte-pair encoding: by these CLIP is told from oCLIP, whose first-stage
models have the same names."""


def has_clip_vocabulary(weights: Mapping[str, Tensor]) -> bool:
    """Whether the text side of a model reads CLIP's tokens."""
    embedding = weights.get("token_embedding.weight")
    return embedding is not None and embedding.ndim == 2 and embedding.shape[0] == CLIP_VOCABULARY
