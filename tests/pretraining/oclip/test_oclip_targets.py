from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden import golden_json
from scenetext.data.preparation.words import usable_texts
from scenetext.errors import CharacterError, DataError
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.targets import covered_cells, encode_typed_word, encode_words
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet

ENGLISH = CharacterSet.english()
SETTINGS = OclipSettings()
WORDS = st.lists(st.text(st.sampled_from(ENGLISH.characters), min_size=1, max_size=40), max_size=50)
NAMES = ["ascii94", "zh"]


def golden_tokens(name: str) -> tuple[dict[str, Any], CharacterSet]:
    golden = golden_json("oclip", "tokenisation.json")[name]
    return golden, CharacterSet(golden["characters"])


@pytest.mark.parametrize("name", NAMES)
def test_ids_equal_the_published_ones(name: str) -> None:
    """All but the empty word, which the published code makes a lone end mark and scenetext refuses."""
    golden, charset = golden_tokens(name)
    unmasked = OclipSettings(first_stage=True)
    for word, ids in golden["dataset_tokenize"].items():
        if word:
            found = encode_words([word], charset, unmasked, np.random.default_rng(0))
            assert found["characters"][0].tolist() == ids
            assert not found["masked"].any()
            assert not found["characters"][1:].any()


@pytest.mark.parametrize("name", NAMES)
def test_typed_words_equal_the_published_ones(name: str) -> None:
    golden, charset = golden_tokens(name)
    for word, ids in golden["visualiser_tokenize"].items():
        if word:
            assert encode_typed_word(word, charset, SETTINGS).tolist() == ids


class PublishedDraws:
    """Stands in for a generator: words in file order, hidden positions as the published code drew them."""

    def __init__(self, positions: list[int]) -> None:
        self.positions = np.array(positions)

    def permutation(self, count: int) -> np.ndarray:
        return np.arange(count)

    def integers(self, highest: np.ndarray) -> np.ndarray:
        return np.minimum(self.positions, highest - 1)


@pytest.mark.parametrize("seed", ["seed0", "seed1", "seed2024"])
@pytest.mark.parametrize("name", NAMES)
def test_masked_words_equal_the_published_ones_for_the_same_draws(name: str, seed: str) -> None:
    """Deviation by design: the end mark of a cut word, position 24, is never hidden (quirk 9)."""
    golden, charset = golden_tokens(name)
    for item in golden["getitem"]:
        draw = item[seed]
        generator: Any = PublishedDraws(draw["mask_positions"])
        found = encode_words(item["caption"].split(" "), charset, SETTINGS, generator)
        same = np.array(draw["masked_chars"]) != charset.end
        np.testing.assert_array_equal(found["characters"][same], np.array(draw["tokens"])[same])
        np.testing.assert_array_equal(found["masked"][same], np.array(draw["masked_chars"])[same])
        assert (found["masked"][~same] < charset.mask).all()


@given(words=WORDS, seed=st.integers(0, 2**32 - 1))
def test_every_word_hides_one_of_its_own_characters(words: list[str], seed: int) -> None:
    found = encode_words(words, ENGLISH, SETTINGS, np.random.default_rng(seed))
    characters, masked = found["characters"], found["masked"]
    assert characters.shape == (32, 25)
    assert masked.shape == (32,)
    assert characters.dtype == masked.dtype == np.int64
    count = min(len(words), 32)
    assert not characters[count:].any()
    assert not masked[count:].any()
    restored = np.where(characters == ENGLISH.mask, masked[:, None], characters)[:count]
    assert ((characters[:count] == ENGLISH.mask).sum(axis=1) == 1).all()
    read = Counter("".join(map(ENGLISH.decode, row[: list(row).index(ENGLISH.end)])) for row in restored)
    offered = Counter(word[:24] for word in words)
    assert read <= offered
    assert sum(read.values()) == count
    assert ((masked[:count] > 0) & (masked[:count] < ENGLISH.mask)).all()


def test_draws_are_repeatable_and_fresh() -> None:
    words = [f"word{index}" for index in range(40)]

    def draw(generator: np.random.Generator) -> bytes:
        return encode_words(words, ENGLISH, SETTINGS, generator)["characters"].tobytes()

    generator = np.random.default_rng(1)
    first, second = draw(generator), draw(generator)
    assert first != second
    assert draw(np.random.default_rng(1)) == first


