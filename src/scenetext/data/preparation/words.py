"""Which words of a dataset a method that learns from words can use, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from scenetext.config import Settings
from scenetext.data.preparation.processes import in_ranges
from scenetext.data.records.files import RecordView
from scenetext.data.records.results import Add, Results, in_memory, text_hash
from scenetext.errors import CharacterError
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet

EXAMPLES = 10
"""Unknown characters that a report quotes; the rest is only counted."""


class WordReport(Settings):
    """How many texts of a data set are usable, and why the others are not."""

    words: int = 0
    """Usable words."""
    unknown_words: int = 0
    """Words dropped for a character outside the dictionary."""
    examples: tuple[tuple[str, str, Path], ...] = ()
    """The first of those: (word, character, image)."""
    empty_texts: int = 0
    """Texts of nothing but blanks, dropped."""
    without_text: int = 0
    """Instances without transcription or marked to be ignored, dropped."""
    images: int = 0
    """Images with at least one usable word."""
    wordless_images: int = 0
    """Images without any, dropped."""

    def __add__(self, other: WordReport) -> WordReport:
        """The report of two data sets, one after the other."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in WordReport.model_fields}
        return WordReport(**{**sums, "examples": sums["examples"][:EXAMPLES]})

    def __str__(self) -> str:
        lines = [
            f"{self.words} words in {self.images} images; "
            f"dropped: {self.unknown_words} words with unknown characters, "
            f"{self.empty_texts} empty texts, {self.without_text} instances without text, "
            f"{self.wordless_images} images without a usable word"
        ]
        lines += [f"  unknown character {one!r} in {word!r} ({path})" for word, one, path in self.examples]
        return "\n".join(lines)


def usable_texts(
    records: Sequence[ImageRecord],
    charset: CharacterSet,
    policy: Literal["skip", "stop"],
    results: Results | None = None,
    shared_places: bool = True,
) -> tuple[Sequence[ImageRecord], WordReport]:
    """The records with nothing but usable words: one instance per word, images without any dropped.

    A text with blanks becomes one instance per word, each with the polygon of the whole. Dropped and counted: words
    with an unknown character, empty texts, instances without text or to be ignored. The records are read once, for the
    report; the returned sequence filters each record again when it is read.

    Args:
        policy: at a word with an unknown character, "skip" goes on and "stop" raises.
        results: where report and choice are kept and looked for; None = made in any case.
        shared_places: False = a word of a text with blanks has no polygon, since the text's is not its own.

    Raises:
        CharacterError: under "stop": the first unknown character, its word and its image.
    """
    make = partial(_count_usable, records, charset)
    if results is None:
        report, kept = in_memory(make)
    else:
        report, kept = results.get(f"words_{text_hash(''.join(charset.characters))}", WordReport, make)
    if policy == "stop" and report.examples:
        word, character, path = report.examples[0]
        raise CharacterError(charset.explain_unknown(character, word), path)
    return RecordView(records, kept, _UsableWords(charset, shared_places)), report


@dataclass(frozen=True, slots=True)
class _UsableWords:
    """A record to the same with one instance per usable word."""

    charset: CharacterSet
    shared_places: bool

    def __call__(self, record: ImageRecord) -> ImageRecord:
        usable: list[TextInstance] = []
        for instance in record.instances:
            if instance.text is None or instance.ignore:
                continue
            known = [word for word in instance.text.split() if self.charset.knows(word)]
            whole = known == [instance.text]
            polygon = instance.polygon if self.shared_places else None
            words = [replace(instance, polygon=polygon, text=word, characters=None) for word in known]
            usable += [instance] if whole else words
        return replace(record, instances=tuple(usable))


def _count_usable(records: Sequence[ImageRecord], charset: CharacterSet, add: Add) -> WordReport:
    """The report on all records; the numbers of those with a usable word are given to `add`."""
    total = WordReport()
    with tqdm(total=len(records), desc="words", unit="image", delay=1, disable=None) as progress:
        for kept, report in in_ranges(partial(_count_range, records, charset), len(records)):
            add(kept)
            total += report
            progress.update(report.images + report.wordless_images)
    return total


def _count_range(
    records: Sequence[ImageRecord], charset: CharacterSet, indices: range
) -> tuple[np.ndarray, WordReport]:
    """Which of some records have a usable word, (n,) int64, and the report on them."""
    counter = _WordCounter(charset)
    kept = np.array([index for index in indices if counter.add(records[index])], dtype=np.int64)
    return kept, WordReport(
        words=counter.words,
        unknown_words=counter.unknown_words,
        examples=tuple(counter.examples),
        empty_texts=counter.empty_texts,
        without_text=counter.without_text,
        images=len(kept),
        wordless_images=len(indices) - len(kept),
    )


class _WordCounter:
    """Counts the texts of one record after another: what is usable, and what is dropped and why."""

    def __init__(self, charset: CharacterSet) -> None:
        self.charset = charset
        self.words = self.unknown_words = self.empty_texts = self.without_text = 0
        self.examples: list[tuple[str, str, Path]] = []

    def add(self, record: ImageRecord) -> int:
        """Number of usable words of an image."""
        before = self.words
        for instance in record.instances:
            if instance.text is None or instance.ignore:
                self.without_text += 1
                continue
            words = instance.text.split()
            self.empty_texts += not words
            self.words += sum(self._is_known(word, record) for word in words)
        return self.words - before

    def _is_known(self, word: str, record: ImageRecord) -> bool:
        if self.charset.knows(word):
            return True
        self.unknown_words += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append((word, self.charset.unknown_characters(word)[0], record.path))
        return False
