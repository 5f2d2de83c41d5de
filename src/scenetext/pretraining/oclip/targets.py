"""Words to character ids, with one character of each hidden; and which words of a data set are usable."""

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
from scenetext.errors import CharacterError, DataError
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import PAD, CharacterSet

EXAMPLES = 10
"""Unknown characters that a report quotes; the rest is only counted."""


def encode_words(
    texts: Sequence[str], charset: CharacterSet, settings: OclipSettings, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """The words of one image as the model takes them, in a random order, one random character of each hidden.

    Section 3.2 of the paper. Of more than N words, each call samples N (the published code keeps the first
    32). A word of K characters or more is cut to K - 1 and the end mark; the hidden character is one of those kept
    (the published code may hide the end mark of such a word).

    Args:
        texts: words, each of known characters only; may be empty.
        generator: source of the order and of the hidden positions.

    Returns:
        characters: (N, K) int64 ids: each word with its end mark, then padding; empty slots, all padding, come last.
        masked: (N,) int64: the id of the hidden character, 0 for an empty slot; all 0 in the first stage, where nothing
            is hidden.

    Raises:
        CharacterError: a character outside the set.
        DataError: an empty text.
    """
    slots, length = settings.maximum_words, settings.context_length
    characters = np.full((slots, length), PAD, dtype=np.int64)
    masked = np.zeros(slots, dtype=np.int64)
    chosen = generator.permutation(len(texts))[:slots]
    kept = np.zeros(len(chosen), dtype=np.int64)
    for slot, index in enumerate(chosen):
        ids = word_ids(texts[index], charset, length)
        characters[slot, : len(ids)] = ids
        kept[slot] = len(ids) - 1
    if len(chosen) and not settings.first_stage:
        rows, positions = np.arange(len(chosen)), generator.integers(kept)
        masked[rows] = characters[rows, positions]
        characters[rows, positions] = charset.mask
    return {"characters": characters, "masked": masked}


def encode_typed_word(word: str, charset: CharacterSet, settings: OclipSettings) -> np.ndarray:
    """(K,) int64 ids of a word typed by a person; every blank in it stands for a hidden character, as in "ST LING".

    Raises:
        CharacterError: a character outside the set.
        DataError: an empty word.
    """
    ids = np.full(settings.context_length, PAD, dtype=np.int64)
    known = word_ids(word.replace(" ", charset.characters[0]), charset, settings.context_length)
    ids[: len(known)] = known
    ids[[position for position, character in enumerate(word[: len(known) - 1]) if character == " "]] = charset.mask
    return ids


def decode_typed_word(ids: np.ndarray, charset: CharacterSet) -> str:
    """The characters before the end mark of a word's (K,) ids, a blank for each hidden one: as a person types it."""
    known = [int(one) for one in ids if one != PAD and one != charset.end]
    return "".join(" " if one == charset.mask else charset.decode(one) for one in known)


def word_ids(word: str, charset: CharacterSet, length: int) -> list[int]:
    """Ids of a word cut to `length` - 1 characters, and the end mark."""
    if not word:
        raise DataError("an empty text is no word; drop it, as `usable_texts` does")
    return [*charset.encode(word[: length - 1]), charset.end]


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
) -> tuple[Sequence[ImageRecord], WordReport]:
    """The records with nothing but usable words: one instance per word, images without any dropped.

    A text with blanks becomes one instance per word, each with the polygon of the whole. Dropped and counted: words
    with an unknown character, empty texts, instances without text or to be ignored. The records are read once, for the
    report; the returned sequence filters each record again when it is read.

    Args:
        policy: at a word with an unknown character, "skip" goes on and "stop" raises.
        results: where report and choice are kept and looked for; None = made in any case.

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
    return RecordView(records, kept, _UsableWords(charset)), report


@dataclass(frozen=True, slots=True)
class _UsableWords:
    """A record to the same with one instance per usable word."""

    charset: CharacterSet

    def __call__(self, record: ImageRecord) -> ImageRecord:
        usable: list[TextInstance] = []
        for instance in record.instances:
            if instance.text is None or instance.ignore:
                continue
            known = [word for word in instance.text.split() if self.charset.knows(word)]
            whole = known == [instance.text]
            usable += [instance] if whole else [replace(instance, text=word, characters=None) for word in known]
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
