"""Any encoder with CLIP's attention pool on its last level, for pre-training."""

from __future__ import annotations

from typing import Any, Protocol, cast

from scenetext.contracts import Encoder
from scenetext.encoders import backbones
from scenetext.encoders.clip_image import AttentionPool

HEAD_WIDTH = 64
"""Channels of an attention head of published pools."""


class PooledEncoder(Encoder, Protocol):
    """An encoder with an attention pool, which its forward pass does not use.

    Attributes:
        attnpool: from the last level to tokens of the joint width.
    """

    attnpool: AttentionPool


def pooled_encoder(settings: Any, grid: int, output_dim: int) -> PooledEncoder:
    """The encoder of these settings, of what its last level needs, with random weights and a pool on that level.

    Args:
        settings: of any encoder in `encoders`.
        grid: rows and columns of the pool's positional table.
        output_dim: joint width D.
    """
    spec = backbones()[settings.name]
    encoder = cast(PooledEncoder, (spec.build_last_level or spec.build)(settings))
    width = encoder.channels[-1]
    encoder.attnpool = AttentionPool(grid, width, pool_heads(width), output_dim)
    return encoder


def pool_heads(width: int) -> int:
    """Attention heads of a pool: one for every 64 channels, as published; where these do not divide, the next fewer."""
    return next(heads for heads in range(max(width // HEAD_WIDTH, 1), 0, -1) if width % heads == 0)
