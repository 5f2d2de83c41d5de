"""What every TCM encoder does with image embeddings: they are compared with text that describes text."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from typing_extensions import Self

from scenetext.contracts import Encoder
from scenetext.encoders.clip_text import ClipTextEncoder
from scenetext.errors import ConfigError
from scenetext.structures import Features
from scenetext.tcm.config import GuidanceSettings
from scenetext.tcm.decoder import PromptDecoder
from scenetext.tcm.matching import bimodal_similarity, cosine_map
from scenetext.tcm.prompts import StoredText, TextPrompts, prompt_tokens

INITIAL_GATE = 1e-3
"""Factor of what is added to an encoder's features at first, so that training starts from these."""


class GuidedEncoder(nn.Module, ABC):
    """An image encoder as an `Encoder` that shows a detector where text is. TCM, figure 2.

    Where its image embeddings come from and how the score map joins the levels, its kinds say.

    Args:
        settings: all switches and sizes.
        image: the encoder that is guided.
        tokens: ids of every class's sentence, marks included; None = those of `settings`, tokenised.

    Attributes:
        strides, pixel_mean, pixel_std: those of the image encoder; `stem_channels`, too, where it has them.

    Raises:
        ConfigError: a prompt is too long for the context.
    """

    image: nn.Module
    channels: tuple[int, ...]
    guided_level: int
    """Index of the level whose grid the score map has."""

    def __init__(
        self, settings: GuidanceSettings, image: Encoder, tokens: Sequence[Sequence[int]] | None = None
    ) -> None:
        super().__init__()
        joint = settings.embed_dim
        self.settings = settings
        self.image = cast(nn.Module, image)
        self.prompts: TextPrompts | StoredText
        self.text_encoder: ClipTextEncoder | None = None
        if settings.text_features is None:
            self.prompts = TextPrompts(settings, prompt_tokens(settings) if tokens is None else tokens)
            self.text_encoder = ClipTextEncoder(settings.text, _context_length(settings, self.prompts.length), joint)
            _freeze_unused(settings, self.prompts, self.text_encoder)
        else:
            self.prompts = StoredText(len(settings.sentences), joint)
        self.refinement = PromptDecoder(settings.decoder, joint) if settings.text_refinement else None
        self.refinement_gate = nn.Parameter(torch.full((joint,), INITIAL_GATE)) if settings.text_refinement else None
        self.visual_prompt = PromptDecoder(settings.decoder, joint) if settings.visual_prompt else None
        self.visual_gate = nn.Parameter(torch.tensor(INITIAL_GATE)) if settings.visual_prompt else None
        self.similarity = nn.Linear(joint, joint, bias=False) if settings.fast else None
        if self.similarity is not None:
            nn.init.eye_(self.similarity.weight)
        scale = math.log(1 / settings.matching.temperature)
        self.logit_scale = nn.Parameter(torch.tensor(scale)) if settings.learned_scale else None
        self._text_cache: Tensor | None = None
        self.register_load_state_dict_post_hook(_clear_text_cache)  # type: ignore[no-untyped-call]
        self.strides, self.pixel_mean, self.pixel_std = image.strides, image.pixel_mean, image.pixel_std
        if hasattr(image, "stem_channels"):
            self.stem_channels: int = image.stem_channels

    @abstractmethod
    def image_tokens(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, 1 + N, C): the global feature and the embedding of every position of the guided level, row by row."""

    @abstractmethod
    def _joined(self, levels: Sequence[Tensor], score: Tensor) -> tuple[Tensor, ...]:
        """The levels as the detector gets them, with the score map (B, K, h, w)."""

    @abstractmethod
    def load_weights(self, weights: Path | None = None) -> list[str]:
        """As `Encoder.load_weights`: image side, text side, and TCM's own parts."""

    def forward(self, images: Tensor) -> Features:
        """Levels with the score map joined to them, and in `side`, beside what the image encoder leaves there:

        score_map: (B, K, h, w) float32, cosine of every position of the guided level with every class in [-1, 1]
            (times the learnt factor, where there is one).
        visual_prompt: (B, C, h, w), what the text adds to the image embeddings; only with a visual prompt.
        """
        seen: Features = self.image(images)
        height, width = seen.levels[self.guided_level].shape[-2:]
        tokens = self.image_tokens(seen.levels)
        text = self.text_features(tokens)
        side = dict(seen.side)
        embeddings = tokens[:, 1:]
        if self.visual_prompt is not None:
            difference = self.visual_gate * self.visual_prompt(embeddings, text)
            embeddings = embeddings + difference
            side["visual_prompt"] = difference.transpose(1, 2).reshape(images.shape[0], -1, height, width)
        score = cosine_map(embeddings, self._refined(text, tokens)).reshape(images.shape[0], -1, height, width)
        if self.logit_scale is not None:
            score = score * self.logit_scale.exp()
        side["score_map"] = score
        return Features(self._joined(seen.levels, score), side)

    def text_features(self, tokens: Tensor) -> Tensor:
        """The feature of every class as the visual prompt reads it.

        Args:
            tokens: (B, 1 + N, C), the global feature and the image embeddings.

        Returns:
            (B, K, C).
        """
        image = tokens[:, 0]
        text = self._prompted_text(image)
        if self.similarity is not None:
            text = bimodal_similarity(text, self.similarity(image))
        return text.to(tokens.dtype).expand(tokens.shape[0], -1, -1)

    def _refined(self, text: Tensor, tokens: Tensor) -> Tensor:
        """The text features (B, K, C) as the image is compared with them: with what they read from its tokens."""
        if self.refinement is None:
            return text
        return text + self.refinement_gate * self.refinement(text, tokens)

    def _prompted_text(self, image: Tensor) -> Tensor:
        """(B, K, C) or (1, K, C): computed once and cached where it is the same for all images of an evaluation."""
        if self.training or torch.is_grad_enabled() or self.prompts.reads_images:
            return self.prompts(self.text_encoder, image)
        return self._cached_text(image)

    def _cached_text(self, image: Tensor) -> Tensor:
        if self._text_cache is None:
            self._text_cache = self.prompts(self.text_encoder, image)
        return self._text_cache

    @torch.no_grad()
    def store_text(self) -> None:
        """Puts the text features in the place of prompts and text encoder, where no image changes them; for export."""
        if self.text_encoder is None or self.prompts.reads_images:
            return
        stored = StoredText(self.prompts.classes, self.settings.embed_dim)
        image = torch.zeros(1, self.settings.embed_dim, device=self.text_encoder.text_projection.device)
        stored.features = self.prompts(self.text_encoder, image)[0]
        self.prompts, self.text_encoder = stored, None
        self.clear_text_cache()

    def clear_text_cache(self) -> None:
        """Makes the next forward pass compute the text feature again; call it if weights change in evaluation mode."""
        self._text_cache = None

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module.train`; either way the cached text feature is dropped, since weights may have changed."""
        self.clear_text_cache()
        return super().train(mode)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self.clear_text_cache()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def __getstate__(self) -> Mapping[str, Any]:
        """A copy computes its own text feature."""
        return {**self.__dict__, "_text_cache": None}


def _freeze_unused(settings: GuidanceSettings, prompts: TextPrompts, text_encoder: ClipTextEncoder) -> None:
    """Freezes what is not trained: the text encoder, or the token embedding where prompts have no words."""
    if not settings.train_text_encoder:
        text_encoder.requires_grad_(False)
    if not prompts.tokens.numel():
        text_encoder.token_embedding.requires_grad_(False)


def _clear_text_cache(encoder: GuidedEncoder, incompatible: object) -> None:
    """What happens after a state was loaded; a function of its own, so that encoders can be sent to other processes."""
    encoder.clear_text_cache()


def _context_length(settings: GuidanceSettings, needed: int) -> int:
    if settings.context_length is not None and settings.context_length < needed:
        raise ConfigError(
            f"prompts and learnt vectors need {needed} positions, encoder.context_length is {settings.context_length}"
        )
    return settings.context_length or needed
