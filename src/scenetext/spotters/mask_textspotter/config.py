"""Settings of Mask TextSpotter v3; defaults are the published ones, but for what `published` says."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from typing_extensions import Self

from scenetext.config import Settings
from scenetext.errors import DataError
from scenetext.recognition.attention import AttentionRecognizer, AttentionSettings
from scenetext.recognition.ctc import CtcRecognizer
from scenetext.recognition.recognizer import ReadableTexts, Recognizer
from scenetext.text.charset import CharacterSet

STRIDE = 4
"""Input pixels per pixel of the fused map, the only one that regions are pooled from."""
BOX_CELLS = 7
"""Cells of a side that the box head looks at."""
BOX_DEVIATIONS = (0.1, 0.1, 0.2, 0.2)
"""What offsets are divided by, so that they have a deviation of about 1."""
VERTICES = 64
"""Of every polygon that goes with a box; shorter ones repeat the last vertex, longer ones are simplified."""
LARGEST_ALPHABET = 100
"""Characters up to which a map for each of them fits in memory."""

Share = Annotated[float, Field(gt=0, le=1)]


class MaskTextSpotterLossWeights(Settings):
    """Weight of every loss term; all the same in the published training, whose reading loss has a factor 0.2 inside."""

    segmentation: NonNegativeFloat = 1.0
    """Dice loss of the text kernels that proposals are made from."""
    box_text: NonNegativeFloat = 1.0
    """Cross-entropy of the proposals: text or background."""
    box_offset: NonNegativeFloat = 1.0
    """Smooth L1 distance of the offsets from proposals to boxes of text."""
    mask: NonNegativeFloat = 1.0
    """Cross-entropy of the pixels of masks."""
    character: NonNegativeFloat = 1.0
    """Cross-entropy of the pixels of the character maps, where characters are annotated."""
    reading: NonNegativeFloat = 0.2
    """Negative log-likelihood of the known texts."""


class ProposalSettings(Settings):
    """From the map of text kernels to the places that are looked at again."""

    shrink_ratio: Share = 0.4
    """Side ratio of the kernels that are learnt: they are shrunk by area * (1 - ratio^2) / perimeter."""
    threshold: float = Field(default=0.1, gt=0, lt=1)
    """Contours of the map above this probability are candidates."""
    least_side: NonNegativeFloat = 5.0
    """Candidates whose rectangle of least area is narrower, in pixels, are dropped."""
    least_score: float = Field(default=0.1, ge=0, lt=1)
    """Candidates whose rectangle has a lower mean probability are dropped in evaluation."""
    simplification: NonNegativeFloat = 0.01
    """How far contours may be simplified, as a share of their length."""
    polygon_growth: PositiveFloat = 3.0
    """The polygon that the features are cut to is the contour, grown by area * this / perimeter."""
    box_growth: PositiveFloat = 1.5
    """The box is that of the rectangle of least area, grown likewise."""
    count: PositiveInt = 1000
    """The best of an image."""


class BoxSettings(Settings):
    """Which proposals are learnt from, and which boxes are text."""

    positive_iou: Share = 0.5
    """Proposals are text from this IoU with its box on, and background below."""
    samples: PositiveInt = 512
    """Proposals of an image that are learnt from, drawn at random; boxes of texts are among the proposals."""
    positive_share: Share = 0.25
    """Most of these that are text."""
    masks: PositiveInt = 64
    """Of those that are text, the number whose mask and text are learnt, drawn at random."""
    overlap_threshold: Share = 0.5
    """In evaluation, of boxes with a greater IoU the best stays."""
    count: PositiveInt = 100
    """In evaluation, the best boxes of an image."""


class MaskSettings(Settings):
    """The head that makes masks, character maps and the features for reading."""

    cells: int = Field(default=32, ge=4, multiple_of=2)
    """Cells of a side that it looks at; masks have twice as many."""
    channels: PositiveInt = 256
    """Of its convolutions."""
    convolutions: PositiveInt = 4
    """How many there are before the polygon is cut out."""
    character_maps: bool = True
    """Whether it has a map for every character of the alphabet."""
    character_shrink: float = Field(default=0.25, ge=0, lt=0.5)
    """What every corner of a character moves inwards, as a share of the shorter side at it (EAST)."""


class ReadingSettings(AttentionSettings):
    """The reader: the spatial attentional module (SAM), or a CTC reader on the same map."""

    name: Literal["attention", "ctc"] = "attention"
    """attention is published. ctc reads the columns of the map (`size`, `channels`), without steps, beams and codes."""


class DecodingSettings(Settings):
    """How masks become polygons, and what is read."""

    score_threshold: float = Field(default=0.05, ge=0, lt=1)
    """Boxes of a lower probability of text are dropped. Published: 0.01 for ICDAR 2015, 0.05 for Total-Text."""
    least_character_score: float = Field(default=0.0, ge=0, le=1)
    """Texts whose character maps are less certain are dropped. Published: 0.4 for ICDAR 2015, 0.5 for Total-Text."""
    least_reading_score: float = Field(default=0.0, ge=0, le=1)
    """Texts whose reading is less certain are dropped. Published: 0.7 and 0.8 (generic lexicon) for ICDAR 2015, 0.9
    (no lexicon) and 0.8 for Total-Text."""
    mask_threshold: float = Field(default=0.5, gt=0, lt=1)
    """Least probability of a pixel of text, after smoothing."""
    character_threshold: float = Field(default=0.75, gt=0, lt=1)
    """Least probability of a pixel of any character; about the published 192 of 255."""
    polygon_shape: Literal["quad", "polygon"] = "polygon"
    """Rectangle of least area of all pieces, or the contour of the largest piece."""
    epsilon_ratio: NonNegativeFloat = 0.01
    """How far a contour may be simplified, as a share of its length."""
    overlap_threshold: Share = 0.2
    """Of polygons that share more than this of their common hull, one stays."""
    overlap_score: Literal["detection", "reading"] = "detection"
    """Which score decides. Published: the reading's for ICDAR 2015, the detection's for Total-Text."""


class MaskTextSpotterSettings(Settings):
    """Mask TextSpotter v3 (ECCV 2020): detects and reads."""

    name: Literal["mask_textspotter"] = "mask_textspotter"
    """Chooses this spotter."""

    alphabet: str = string.digits + string.ascii_lowercase
    """The characters that are read, each once. A text with other characters is located, but not learnt to be read."""
    alphabet_file: Path | None = None
    """Dictionary file, one character a line, in place of `alphabet`; a checkpoint holds the characters themselves."""
    fold_case: bool = True
    """Read capital letters as small ones."""
    unknown_characters: Literal["skip", "stop"] = "skip"
    """What a text with a character outside the alphabet leads to: it is located, but not learnt to be read, and
    counted; or the run stops and names it."""
    pyramid_channels: PositiveInt = 256
    """Channels of every level of the feature pyramid."""
    fusion_channels: PositiveInt = 64
    """Channels that each of the four levels has in the fused map."""
    box_channels: PositiveInt = 1024
    """Width of the two layers of the box head."""

    proposals: ProposalSettings = ProposalSettings()
    """Where it looks again."""
    boxes: BoxSettings = BoxSettings()
    """What it learns there."""
    masks: MaskSettings = MaskSettings()
    """The mask head."""
    reading: ReadingSettings = ReadingSettings()
    """The reader."""
    published: bool = False
    """As the published code where it is odd: triangles and texts without perimeter are neither text nor ignored, of a
    kernel in pieces the first counts; the first proposals are used instead of the best, those that grow into pieces are
    dropped; holes in a character are characters, which are sorted by their x alone."""
    loss_weights: MaskTextSpotterLossWeights = MaskTextSpotterLossWeights()
    """Weight of every loss term."""

    decoding: DecodingSettings = DecodingSettings()
    """How masks become polygons, and what is read."""

    @property
    def characters(self) -> CharacterSet:
        """The alphabet with its ids, from 1 on.

        Raises:
            DataError: the dictionary file cannot be read or is broken.
        """
        return CharacterSet(self.alphabet) if self.alphabet_file is None else CharacterSet.from_file(self.alphabet_file)

    @property
    def recognizer(self) -> Recognizer:
        """What the reader learns from and what it reads."""
        if self.reading.name == "ctc":
            return CtcRecognizer(self.reading.size[1])
        return AttentionRecognizer(self.reading.steps, len(self.alphabet))

    @property
    def readable(self) -> ReadableTexts:
        """Which texts it learns."""
        return ReadableTexts(self.characters, self.fold_case, self.recognizer)

    @model_validator(mode="after")
    def _alphabet_fits(self) -> Self:
        if self.alphabet_file is not None:  # read when the run is built, and checked then
            return self
        try:
            count = len(self.characters)
        except DataError as error:
            raise ValueError(f"alphabet: {error}") from None
        if self.masks.character_maps and count > LARGEST_ALPHABET:
            raise ValueError(
                f"masks.character_maps makes a map for each of the {count} characters of the alphabet, which no memory "
                f"holds above {LARGEST_ALPHABET}: set it to false"
            )
        if self.fold_case and any(character != character.lower() for character in self.alphabet):
            raise ValueError("the alphabet has capital letters, which are never read with fold_case")
        return self
