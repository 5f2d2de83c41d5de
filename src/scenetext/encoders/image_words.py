"""What models of images and their words have in common (oCLIP, ODM): settings, and the text side of the network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, cast

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from scenetext.config import Settings
from scenetext.encoders.clip_image import AttentionPool
from scenetext.layers.contrastive import FIRST_TEMPERATURE
from scenetext.layers.transformer import Transformer


class ImageWordSettings(Settings):
    """Sizes and options of both sides."""

    input_size: int = Field(default=512, ge=32, multiple_of=32)
    """Side of the square input, in pixels; fixes the size of both positional tables of the image."""
    embed_dim: PositiveInt
    """Joint width D of images and words."""
    tokens: Literal["pooled", "local"] = "pooled"
    """The places of the image that meet words: those of the attention pool after its attention, as published, or each
    before it, so that no place is mixed with others."""
    context_length: int = Field(default=25, ge=2)
    """Character slots K of a word, the end mark included; longer words are cut."""
    text_width: PositiveInt = 64
    """Width of the text encoder; 384 in the LSVT model that oCLIP published."""
    text_heads: PositiveInt = 8
    """Attention heads of the text encoder."""
    text_layers: PositiveInt = 6
    """Blocks of the text encoder."""
    decoder_layers: PositiveInt = 6
    """Cross-attention blocks, in which words and places meet."""
    decoder_heads: PositiveInt = 8
    """Attention heads of the decoder."""
    maximum_words: PositiveInt = 32
    """Word slots N of an image; of more words, N are sampled each time."""
    word_pooling: Literal["words", "slots"] = "words"
    """What the text feature of the contrastive loss is the mean of: the image's own words, or all N slots, in which the
    empty ones each count as one constant vector (published: needed to reproduce its numbers)."""
    clamp_logit_scale: bool = True
    """Keep the contrastive temperature's inverse at 100 or less, as CLIP does; the published code does not."""
    characters: Path | None = None
    """Dictionary file, one character a line; None = printable ASCII."""
    unknown_characters: Literal["skip", "stop"] = "skip"
    """A word with a character outside the dictionary: drop and count it, or stop."""

    @property
    def grid(self) -> int:
        """Rows and columns of the image's token grid at the input size."""
        return self.input_size // 32

    @model_validator(mode="after")
    def _heads_divide(self) -> ImageWordSettings:
        for width, heads in (("text_width", "text_heads"), ("embed_dim", "decoder_heads")):
            if getattr(self, width) % getattr(self, heads):
                raise ValueError(f"{width} {getattr(self, width)} is not a multiple of {heads} {getattr(self, heads)}")
        return self


class ImageWordModel(nn.Module):
    """The text side: a base class, since its parameters lie on the top level of published checkpoints.

    Shapes: B images, N word slots, D joint width.
    """

    settings: ImageWordSettings

    def build_text_side(self, settings: ImageWordSettings, vocabulary_size: int) -> None:
        """Makes the text encoder and the contrastive temperature; called after the image side is there.

        Args:
            settings: sizes.
            vocabulary_size: V, rows of the character embedding.
        """
        width = settings.text_width
        self.transformer = Transformer(width, settings.text_layers, settings.text_heads, causal=True)
        self.token_embedding = nn.Embedding(vocabulary_size, width)
        self.positional_embedding = nn.Parameter(torch.empty(settings.context_length, width))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, settings.embed_dim))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / FIRST_TEMPERATURE)))
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.text_projection, std=width**-0.5)

    def image_tokens(self, pool: AttentionPool, last_level: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 1 + h * w, D): the mean position, then the places, see `ImageWordSettings.tokens`."""
        return cast(Tensor, pool(last_level, local=self.settings.tokens == "local"))

    def pool_words(self, words: Tensor, own: Tensor) -> Tensor:
        """(B, N, D) -> (B, D): mean over the words that `own` (B, N) names, or over all slots as published."""
        if self.settings.word_pooling == "slots":
            return words.mean(dim=1)
        weights = own.float() / own.sum(dim=1, keepdim=True).clamp(min=1)
        return (weights[..., None] * words).sum(dim=1)
