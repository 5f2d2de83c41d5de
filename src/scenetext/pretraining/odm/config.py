"""Settings of ODM; the defaults are the published model on RN50, and where its code is at fault what its paper says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveInt, field_validator

from scenetext.config import Settings
from scenetext.data.transforms.evaluation import check_range
from scenetext.data.transforms.photometric import PhotometricSettings
from scenetext.data.transforms.training import Range, RegionCropSettings, TrainingTransformSettings
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.encoders.image_words import ImageWordSettings

LossName = Literal["map", "dice", "perceptual", "contrastive"]
DEFAULT_WEIGHTS: dict[LossName, float] = {"map": 1.0, "dice": 0.0, "perceptual": 1.0, "contrastive": 0.5}
Probability = Annotated[float, Field(ge=0, le=1)]
ShareRange = Annotated[tuple[Probability, Probability], AfterValidator(check_range)]


class ControllerSettings(Settings):
    """The Text-Controller: what is changed in the prompt, so that the network has to look at it."""

    remove_probability: Probability = 0.5
    """Of leaving words of the image out of prompt and map."""
    removed_share: ShareRange = (0.1, 0.3)
    """Share of the words that is left out then, drawn uniformly; at least one."""
    foreign_probability: Probability = 0.5
    """Of adding words to the prompt that are not in the image; the map has nothing of them."""
    foreign_share: ShareRange = (0.1, 0.3)
    """Number of them, as a share of the image's words, drawn uniformly; at least one where a slot is free."""
    whole_word_probability: Probability = 0.5
    """That a foreign word is a whole word of another image; else it is a word of this image with every character
    replaced."""


class PerceptualSettings(Settings):
    """The perceptual loss: a frozen text detector looks at the drawn and at the true map."""

    weights: Path | None = None
    """Weights of what looks: CRAFT's (`craft_mlt_25k.pth`), or any file that `encoder.weights` of a detector takes, as
    its checkpoint. null = no such loss; it costs more than the network itself."""
    form: Literal["normalised", "absolute"] = "normalised"
    """normalised: squared difference of features of unit length, as the published code has it; absolute: mean absolute
    difference, as the paper says, but with the mean over channels."""


class OdmSettings(ImageWordSettings):
    """The model, its words, and its objective."""

    name: Literal["odm"] = "odm"
    encoder: ClipResNetSettings = ClipResNetSettings()
    embed_dim: PositiveInt = 512
    pyramid_channels: int = Field(default=256, ge=4, multiple_of=4)
    """Width of the feature pyramid; the drawing head has a half and a quarter of it."""
    loss_weights: dict[LossName, NonNegativeFloat] = DEFAULT_WEIGHTS
    """Weight of each loss term; a term that is not named keeps that of the default. dice, the overlap of what is drawn
    with the label, is not in the paper: without it a small model that is not yet sure of a word draws nothing."""
    controller: ControllerSettings = ControllerSettings()
    perceptual: PerceptualSettings = PerceptualSettings()
    font: Path | None = None
    """Font file that labels are drawn in; null = the one inside Pillow, which has Latin letters."""
    least_height: float = Field(default=6.0, ge=1)
    """Words less high than this in the input, in pixels, stay out of prompt and map."""

    @field_validator("loss_weights")
    @classmethod
    def _complete(cls, weights: dict[LossName, float]) -> dict[LossName, float]:
        return {**DEFAULT_WEIGHTS, **weights}


class OdmTransformSettings(TrainingTransformSettings):
    """Geometry of training: one crop that cuts no word, turned at times, squeezed to the square; evaluation squeezes
    the whole image."""

    size: tuple[int, int] = (512, 512)
    """(height, width) of the output in pixels: both the method's input size."""
    horizontal_flip: Literal[0] = 0
    """Text is never mirrored: the label is what it says."""
    rotation: Range = (-30.0, 30.0)
    rotation_probability: Probability = 0.3
    region: RegionCropSettings | None = RegionCropSettings(minimum_side=0.5, squeeze=1.0)
    smallest_visible_share: Probability = 1.0
    """A word that a crop cuts leaves prompt and map."""
    photometric: PhotometricSettings = PhotometricSettings(brightness=0.25, contrast=0.25, saturation=0.5)
