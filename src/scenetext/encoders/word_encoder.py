"""The character-aware text encoder of oCLIP (section 3.2) and ODM: each word alone, as a sequence of characters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scenetext.layers.transformer import Transformer
from scenetext.text.charset import PAD


@dataclass(frozen=True, slots=True, eq=False)
class PackedWords:
    """The real words of a batch, one after another, and a last row that stands for every empty slot.

    Attributes:
        characters: (M + 1, L) int64 ids, L the longest word with its end mark; row M is all padding.
        ends: (M + 1,) int64, where each row is read: its end mark; 0 for row M.
        slots: (M,) int64, the index of each real word among the B * N slots.
    """

    characters: Tensor
    ends: Tensor
    slots: Tensor


def real_words(characters: Tensor) -> Tensor:
    """(B, N, K) ids -> (B, N) bool, true where a slot holds a word."""
    return characters[..., 0] != PAD


def pack_words(characters: Tensor, cut: bool = True) -> PackedWords:
    """Takes the real words out of (B, N, K) slots, cut to the longest.

    The text encoder is causal and a word is read at its end mark, so neither the padding after it nor the other words
    change its feature, and an empty slot's feature is that of a single padding character.

    Args:
        cut: False keeps all K positions, where a word is read from them all.
    """
    slots = real_words(characters).flatten().nonzero().squeeze(1)
    rows = characters.flatten(0, 1).index_select(0, slots)
    rows = torch.cat([rows, rows.new_full((1, rows.shape[1]), PAD)])
    ends = rows.argmax(dim=1)  # the end mark has the largest id; of equal ids argmax takes the first
    return PackedWords(rows[:, : int(ends.max()) + 1] if cut else rows, ends, slots)


def encode_packed(
    words: PackedWords, token_embedding: nn.Embedding, positions: Tensor, transformer: Transformer, norm: nn.LayerNorm
) -> Tensor:
    """Features of packed words, (M + 1, text width): causal Transformer, read at the end mark, normalised.

    A function, not a module: the parameters lie on the top level of published checkpoints.

    Args:
        positions: (K, text width) learnt positions.
    """
    tokens = token_embedding(words.characters) + positions[: words.characters.shape[1]]
    tokens = transformer(tokens)
    return norm(tokens[torch.arange(len(tokens), device=tokens.device), words.ends])


def unpack_words(embeddings: Tensor, words: PackedWords, shape: tuple[int, int]) -> Tensor:
    """(M + 1, D) -> (B, N, D) with `shape` = (B, N): each real word to its slot, the last row to every empty one."""
    empty = embeddings[-1].expand(shape[0] * shape[1], -1)
    return empty.index_copy(0, words.slots, embeddings[:-1]).view(*shape, embeddings.shape[-1])
