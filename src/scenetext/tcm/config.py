"""Settings of TCM and FastTCM, as CLIP's two encoders (published defaults: RN50) and attached to any encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from typing_extensions import Self

from scenetext.config import Settings
from scenetext.encoders.choice import BackboneSettings
from scenetext.encoders.clip_image import EXPANSION, ClipImageSettings, ClipResNetSettings
from scenetext.encoders.clip_text import ClipTextSettings

PUBLISHED_PROMPT = "the pixels of many arbitrary-shape text instances."


class PromptDecoderSettings(Settings):
    """Sizes of the two Transformer decoders: the visual prompt generator and the text refinement."""

    width: PositiveInt = 256
    """Channels inside."""
    heads: PositiveInt = 4
    """Attention heads."""
    layers: PositiveInt = 3
    """Blocks of self-attention, cross-attention and MLP."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout rate of the outputs of attentions and MLPs."""

    @model_validator(mode="after")
    def _heads_divide(self) -> PromptDecoderSettings:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class MatchingSettings(Settings):
    """The auxiliary loss: the score map against the detector's text-region map. TCM, section 3.3."""

    loss: Literal["balanced_cross_entropy", "dice", "image_dice", "hard_dice"] = "balanced_cross_entropy"
    """balanced_cross_entropy: all text and the hardest other pixels (as published with DBNet and FCENet). dice: overlap
    over the whole batch. image_dice: overlap within every image (as published with spotters). hard_dice: overlap within
    every image, over its text and the hardest other pixels (as published with PAN)."""
    negative_ratio: NonNegativeFloat = 3.0
    """Pixels without text that count, per pixel with text; not for `dice` and `image_dice`."""
    temperature: PositiveFloat = 0.07
    """tau: the loss sees the cosine divided by it. The detector gets the cosine itself."""
    resolution: Literal["region", "score_map"] = "region"
    """Where the two are compared: score map enlarged to the region map, or region map reduced to the score map (as
    published with FCENet), where a cell is text if at least half of what is known of it is."""
    weight: NonNegativeFloat = 1.0
    """Weight of the loss beside the detector's."""


