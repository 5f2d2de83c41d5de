"""CLIP's text encoder (Radford et al. 2021, section 2.4), under the names of published checkpoints."""

from __future__ import annotations

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from scenetext.config import Settings
from scenetext.layers.transformer import Transformer
from scenetext.text.clip_tokenizer import VOCABULARY_SIZE


class ClipTextSettings(Settings):
    """Sizes of CLIP's text encoder; the defaults are those that go with RN50 and RN101."""

    width: PositiveInt = 512
    """Channels of a token."""
    heads: PositiveInt = 8
    """Attention heads of every block."""
    layers: PositiveInt = 12
    """Blocks."""
    vocabulary_size: int = Field(default=VOCABULARY_SIZE, ge=1)
    """Rows of the token embedding."""

    @model_validator(mode="after")
    def _heads_divide(self) -> ClipTextSettings:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class ClipTextEncoder(nn.Module):
    """Sequences of embedded tokens to one feature each; every position sees itself and those before it.

    Args:
        settings: sizes.
        context_length: rows of the positional table, S at most.
        output_dim: joint width D of images and text.
    """

    def __init__(self, settings: ClipTextSettings, context_length: int, output_dim: int) -> None:
        super().__init__()
        width = settings.width
        self.positional_embedding = nn.Parameter(torch.empty(context_length, width))
        self.text_projection = nn.Parameter(torch.empty(width, output_dim))
        self.transformer = Transformer(width, settings.layers, settings.heads, causal=True)
        self.token_embedding = nn.Embedding(settings.vocabulary_size, width)
        self.ln_final = nn.LayerNorm(width)
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.text_projection, std=width**-0.5)

    def forward(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        """One feature for every sequence.

        Args:
            embeddings: (N, S, width), tokens without their positions.
            ends: (N,) int64, where each sequence is read: its end mark. What follows it does not matter.

        Returns:
            (N, D).
        """
        tokens = embeddings + self.positional_embedding[: embeddings.shape[1]]
        encoded = self.transformer(tokens)
        read = encoded[torch.arange(ends.shape[0], device=ends.device), ends]
        return self.ln_final(read) @ self.text_projection
