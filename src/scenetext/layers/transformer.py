"""Transformer parts with the parameter names of CLIP, over sequences laid out (batch, position, width)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 x), CLIP's approximation of GELU; weights trained with one do not fit the other."""

    def forward(self, values: Tensor) -> Tensor:
        """Element-wise, any shape."""
        return values * torch.sigmoid(1.702 * values)


class Attention(nn.Module):
    """Multi-head attention with the parameters of `torch.nn.MultiheadAttention` (in_proj_*, out_proj), always fused.

    Args:
        width: channels of queries, keys, values and output.
        heads: divides `width`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, ignored: Tensor | None = None) -> Tensor:
        """Attention of one sequence over another.

        Args:
            query: (B, Q, width).
            key, value: (B, S, width).
            ignored: (B, S) bool, true where a key is masked out; at least one false a row.

        Returns:
            (B, Q, width).
        """
        inputs = zip((query, key, value), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True)
        queries, keys, values = (split_heads(F.linear(*each), self.heads) for each in inputs)
        return self._attend(queries, keys, values, attention_mask(ignored))

    def self_attention(self, tokens: Tensor, causal: bool) -> Tensor:
        """Self-attention (B, S, width) -> (B, S, width); `causal` lets position k see 0..k only."""
        projected = F.linear(tokens, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        queries, keys, values = (split_heads(each, self.heads) for each in projected)
        return self._attend(queries, keys, values, None, causal)

    def weights(self, query: Tensor, key: Tensor, ignored: Tensor | None = None) -> Tensor:
        """The attention weights that `forward` does not keep: (B, Q, S), mean over heads, rows sum to 1."""
        weight, bias = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        queries = split_heads(F.linear(query, weight[0], bias[0]), self.heads)
        keys = split_heads(F.linear(key, weight[1], bias[1]), self.heads)
        return mean_attention_weights(queries, keys, ignored)

    def _attend(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal)
        return self.out_proj(join_heads(mixed))


class Mlp(nn.Module):
    """The two-layer MLP of a Transformer block, four times as wide inside, with QuickGELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.gelu = QuickGelu()
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return self.c_proj(self.gelu(self.c_fc(tokens)))


class SelfAttentionBlock(nn.Module):
    """Pre-norm Transformer block: x = x + Attention(LN(x)); x = x + MLP(LN(x))."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.attn = Attention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, width) -> (B, S, width)."""
        tokens = tokens + self.attn.self_attention(self.ln_1(tokens), self.causal)
        return tokens + self.mlp(self.ln_2(tokens))


class Transformer(nn.Module):
    """CLIP's text Transformer: a stack of pre-norm self-attention blocks, without a norm after the last.

    Args:
        width: channels of a token.
        layers: number of blocks.
        heads: attention heads, a divisor of `width`.
        causal: position k sees 0..k only, so what follows a position never changes it.
    """

    def __init__(self, width: int, layers: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(SelfAttentionBlock(width, heads, causal) for _ in range(layers)))
        initialise_blocks(self.resblocks, width, layers)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, width) -> (B, S, width)."""
        return self.resblocks(tokens)


def initialise_blocks(blocks: nn.Module, width: int, layers: int) -> None:
    """CLIP's initialisation of Transformer blocks, in place: projections normal; norms and attention biases unchanged.

    Standard deviations: in-projection width^-0.5, both projections back into the residual stream width^-0.5 *
    (2 * layers)^-0.5 (so that the sum of 2 * layers branches keeps its scale), first MLP layer (2 * width)^-0.5.

    Args:
        blocks: any module; each `Attention` and `Mlp` within is initialised.
        width, layers: the values in the formulas, not necessarily those of the blocks (the oCLIP decoder uses its
            text encoder's).
    """
    into_residual = width**-0.5 * (2 * layers) ** -0.5
    for part in blocks.modules():
        if isinstance(part, Attention):
            nn.init.normal_(part.in_proj_weight, std=width**-0.5)
            nn.init.normal_(part.out_proj.weight, std=into_residual)
        elif isinstance(part, Mlp):
            nn.init.normal_(part.c_fc.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(part.c_proj.weight, std=into_residual)


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """(B, S, width) -> (B, heads, S, width / heads), a view."""
    batch, length, width = tokens.shape
    return tokens.view(batch, length, heads, width // heads).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """(B, heads, S, width / heads) -> (B, S, width); undoes `split_heads`."""
    return tokens.transpose(1, 2).flatten(2)


def attention_mask(ignored: Tensor | None) -> Tensor | None:
    """(B, S) true where a key is ignored -> the mask of `scaled_dot_product_attention`, (B, 1, 1, S), true = used."""
    return None if ignored is None else ~ignored[:, None, None, :]


def mean_attention_weights(queries: Tensor, keys: Tensor, ignored: Tensor | None = None) -> Tensor:
    """Softmax of the scaled products, mean over heads: (B, heads, Q, d) and (B, heads, S, d) -> (B, Q, S) float32.

    For drawing: training and inference use the fused attention, which never holds these weights.
    """
    scores = queries.float() @ keys.float().transpose(-2, -1) / math.sqrt(queries.shape[-1])
    if ignored is not None:
        scores = scores.masked_fill(ignored[:, None, None, :], -torch.inf)
    return scores.softmax(dim=-1).mean(dim=1)


def resize_positions(positions: Tensor, height: int, width: int) -> Tensor:
    """A square table of positions (side * side, C) for a grid of another size, (height * width, C); bilinear, as TCM.

    Returns the table itself where the grid has its size.
    """
    side = math.isqrt(len(positions))
    if (height, width) == (side, side):
        return positions
    table = positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(table, (height, width), mode="bilinear", align_corners=False)
    return resized[0].flatten(1).transpose(0, 1)


def resize_position_table(table: Tensor, rows: int) -> Tensor:
    """A stored table of the positions of a square grid for another square grid; bilinear, see `resize_positions`.

    Args:
        table: (side^2, C), or (1 + side^2, C) with the mean position first, which is kept.
        rows: as the table of the other grid has, likewise.

    Returns:
        (rows, C); the table itself where it cannot be resized, since either is no such table.
    """
    old, new = math.isqrt(len(table)), math.isqrt(rows)
    extra = len(table) - old * old
    if extra not in (0, 1) or rows - new * new != extra:
        return table
    return torch.cat([table[:extra], resize_positions(table[extra:], new, new)])
