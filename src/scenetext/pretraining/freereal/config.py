"""Settings of FreeReal, and of mean teacher, which is FreeReal without pasted glyphs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from scenetext.config import Settings
from scenetext.data.loading.combination import TrainingSet
from scenetext.data.loading.settings import DataSettings
from scenetext.data.transforms.camera import CameraSettings, NonNegativeRange
from scenetext.data.transforms.evaluation import ShareRange
from scenetext.data.transforms.photometric import PhotometricSettings

Probability = Annotated[float, Field(ge=0, le=1)]


class StrongViewSettings(Settings):
    """How the student sees an unlabelled image; the teacher sees it as it is. Geometry is the same for both."""

    photometric: PhotometricSettings = PhotometricSettings(brightness=0.4, contrast=0.4, saturation=0.4)
    """Random changes of colour."""
    grey: Probability = 0.2
    """Probability that all colour goes."""
    blur: Probability = 0.5
    """Probability of a Gaussian blur."""
    blur_sigma: NonNegativeRange = (0.1, 2.0)
    """Its sigma, pixels."""


class PartnerSettings(Settings):
    """Intra-domain mixing (A^T in the paper): a box of another unlabelled image, with its pseudo labels."""

    probability: Probability = 0.5
    """Of an image getting a box."""
    candidates: int = Field(default=10, ge=1)
    """Random boxes, of which the one is taken that cuts the fewest pseudo texts of both images; of equals the one that
    brings the most text."""
    side: ShareRange = (0.25, 0.75)
    """Width and height of a box as a share of the image's, drawn uniformly."""


class FreeRealSettings(Settings):
    """Glyphs of generated scenes on unlabelled images, whose own text a moving average of the detector finds.

    No code was published; what the paper leaves open is chosen here.
    """

    name: Literal["freereal"] = "freereal"
    glyphs: bool = True
    """Paste glyphs on the unlabelled images. False: mean teacher; half of each batch are whole labelled images, the
    other half unlabelled ones."""
    decay: float = Field(default=0.999, gt=0, lt=1)
    """Share of the teacher that stays at each step."""
    sure: Probability = 0.7
    """Score from which on what the teacher detects is learnt as text. Scores mean other things in other detectors."""
    unsure: Probability = 0.3
    """Score from which on, up to `sure`, it is ignored: neither text nor background."""
    covered: Probability = 0.1
    """Share of a pseudo text that pasted words may cover; the rest of one that is covered more is ignored."""
    contrast_minimum: float = Field(default=20.0, ge=0, le=80)
    """Smallest difference of mean CIE lightness L* (0 to 100) between a pasted word and what it covers. Words below it
    get another colour, or are left out with their label where none is readable."""
    partner: PartnerSettings = PartnerSettings()
    strong: StrongViewSettings = StrongViewSettings()
    camera: CameraSettings = CameraSettings()
    """Blur, noise and compression of the mixed image, so that pasted letters are not known by their sharpness."""

    @model_validator(mode="after")
    def _band(self) -> Self:
        if self.unsure > self.sure:
            raise ValueError(f"unsure {self.unsure:g} is above sure {self.sure:g}; the ignored band lies between them")
        return self


class FreeRealDataSettings(DataSettings):
    """Glyph layers with their words as `train`, and images whose text is unknown."""

    beside: ClassVar[tuple[str, ...]] = ("unlabelled",)
    unlabelled: tuple[TrainingSet, ...]
    """Images to learn from without labels, as `train` names datasets; one is drawn at random for each image of `train`.
    Labels that their records have are not learnt from, only compared with pseudo labels."""
