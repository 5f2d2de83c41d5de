"""Words to character ids, with one character of each hidden."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scenetext.data.preparation.words import WordReport, usable_texts
from scenetext.data.records.results import Results
from scenetext.errors import DataError
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.structures import ImageRecord
from scenetext.text.charset import PAD, CharacterSet

LEAST_COVERED = 0.1
"""Share of a cell's area that a word has to cover to be learnt as being there."""


def encode_words(
    texts: Sequence[str],
    charset: CharacterSet,
    settings: OclipSettings,
    generator: np.random.Generator,
    hidden_per_word: int = 1,
) -> dict[str, np.ndarray]:
    """The words of one image as the model takes them, in a random order, one random character of each hidden.

    Section 3.2 of the paper. Of more than N words, each call samples N (the published code keeps the first
    32). A word of K characters or more is cut to K - 1 and the end mark; the hidden character is one of those kept
    (the published code may hide the end mark of such a word).

    Args:
        texts: words, each of known characters only; may be empty.
        generator: source of the order and of the hidden positions.
        hidden_per_word: slots R of every word, one after the other, each with another character hidden; a word of fewer
            characters fills as many as it has.

    Returns:
        characters: (N * R, K) int64 ids: each word with its end mark, then padding; empty slots, all padding, come
            last.
        masked: (N * R,) int64: the id of the hidden character, 0 for an empty slot; all 0 in the first stage, where
            nothing is hidden and every word has one slot.
        origin: (N * R,) int64: which of the texts, -1 for an empty slot.

    Raises:
        CharacterError: a character outside the set.
        DataError: an empty text.
    """
    chosen = generator.permutation(len(texts))[: settings.maximum_words]
    words = [word_ids(texts[index], charset, settings.context_length) for index in chosen]
    lengths = np.array([len(ids) - 1 for ids in words], dtype=np.int64)
    slots_of_words = np.minimum(lengths, 1 if settings.first_stage else hidden_per_word)
    characters = np.full((settings.maximum_words * hidden_per_word, settings.context_length), PAD, dtype=np.int64)
    masked = np.zeros(len(characters), dtype=np.int64)
    origin = np.full(len(characters), -1, dtype=np.int64)
    for slot, word in enumerate(np.repeat(np.arange(len(words)), slots_of_words)):
        characters[slot, : len(words[word])] = words[word]
        origin[slot] = chosen[word]
    if words and not settings.first_stage:
        # Each slot of a word hides the character after the one before it, the first after the last: all equally often.
        ordinal = np.concatenate([np.arange(count) for count in slots_of_words])
        first = np.repeat(generator.integers(lengths), slots_of_words)
        rows, positions = np.arange(len(ordinal)), (first + ordinal) % np.repeat(lengths, slots_of_words)
        masked[rows] = characters[rows, positions]
        characters[rows, positions] = charset.mask
    return {"characters": characters, "masked": masked, "origin": origin}


def covered_cells(
    polygons: Sequence[np.ndarray | None], origin: np.ndarray, size: tuple[int, int], stride: int
) -> np.ndarray:
    """(slots, H / stride, W / stride) bool, the cells of an image that the word of each slot covers.

    A cell counts from a tenth of its area on; of a word that covers less everywhere, the cells that it covers most.

    Args:
        polygons: (V, 2) float32 each, pixels; None = unknown.
        origin: (slots,) int64, which polygon is whose; -1 = none.
        size: (H, W) of the image, multiples of the stride.
    """
    rows, columns = size[0] // stride, size[1] // stride
    of_polygons = np.zeros((len(polygons) + 1, rows, columns), dtype=bool)  # the last one is that of no polygon
    for index, polygon in enumerate(polygons):
        if polygon is not None and np.isfinite(polygon).all():
            inside = np.zeros(size, np.float32)
            cv2.fillPoly(inside, [np.rint(polygon).astype(np.int32)], 1.0)
            share = inside.reshape(rows, stride, columns, stride).mean(axis=(1, 3))
            of_polygons[index] = (share > 0) & (share >= min(LEAST_COVERED, share.max()))
    return of_polygons[origin]


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
