"""Words to character ids, with one character of each hidden."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenetext.data.preparation.words import WordReport, usable_texts
from scenetext.data.records.results import Results
from scenetext.errors import DataError
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.structures import ImageRecord
from scenetext.text.charset import PAD, CharacterSet


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


def usable_words(
    records: Sequence[ImageRecord], settings: OclipSettings, charset: CharacterSet, results: Results
) -> tuple[Sequence[ImageRecord], WordReport]:
    """The records with nothing but words that the model can read; see `usable_texts`."""
    return usable_texts(records, charset, settings.unknown_characters, results)