class GuidanceSettings(Settings):
    """How text guides an image encoder: what TCM has wherever its image embeddings come from."""

    fast: bool = False
    """FastTCM: the language prompt comes from a learnt vector instead of the image, so that the text feature is
    computed once for all images; the image comes back by bimodal similarity matching."""
    prompts: tuple[str, ...] = (PUBLISHED_PROMPT,)
    """Sentences that describe text, one class and one score channel each; none = learnable prompts alone. PP of Table
    6."""
    background_prompts: tuple[str, ...] = ()
    """Sentences that describe what is no text: classes whose channels learn the rest of the image."""
    learnable_prompts: NonNegativeInt = 4
    """Number n of learnt vectors before the words; 4, 18 or 32 as published, 0 = none. LP of Table 6."""
    language_prompt: bool = True
    """Whether a generated vector is added to every token. LG of Table 6."""
    visual_prompt: bool = True
    """Whether the image embeddings are refined by the text. VG of Table 6."""
    text_refinement: bool = True
    """Whether the text feature is refined by the image (on in the published code in all rows of Table 6)."""
    learned_scale: bool = False
    """Multiply the score map by a learnt factor, 1 / tau at first, instead of the fixed temperature (an option of the
    published code)."""
    embed_dim: PositiveInt = 1024
    """Joint width C of images and text; 1024 in RN50, 512 in RN101."""
    text: ClipTextSettings = ClipTextSettings()
    """Sizes of the text encoder."""
    context_length: PositiveInt | None = Field(default=None, le=77)
    """Rows of the text encoder's positions; None = as many as prompts and learnt vectors need."""
    train_text_encoder: bool = False
    """Whether the text encoder's weights are learnt; Table 8 shows that frozen is better."""
    text_weights: Path | Literal["none"] | None = None
    """Weights of the text encoder: CLIP's RN50.pt or an open_clip file; none = random, which is frozen as well
    unless `train_text_encoder`; None = those in the file of the image side, which must have a text encoder."""
    text_features: Path | None = None
    """Features of the prompts that `scenetext convert text-features` stored, instead of a text encoder: none is built,
    and CLIP's vocabulary is not needed. For sentences alone: with learnable_prompts 0 and language_prompt false."""
    decoder: PromptDecoderSettings = PromptDecoderSettings()
    """Sizes of the visual prompt generator and of the text refinement."""
    matching: MatchingSettings = MatchingSettings()
    """The auxiliary loss."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """One of every class, those of text first."""
        return (*self.prompts, *self.background_prompts)

    @model_validator(mode="after")
    def _check_prompts(self) -> Self:
        if not self.prompts and self.background_prompts:
            raise ValueError("background_prompts need prompts beside them that describe text")
        if not self.prompts and not self.learnable_prompts:
            raise ValueError("there is nothing to describe text with: give prompts, learnable_prompts, or both")
        return self

    @model_validator(mode="after")
    def _check_stored_text(self) -> Self:
        if self.text_features is None:
            return self
        if self.learnable_prompts or self.language_prompt:
            raise ValueError(
                "text_features are those of sentences alone, without the text encoder that learnt vectors go through: "
                "set learnable_prompts 0 and language_prompt false, or leave text_features out"
            )
        if self.train_text_encoder or self.text_weights is not None:
            raise ValueError("with text_features there is no text encoder: train_text_encoder and text_weights must go")
        return self


class TcmSettings(ClipImageSettings, GuidanceSettings):
    """CLIP's two encoders with what makes them guide a detector; `layers` and `width` are those of the ResNet."""

    name: Literal["tcm"] = "tcm"
    score_levels: tuple[Literal[1, 2, 3, 4], ...] = Field(default=(4,), min_length=1)
    """Stages whose features get the score map as further channels; published: the last. (2, 3, 4) gives it to all three
    that FCENet reads."""
    input_size: int = Field(default=640, ge=32, multiple_of=32)
    """Side of the training crops in pixels: fixes the grid of the attention pool's positions, which is resized for
    images of other sizes."""
    pool_heads: PositiveInt | None = None
    """Attention heads of the attention pool; None = one for every 64 channels, as in CLIP's files."""

    @property
    def grid(self) -> int:
        """Rows and columns of the attention pool's positions."""
        return self.input_size // 32

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if len(set(self.score_levels)) != len(self.score_levels):
            raise ValueError(f"score_levels names a stage twice: {list(self.score_levels)}")
        return self

    @model_validator(mode="after")
    def _check_pool(self) -> Self:
        channels = 8 * EXPANSION * self.width
        heads = channels // 64 if self.pool_heads is None else self.pool_heads
        if not heads or channels % heads:
            raise ValueError(
                f"the {channels} channels of the last stage cannot be divided among {heads} heads of the attention "
                "pool; set pool_heads"
            )
        return self


class AttachSettings(Settings):
    """What TCM is attached to, and where."""

    encoder: BackboneSettings = ClipResNetSettings()
    """Any encoder but TCM itself, with its own weights and pixel statistics."""
    level: Literal[1, 2, 3, 4] = 3
    """Level whose features are compared with text and get the score map; 3 has stride 16, as published."""
    projection: Literal["two_convolutions", "none"] = "two_convolutions"
    """two_convolutions: 1x1, norm, ReLU, 1x1, norm, to the joint width (as published with ABCNet). none: the level has
    the joint width `embed_dim` already (as published with TESTR: 1024 channels of a ResNet-50's third stage)."""
    norm: Literal["batch", "layer"] = "batch"
    """Norm of the projection. batch: over the images of a batch, as published. layer: over the channels of each
    position, for batches of a few images."""


class AttachedTcmSettings(GuidanceSettings):
    """TCM attached to one level of any encoder, as it is published for spotters."""

    name: Literal["attached_tcm"] = "attached_tcm"
    attach: AttachSettings = AttachSettings()
    """The encoder, the level and the projection."""
    addition_gate: Literal["off", "learnt"] = "learnt"
    """Factor of the score map where it is added to the level. learnt: one for every class, 0.001 at first, so that
    training starts from the encoder's own features. off: 1 for classes of text, 0 for those of the background."""
    weights: Path | None = None
    """A detector with attached TCM to start from, the wrapped encoder included, or any file with that encoder; None =
    what `attach.encoder.weights` says."""
