"""Settings of oCLIP; the defaults are the published English model on RN50."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, NonNegativeFloat, PositiveInt, field_validator

from scenetext.encoders.choice import BackboneSettings
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.encoders.image_words import ImageWordSettings

LossName = Literal["character", "contrastive", "place"]
DEFAULT_WEIGHTS: dict[LossName, float] = {"character": 1.0, "contrastive": 1.0, "place": 0.0}


def _of_clip_unless_named(settings: Any) -> Any:
    return {"name": "clip_resnet", **settings} if isinstance(settings, Mapping) else settings


class OclipSettings(ImageWordSettings):
    """The model, its words and its objective."""

    name: Literal["oclip"] = "oclip"
    encoder: Annotated[BackboneSettings, BeforeValidator(_of_clip_unless_named)] = ClipResNetSettings()
    """The image encoder, any in `encoders`; without a `name`, CLIP's ResNet as published."""
    embed_dim: PositiveInt = 384
    hidden_per_word: PositiveInt = 1
    """Slots that every word fills in training, each with another of its characters hidden, as far as it has so many;
    one in the paper. Nearly all of the work is the image's, so several teach more in the same time. In the text feature
    of the contrastive loss a word counts once for each of its slots."""
    first_stage: bool = False
    """Contrastive loss alone: no masking, no decoder (an option of the published code)."""
    gather: Literal["exact", "published"] = "exact"
    """What several processes exchange for the contrastive loss: exact gives the gradient of one process with the whole
    batch; published keeps the features of other processes constant, which divides the network's gradient by the number
    of processes, and averages the character loss over processes instead of characters."""
    loss_weights: dict[LossName, NonNegativeFloat] = DEFAULT_WEIGHTS
    """Weight of each loss term; a term that is not named keeps that of the default. place, which is not in the paper,
    shows the decoder the boxes of words that have one, as generated words do: it makes a small model look where there
    are several words."""
    vocabulary_size: PositiveInt | None = None
    """Rows V of the character embedding and of the classes; None = the dictionary's C + 3, which is the least. A
    published model may have more than its dictionary needs; the rest is never used."""

    @field_validator("loss_weights")
    @classmethod
    def _complete(cls, weights: dict[LossName, float]) -> dict[LossName, float]:
        return {**DEFAULT_WEIGHTS, **weights}
