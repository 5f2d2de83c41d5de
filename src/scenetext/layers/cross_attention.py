"""The visual-textual decoder (section 3.3): every word attends to the image."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from scenetext.layers.transformer import Attention, Mlp


class CrossAttentionBlock(nn.Module):
    """q = q + LN(Attention(q, k, v)); q = q + MLP(LN(q)).

    The norm on the attention's output, not on its input, is the published layout.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = Attention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, words: Tensor, keys: Tensor, values: Tensor, ignored: Tensor | None) -> Tensor:
        """words (B, N, D), keys and values (B, S, D), ignored (B, S) bool -> (B, N, D)."""
        words = words + self.ln_1(self.attn(words, keys, values, ignored))
        return words + self.mlp(self.ln_2(words))


class CrossAttentionDecoder(nn.Module):
    """A stack of cross-attention blocks over the same keys and values; words do not see each other.

    Args:
        width: joint width D.
        layers: blocks.
        heads: attention heads, a divisor of `width`.
    """

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(CrossAttentionBlock(width, heads) for _ in range(layers))

    def forward(self, words: Tensor, keys: Tensor, values: Tensor, ignored: Tensor | None) -> Tensor:
        """Words with what they read from the image.

        Args:
            words: (B, N, D).
            keys: (B, S, D) image tokens with their positions.
            values: (B, S, D) image tokens.
            ignored: (B, S) bool, true where the image is padding.

        Returns:
            (B, N, D).
        """
        for block in self.resblocks:
            words = block(words, keys, values, ignored)
        return words

    def with_weights(
        self, words: Tensor, keys: Tensor, values: Tensor, ignored: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, and where every block looked: (B, N, D), and (blocks, B, N, S) float32, mean over heads."""
        weights = []
        for block in self.resblocks:
            weights.append(cast(CrossAttentionBlock, block).attn.weights(words, keys, ignored))
            words = block(words, keys, values, ignored)
        return words, torch.stack(weights)

    def last_weights(self, words: Tensor, keys: Tensor, values: Tensor, ignored: Tensor | None) -> Tensor:
        """(B, N, S) float32 attention of the last block, mean over heads; arguments as in `forward`; for drawing."""
        for block in self.resblocks[:-1]:
            words = block(words, keys, values, ignored)
        last = cast(CrossAttentionBlock, self.resblocks[-1])
        return last.attn.weights(words, keys, ignored)