def test_hidden_positions_and_chosen_words_are_uniform() -> None:
    generator = np.random.default_rng(3)
    positions: Counter[int] = Counter()
    chosen: Counter[int] = Counter()
    few = OclipSettings(maximum_words=2)
    for _ in range(3000):
        found = encode_words(["abcde", "fghij", "klmno"], ENGLISH, few, generator)
        restored = np.where(found["characters"] == ENGLISH.mask, found["masked"][:, None], found["characters"])
        positions.update(np.argmax(found["characters"] == ENGLISH.mask, axis=1).tolist())
        chosen.update(restored[:, 0].tolist())
    assert len(positions) == 5
    assert all(abs(count - 1200) < 150 for count in positions.values())
    assert len(chosen) == 3
    assert all(abs(count - 2000) < 150 for count in chosen.values())


@given(words=WORDS, times=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_a_word_fills_several_slots_each_with_another_character_hidden(words: list[str], times: int, seed: int) -> None:
    settings = OclipSettings(maximum_words=8)
    found = encode_words(words, ENGLISH, settings, np.random.default_rng(seed), times)
    characters, masked = found["characters"], found["masked"]
    assert characters.shape == (8 * times, 25)
    single = encode_words(words, ENGLISH, settings, np.random.default_rng(seed))
    slot = 0
    for row, hidden in zip(single["characters"][: len(words)], single["masked"], strict=False):
        word = np.where(row == ENGLISH.mask, hidden, row)
        filled = min(times, int((word > 0).sum()) - 1)
        mine = characters[slot : slot + filled]
        assert (np.where(mine == ENGLISH.mask, masked[slot : slot + filled, None], mine) == word).all()
        assert (mine == ENGLISH.mask).sum() == filled == len(set(np.argwhere(mine == ENGLISH.mask)[:, 1]))
        slot += filled
    assert not characters[slot:].any()
    assert not masked[slot:].any()


def test_slots_say_whose_they_are() -> None:
    words = ["abc", "d", "efghi"]
    found = encode_words(words, ENGLISH, OclipSettings(maximum_words=4), np.random.default_rng(5), 2)
    restored = np.where(found["characters"] == ENGLISH.mask, found["masked"][:, None], found["characters"])
    read = ["".join(map(ENGLISH.decode, row[: list(row).index(ENGLISH.end)])) for row in restored if row.any()]
    assert read == [words[index] for index in found["origin"] if index >= 0]
    assert sorted(found["origin"]) == [-1, -1, -1, 0, 0, 1, 2, 2]


def test_cells_are_those_that_a_word_covers() -> None:
    """A tenth of a cell counts; of a small word its best cell; a word of unknown place and an empty slot have none."""
    wide = np.array([[0, 0], [66, 0], [66, 31], [0, 31]], np.float32)  # two cells, and a sixteenth of a third
    tiny = np.array([[70, 40], [74, 40], [74, 44], [70, 44]], np.float32)
    cells = covered_cells([wide, None, tiny], np.array([2, 0, 0, 1, -1]), (64, 96), 32)
    assert cells.shape == (5, 2, 3)
    assert [np.argwhere(each).tolist() for each in cells] == [[[1, 2]], [[0, 0], [0, 1]], [[0, 0], [0, 1]], [], []]


def test_bad_words_are_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(CharacterError, match="café"):
        encode_words(["fine", "café"], ENGLISH, SETTINGS, generator)
    with pytest.raises(CharacterError, match="two words"):
        encode_words(["two words"], ENGLISH, SETTINGS, generator)
    with pytest.raises(DataError, match="empty"):
        encode_words([""], ENGLISH, SETTINGS, generator)
    with pytest.raises(CharacterError, match="café"):
        encode_typed_word("café", ENGLISH, SETTINGS)


@given(words=st.lists(st.text(st.sampled_from("ab é"), max_size=6), max_size=8))
def test_what_is_called_usable_can_be_encoded(words: list[str]) -> None:
    record = ImageRecord(Path("a.jpg"), 10, 10, tuple(TextInstance(None, word) for word in words))
    usable, report = usable_texts([record], ENGLISH, "skip")
    texts = [instance.text or "" for one in usable for instance in one.instances]
    encoded = encode_words(texts, ENGLISH, OclipSettings(maximum_words=48), np.random.default_rng(0))
    assert report.words == len(texts) == np.count_nonzero(encoded["masked"])
    assert report.words + report.unknown_words == sum(len(word.split()) for word in words)
