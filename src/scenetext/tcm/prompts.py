"""From sentences, learnt vectors and a generated one to the text feature of every class. TCM, section 3.2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scenetext.encoders.clip_text import ClipTextEncoder
from scenetext.tcm.config import GuidanceSettings
from scenetext.text.clip_tokenizer import CONTEXT_LENGTH, tokenize


def prompt_tokens(settings: GuidanceSettings) -> list[list[int]]:
    """The ids of every class's sentence, marks included, text first; empty where there are learnable prompts alone.

    Raises:
        ConfigError: a sentence is too long for the context that the learnable prompts leave.
    """
    sentences = settings.sentences
    limit = (settings.context_length or CONTEXT_LENGTH) - settings.learnable_prompts
    return tokenize(sentences, limit) if sentences else []


class TextPrompts(nn.Module):
    """The token sequences that the text encoder reads: start mark, learnt vectors, words, end mark.

    Without words the learnt vectors are the whole sequence, read at the last of them.

    Args:
        settings: which prompts there are.
        tokens: ids of every class's sentence, marks included; empty where there are learnable prompts alone.
    """

    tokens: Tensor
    ends: Tensor

    def __init__(self, settings: GuidanceSettings, tokens: Sequence[Sequence[int]]) -> None:
        super().__init__()
        width, channels, learnt = settings.text.width, settings.embed_dim, settings.learnable_prompts
        longest = max(map(len, tokens), default=0)
        self.length = longest + learnt
        # Attention is causal, so positions after the end mark have no effect: any id will do.
        padded = [[*ids, *[0] * (longest - len(ids))] for ids in tokens]
        ends = [len(ids) - 1 + learnt for ids in tokens] or [learnt - 1]
        self.register_buffer("tokens", torch.tensor(padded, dtype=torch.long), persistent=False)
        self.register_buffer("ends", torch.tensor(ends, dtype=torch.long), persistent=False)
        self.contexts: nn.Parameter | None = None
        self.generator: nn.Sequential | None = None
        self.meta_query: nn.Parameter | None = None
        if learnt:
            # torch's default cut, two absolute units, at a deviation of 1: as published.
            self.contexts = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, learnt, width)))
        if settings.language_prompt:
            self.generator = nn.Sequential(
                nn.LayerNorm(channels),
                nn.Linear(channels, channels),
                nn.ReLU(),
                nn.LayerNorm(channels),
                nn.Linear(channels, width),
            )
            if settings.fast:
                self.meta_query = nn.Parameter(nn.init.trunc_normal_(torch.empty(channels)))

    @property
    def classes(self) -> int:
        """How many text features there are, K."""
        return len(self.ends)

    @property
    def reads_images(self) -> bool:
        """Whether the text feature differs from image to image."""
        return self.generator is not None and self.meta_query is None

    def forward(self, text_encoder: ClipTextEncoder, image: Tensor) -> Tensor:
        """The text feature of every class.

        Args:
            image: (B, C), global features; used only where `reads_images`.

        Returns:
            (B, K, C) where `reads_images`, else (1, K, C).
        """
        sequences = self._sequences(text_encoder)[None]
        if self.generator is not None:
            source = image if self.meta_query is None else self.meta_query[None]
            sequences = sequences + self.generator(source)[:, None, None]
        batch, classes = sequences.shape[:2]
        features = text_encoder(sequences.flatten(0, 1), self.ends.repeat(batch))
        return features.unflatten(0, (batch, classes))

    def _sequences(self, text_encoder: ClipTextEncoder) -> Tensor:
        """(K, S, width): the embedded tokens of every class with the learnt vectors among them."""
        if not self.tokens.numel():
            if self.contexts is None:
                raise RuntimeError("settings without words and learnable prompts are refused when they are made")
            return self.contexts
        words = text_encoder.token_embedding(self.tokens)
        if self.contexts is None:
            return words
        learnt = self.contexts.to(words.dtype).expand(len(words), -1, -1)
        return torch.cat([words[:, :1], learnt, words[:, 1:]], dim=1)


class StoredText(nn.Module):
    """The text feature of every class as a file or a checkpoint gives it, in place of prompts and text encoder.

    Args:
        classes: K.
        channels: joint width C.
    """

    features: Tensor
    reads_images = False

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("features", torch.zeros(classes, channels))

    def forward(self, text_encoder: None, image: Tensor) -> Tensor:
        """(1, K, C), called as `TextPrompts` is; reads neither argument."""
        return self.features[None]
