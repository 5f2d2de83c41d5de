"""The Transformer decoder by which one modality attends to the other: visual prompt generator, text refinement."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.layers.transformer import join_heads, split_heads
from scenetext.tcm.config import PromptDecoderSettings


class ProjectedAttention(nn.Module):
    """Multi-head attention with projections of their own, biased in the last alone; always fused."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.out_proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """query: (B, Q, width), memory: (B, S, width), keys and values alike; gives (B, Q, width).

        With a memory of one position, the softmax is 1 and every query reads the same value. Queries and keys are still
        computed where gradients are: those of their weights are then zero, not missing, as DDP requires.
        """
        if memory.shape[1] == 1 and not torch.is_grad_enabled():
            return self.dropout(self.out_proj(self.v_proj(memory)).expand(-1, query.shape[1], -1))
        mixed = F.scaled_dot_product_attention(
            split_heads(self.q_proj(query), self.heads),
            split_heads(self.k_proj(memory), self.heads),
            split_heads(self.v_proj(memory), self.heads),
        )
        return self.dropout(self.out_proj(join_heads(mixed)))


class PromptDecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention and MLP; the memory is read as it is."""

    def __init__(self, settings: PromptDecoderSettings) -> None:
        super().__init__()
        width = settings.width
        self.self_attention = ProjectedAttention(width, settings.heads, settings.dropout)
        self.cross_attention = ProjectedAttention(width, settings.heads, settings.dropout)
        self.norm_self, self.norm_cross, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(settings.dropout), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """query: (B, Q, width), memory: (B, S, width); gives (B, Q, width)."""
        normalised = self.norm_self(query)
        query = query + self.self_attention(normalised, normalised)
        query = query + self.cross_attention(self.norm_cross(query), memory)
        return query + self.dropout(self.mlp(self.norm_mlp(query)))


class PromptDecoder(nn.Module):
    """What a query sequence reads from a memory, as a difference to be added to the query. TCM, section 3.2.

    With a memory of one position (text of a single class, as published) its cross-attention adds the same vector to
    every query, and what differs between positions comes from self-attention and MLP.

    Args:
        settings: sizes inside.
        channels: C of query, memory and result.
    """

    def __init__(self, settings: PromptDecoderSettings, channels: int) -> None:
        super().__init__()
        width = settings.width
        self.memory_proj = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width), nn.LayerNorm(width))
        self.query_proj = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
        self.layers = nn.ModuleList(PromptDecoderLayer(settings) for _ in range(settings.layers))
        self.out_proj = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, channels))
        self.apply(_initialise)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """query: (B, Q, C), memory: (B, S, C); gives (B, Q, C)."""
        projected = self.query_proj(query)
        projected_memory = self.memory_proj(memory)
        for layer in self.layers:
            projected = layer(projected, projected_memory)
        return self.out_proj(projected)


def _initialise(module: nn.Module) -> None:
    """Linear weights from a normal distribution cut at two standard deviations of 0.02, biases 0, as in ViT."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
