"""Which of the words that an engine has read are worth learning from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import Field, PositiveInt

from scenetext.acquisition.journal import Recognition
from scenetext.config import Settings
from scenetext.data.readers.report import ReadReport
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet

CONFIDENCE_STEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Edges of the histogram: finer where thresholds are chosen."""

UNUSED = "images that could not be used"
WORDLESS = "images of which no word is kept"
LOW_CONFIDENCE = "words below the confidence of {:g}"
SHORT = "words under {} characters"
UNKNOWN = "words with a character that the dictionary lacks"


class SelectionSettings(Settings):
    """What a word must have to be kept."""

    minimum_confidence: float = Field(default=0.9, ge=0, le=1)
    """Confidence of the engine below which a word is dropped."""
    minimum_length: PositiveInt = 2
    """Characters below which a word is dropped: single ones are mostly something else that looks like one, and the
    published oCLIP code drops them from LSVT."""


@dataclass(slots=True)
class SelectionReport:
    """The words that were read and those that were kept; complete when the last record has been given.

    Attributes:
        images: all, those that could not be used included.
        with_text: images in which the engine has read something.
        words, kept: words read, and those that are in the records.
        histogram: (bins,) int64, words read by confidence, between neighbouring `CONFIDENCE_STEPS`.
        reasons: what was dropped, counted by reason.
    """

    images: int = 0
    with_text: int = 0
    words: int = 0
    kept: int = 0
    histogram: np.ndarray = field(default_factory=lambda: np.zeros(len(CONFIDENCE_STEPS) - 1, dtype=np.int64))
    reasons: ReadReport = field(default_factory=ReadReport)


def words_of(recognition: Recognition) -> list[tuple[str, float]]:
    """The words of an image, lines divided at their blanks, each with the confidence of its line."""
    return [(word, text.confidence) for text in recognition.texts for word in text.text.split()]


class WordSelection:
    """Decides on words.

    Args:
        settings: the rules.
        characters: words with other characters are dropped; None = all are allowed.
    """

    def __init__(self, settings: SelectionSettings, characters: CharacterSet | None = None) -> None:
        self._settings = settings
        self._characters = characters

    def reason_against(self, word: str, confidence: float) -> str | None:
        """Why a word is dropped; None = it is kept."""
        settings = self._settings
        if confidence < settings.minimum_confidence:
            return LOW_CONFIDENCE.format(settings.minimum_confidence)
        if len(word) < settings.minimum_length:
            return SHORT.format(settings.minimum_length)
        if self._characters is not None and not self._characters.knows(word):
            return UNKNOWN
        return None

    def records(
        self, folder: Path, recognitions: Iterable[Recognition], report: SelectionReport
    ) -> Iterator[ImageRecord]:
        """Weak records, texts without polygons, of the images that have a word to keep.

        Args:
            folder: where the images are.
            recognitions: taken one after the other.
            report: filled on the way.
        """
        for recognition in recognitions:
            report.images += 1
            if recognition.error is not None:
                report.reasons.drop(UNUSED, recognition.name)
                continue
            kept = self._kept_words(recognition, report)
            report.with_text += bool(recognition.texts)
            report.kept += len(kept)
            if kept:
                instances = tuple(TextInstance(None, word) for word in kept)
                yield ImageRecord(folder / recognition.name, recognition.width, recognition.height, instances)
            else:
                report.reasons.drop(WORDLESS, recognition.name)

    def _kept_words(self, recognition: Recognition, report: SelectionReport) -> list[str]:
        words = words_of(recognition)
        report.words += len(words)
        report.histogram += np.histogram([confidence for _, confidence in words], CONFIDENCE_STEPS)[0]
        kept = []
        for word, confidence in words:
            reason = self.reason_against(word, confidence)
            if reason is None:
                kept.append(word)
            else:
                report.reasons.drop(reason, f"{word!r} of {recognition.name}")
        return kept
