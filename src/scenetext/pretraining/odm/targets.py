"""Words and polygons of an image to a prompt, and to the map of what the prompt says; which words are usable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenetext.data.preparation.words import WordReport, usable_texts
from scenetext.data.records.results import Results
from scenetext.errors import DataError
from scenetext.pretraining.odm.config import OdmSettings
from scenetext.pretraining.odm.controller import control
from scenetext.pretraining.odm.label import STROKE, draw_word, drawable, text_height
from scenetext.structures import ImageRecord, Sample, TextInstance
from scenetext.text.charset import PAD, CharacterSet

HALF = 2
"""Pixels of the input to one of the map, in both directions."""
DRAWN = 2
"""Strokes among the four pixels of a cell of the map from which it counts as one, in evaluation."""


@dataclass(frozen=True)
class ImageWords:
    """The words of an image that are learnt from.

    Attributes:
        placed: can be drawn.
        unplaced: are somewhere in the image: for the contrastive loss alone.
    """

    placed: tuple[TextInstance, ...]
    unplaced: tuple[TextInstance, ...]

    @property
    def is_located(self) -> bool:
        """Whether the map says what the image shows; an image of words of unknown place has none."""
        return bool(self.placed) or not self.unplaced


def end_mark(charset: CharacterSet) -> int:
    """Id of the mark after a word: C + 1, as published; ODM hides no character, so no id stands for one."""
    return len(charset) + 1


def word_ids(word: str, charset: CharacterSet, length: int) -> np.ndarray:
    """(K,) int64 ids of a word cut to K - 1 characters, its end mark, and padding.

    Raises:
        CharacterError: a character outside the set.
        DataError: an empty word.
    """
    if not word:
        raise DataError("an empty text is no word; drop it, as `usable_texts` does")
    ids = np.full(length, PAD, dtype=np.int64)
    known = [*charset.encode(word[: length - 1]), end_mark(charset)]
    ids[: len(known)] = known
    return ids


def usable_words(
    records: Sequence[ImageRecord], settings: OdmSettings, charset: CharacterSet, results: Results
) -> tuple[Sequence[ImageRecord], WordReport]:
    """The records with nothing but words that the model can read; a word of a longer text has no place of its own."""
    return usable_texts(records, charset, settings.unknown_characters, results, shared_places=False)


def words_of(sample: Sample, settings: OdmSettings) -> ImageWords:
    """What is learnt of an image: without what a label cannot show.

    Left out are ignored and unknown texts, words that the font cannot draw, words less high than
    `settings.least_height`, and polygons without area.
    """
    known = [each for each in sample.instances if each.text and not each.ignore]
    placed = [
        each
        for each in known
        if each.polygon is not None
        and np.isfinite(each.polygon).all()
        and text_height(each.polygon) >= settings.least_height
        and all(drawable(character, settings.font) for character in each.text or "")
    ]
    return ImageWords(tuple(placed), tuple(each for each in known if each.polygon is None))


def training_targets(
    sample: Sample,
    settings: OdmSettings,
    charset: CharacterSet,
    pool: Sequence[str],
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    """What is learnt from an image, with a prompt that the Text-Controller made; see `_targets`."""
    words = words_of(sample, settings)
    texts = [each.text or "" for each in words.placed]
    present = [each.text for each in sample.instances if each.text]
    alphabet = [character for character in charset.characters if drawable(character, settings.font)]
    kept, foreign = control(texts, present, settings.maximum_words, pool, alphabet, settings.controller, generator)
    return _targets(sample, settings, charset, words, kept, foreign, generator)


def evaluation_targets(
    sample: Sample, settings: OdmSettings, charset: CharacterSet, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """As `training_targets`, with all words that can be drawn as the prompt.

    Returns:
        Also half: (N,) bool, a half of the words, none where there is one alone; half_map: the map of those.
    """
    words = words_of(sample, settings)
    kept = sorted(generator.permutation(len(words.placed))[: settings.maximum_words].tolist())
    made = _targets(sample, settings, charset, words, kept, [], generator)
    texts = list(dict.fromkeys(words.placed[index].text for index in kept))
    chosen = {texts[index] for index in generator.permutation(len(texts))[: len(texts) // 2]}
    half = np.zeros(settings.maximum_words, dtype=bool)
    half[: len(kept)] = [words.placed[index].text in chosen for index in kept]
    drawn = [words.placed[index] for index in kept if words.placed[index].text in chosen]
    return {**made, "half": half, "half_map": _strokes(_label(sample, settings, drawn))}


def _targets(
    sample: Sample,
    settings: OdmSettings,
    charset: CharacterSet,
    words: ImageWords,
    kept: Sequence[int],
    foreign: Sequence[str],
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    """A prompt and its map.

    Args:
        kept: indices of the words to draw among those that can be.
        foreign: words of the prompt that the image does not have.

    Returns:
        characters: (N, K) int64 ids; first the words to draw, then foreign ones, then words of unknown place.
        prompt: (N,) bool, the words that are asked for.
        own: (N,) bool, the words that the image has.
        map: (S / 2, S / 2) uint8, strokes among the four pixels of every cell.
        grey: the same size, the mean grey value of the label, for the perceptual loss; only where that is on.
        located: () bool, whether the map is to be learnt.
    """
    slots = settings.maximum_words
    free = slots - len(kept) - len(foreign)
    weak = [words.unplaced[index].text or "" for index in generator.permutation(len(words.unplaced))[:free]]
    drawn = [words.placed[index] for index in kept]
    texts = [*(each.text or "" for each in drawn), *foreign, *weak]
    characters = np.full((slots, settings.context_length), PAD, dtype=np.int64)
    for slot, text in enumerate(texts):
        characters[slot] = word_ids(text, charset, settings.context_length)
    position = np.arange(slots)
    asked = position < len(kept) + len(foreign)
    label = _label(sample, settings, drawn)
    made = {
        "characters": characters,
        "prompt": asked,
        "own": (position < len(kept)) | (~asked & (position < len(texts))),
        "map": _strokes(label),
        "located": np.array(words.is_located),
    }
    if settings.perceptual.weights is not None:
        made["grey"] = _cells(label).mean(axis=(1, 3)).round().astype(np.uint8)
    return made


def _label(sample: Sample, settings: OdmSettings, words: Sequence[TextInstance]) -> np.ndarray:
    """(S, S) uint8, the words in one plain font, light on black."""
    canvas = np.zeros(sample.image.shape[:2], dtype=np.uint8)
    for word in words:
        if word.polygon is not None and word.text:
            draw_word(canvas, word.polygon, word.text, settings.font)
    return canvas


def _strokes(label: np.ndarray) -> np.ndarray:
    return (_cells(label) >= STROKE).sum(axis=(1, 3)).astype(np.uint8)


def _cells(label: np.ndarray) -> np.ndarray:
    """(H, W) -> (H / 2, 2, W / 2, 2), a view."""
    height, width = label.shape
    return label.reshape(height // HALF, HALF, width // HALF, HALF)
