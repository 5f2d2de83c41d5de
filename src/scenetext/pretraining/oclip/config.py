"""Settings of oCLIP; the defaults are the published English model on RN50."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveInt, field_validator, model_validator

from scenetext.config import Settings
from scenetext.encoders.choice import BackboneSettings
from scenetext.encoders.clip_image import ClipResNetSettings

LossName = Literal["character", "contrastive", "place"]
DEFAULT_WEIGHTS: dict[LossName, float] = {"character": 1.0, "contrastive": 1.0, "place": 0.0}


def _of_clip_unless_named(settings: Any) -> Any:
    return {"name": "clip_resnet", **settings} if isinstance(settings, Mapping) else settings


class OclipSettings(Settings):
    """The model, its words and its objective."""

    name: Literal["oclip"] = "oclip"
    encoder: Annotated[BackboneSettings, BeforeValidator(_of_clip_unless_named)] = ClipResNetSettings()
    """The image encoder, any in `encoders`; without a `name`, CLIP's ResNet as published."""
    input_size: int = Field(default=512, ge=32, multiple_of=32)
    """Side of the square input, in pixels; fixes the size of both positional tables of the image."""
    embed_dim: PositiveInt = 384
    """Joint width D of images and words."""
    context_length: int = Field(default=25, ge=2)
    """Character slots K of a word, the end mark included; longer words are cut."""
    text_width: PositiveInt = 64
    """Width of the text encoder; 384 in the published LSVT model."""
    text_heads: PositiveInt = 8
    """Attention heads of the text encoder."""
    text_layers: PositiveInt = 6
    """Blocks of the text encoder."""
    decoder_layers: PositiveInt = 6
    """Cross-attention blocks of the visual-textual decoder."""
    decoder_heads: PositiveInt = 8
    """Attention heads of the decoder."""
    maximum_words: PositiveInt = 32
    """Word slots N of an image; of more words, N are sampled each time."""
    hidden_per_word: PositiveInt = 1
    """Slots that every word fills in training, each with another of its characters hidden, as far as it has so many;
    one in the paper. Nearly all of the work is the image's, so several teach more in the same time. In the text feature
    of the contrastive loss a word counts once for each of its slots."""
    word_pooling: Literal["words", "slots"] = "words"
    """What the text feature is the mean of: the image's words, or all N slots, in which the empty ones each count as
    one constant vector (published: needed to reproduce its numbers)."""
    tokens: Literal["pooled", "local"] = "pooled"
    """What the decoder reads: the places of the attention pool after its attention, as published, or each before it, so
    that no place is mixed with others."""
    first_stage: bool = False
    """Contrastive loss alone: no masking, no decoder (an option of the published code)."""
    clamp_logit_scale: bool = True
    """Keep the contrastive temperature's inverse at 100 or less, as CLIP does; the published oCLIP code does not."""
    gather: Literal["exact", "published"] = "exact"
    """What several processes exchange for the contrastive loss: exact gives the gradient of one process with the whole
    batch; published keeps the features of other processes constant, which divides the network's gradient by the number
    of processes, and averages the character loss over processes instead of characters."""
    loss_weights: dict[LossName, NonNegativeFloat] = DEFAULT_WEIGHTS
    """Weight of each loss term; a term that is not named keeps that of the default. place, which is not in the paper,
    shows the decoder the boxes of words that have one, as generated words do: it makes a small model look where there
    are several words."""
    characters: Path | None = None
    """Dictionary file, one character a line; None = printable ASCII."""
    vocabulary_size: PositiveInt | None = None
    """Rows V of the character embedding and of the classes; None = the dictionary's C + 3, which is the least. A
    published model may have more than its dictionary needs; the rest is never used."""
    unknown_characters: Literal["skip", "stop"] = "skip"
    """A word with a character outside the dictionary: drop and count it, or stop."""

    @property
    def grid(self) -> int:
        """Rows and columns of the image's token grid at the input size."""
        return self.input_size // 32

    @field_validator("loss_weights")
    @classmethod
    def _complete(cls, weights: dict[LossName, float]) -> dict[LossName, float]:
        return {**DEFAULT_WEIGHTS, **weights}

    @model_validator(mode="after")
    def _heads_divide(self) -> OclipSettings:
        for width, heads in (("text_width", "text_heads"), ("embed_dim", "decoder_heads")):
            if getattr(self, width) % getattr(self, heads):
                raise ValueError(f"{width} {getattr(self, width)} is not a multiple of {heads} {getattr(self, heads)}")
        return self
