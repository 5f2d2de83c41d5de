"""Settings of the light reader."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from scenetext.config import Settings
from scenetext.recognition.attention import AttentionRecognizer, AttentionSettings
from scenetext.recognition.ctc import CtcRecognizer
from scenetext.recognition.recognizer import ReadableTexts, Recognizer
from scenetext.text.charset import CharacterSet


class JitterSettings(Settings):
    """How annotated places are moved in training, so that the reader meets the errors of a detector."""

    width: tuple[float, float] = (0.95, 1.25)
    """Factor along the text, drawn evenly."""
    height: tuple[float, float] = (0.78, 1.30)
    """Factor across it."""
    centre: NonNegativeFloat = 0.08
    """Standard deviation of the centre in either direction, in heights of the text."""
    angle: NonNegativeFloat = 2.5
    """Standard deviation of a turn, degrees."""
    corners: NonNegativeFloat = 0.025
    """Standard deviation of each corner in either direction, in heights of the text."""
    rectangle_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the curved texts that are read in their rectangle of least area, as where a detector finds no sides."""


class ReaderSettings(Settings):
    """The network, its alphabet and where it looks."""

    name: Literal["ctc", "attention"] = "ctc"
    """How a straightened word becomes text: all columns at once, or one character after the other, which takes several
    times as long; see `attention`."""
    characters: Path | None = None
    """Dictionary file, one character a line; null = digits and small letters."""
    unknown_characters: Literal["skip", "stop"] = "skip"
    """What a text with a character outside the dictionary leads to: it is not learnt from, and counted; or the run
    stops and names it."""
    fold_case: bool = True
    """Read capital letters as small ones."""
    height: int = Field(default=32, ge=16, multiple_of=16)
    """Of a straightened word, pixels."""
    width: int = Field(default=128, ge=32, multiple_of=4)
    """Of a straightened word, pixels; it has a column of output for every 4. Lines of text need 320."""
    channels: PositiveInt = 24
    """Of the first convolution; the last has four times as many."""
    place: Literal["rectangle", "sides"] = "rectangle"
    """Where a detection is read: in its rectangle of least area, or between its upper and lower side, which only
    polygons have whose vertices lie along the sides (FCENet, TextSnake); a contour has no corners to begin at."""
    growth: NonNegativeFloat = 0.1
    """What a detected place is grown by on every side, in heights of the text."""
    upright_aspect: float = Field(default=1.5, gt=1)
    """A place that is so many times as high as it is wide is read from left to right, upwards and downwards; the best
    text score wins."""
    attention: AttentionSettings = AttentionSettings(size=(4, 32), channels=96, beams=1)
    """Of the reader called attention: the map that it looks at, made from the columns, and how it reads."""
    jitter: JitterSettings = JitterSettings()
    loss_weight: NonNegativeFloat = 1.0
    """Of the reading loss, beside those of the detector."""
    freeze_detector: bool = False
    """Only the reader learns: the detector stays as `initial_weights` has it, and is not run in training."""

    @property
    def columns(self) -> int:
        """T, the columns of output of a word: with CTC the most characters it can have, less one for every repeated
        pair."""
        return self.width // 4

    def recognizer(self, alphabet: CharacterSet) -> Recognizer:
        """What it learns from and what it reads."""
        if self.name == "ctc":
            return CtcRecognizer(self.columns)
        return AttentionRecognizer(self.attention.steps, len(alphabet))

    def readable(self, alphabet: CharacterSet) -> ReadableTexts:
        """Which texts it learns."""
        return ReadableTexts(alphabet, self.fold_case, self.recognizer(alphabet))

    def alphabet(self) -> CharacterSet:
        """The characters that the dictionary names.

        Raises:
            DataError: the dictionary cannot be read or is broken.
        """
        if self.characters is not None:
            return CharacterSet.from_file(self.characters)
        return CharacterSet(string.digits + string.ascii_lowercase)
