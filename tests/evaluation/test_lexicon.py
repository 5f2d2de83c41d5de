"""Lexicons: matched words and distances of the published code, and what is done with files and readings."""

from __future__ import annotations

import string
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden import golden_arrays, golden_json
from scenetext.errors import DataError
from scenetext.evaluation.lexicon import Correction, Lexicon, Lexicons, read_lexicon
from scenetext.evaluation.spotting import edit_distance
from scenetext.structures import Detection
from scenetext.text.charset import CharacterSet

ALPHABET = CharacterSet(string.digits + string.ascii_lowercase)
SQUARE = np.array([(0, 0), (9, 0), (9, 9), (0, 9)], np.float32)
letters = st.text("ab1", max_size=5)


def golden_cases() -> list[tuple[dict[str, Any], np.ndarray]]:
    """Every case with the probabilities of its reading, (T, 36)."""
    content, arrays = golden_json("spotting", "weighted_edit_distance.json"), None
    arrays = golden_arrays("spotting", "weighted_edit_distance")
    return [(case, arrays[f"{index}/scores"].T) for index, case in enumerate(content["cases"])]


def naive_distance(text: str, word: str, probabilities: np.ndarray) -> float:
    """The weighted distance by its definition."""

    def likelihood(character: str, place: int) -> float:
        return float(probabilities[place, ALPHABET.characters.index(character.lower())])

    @cache
    def distance(read: int, written: int) -> float:
        if not read or not written:
            return float(read + written)
        own = likelihood(text[read - 1], read - 1)
        following = likelihood(text[read], read) if read < len(text) else own
        same = text[read - 1].upper() == word[written - 1].upper()
        replaced = 0.0 if same else max(0.0, 1 - 5 * likelihood(word[written - 1], read - 1) / own)
        return min(
            distance(read - 1, written) + own,
            distance(read, written - 1) + (own + following) / 2,
            distance(read - 1, written - 1) + replaced,
        )

    return distance(len(text), len(word))


def test_words_and_distances_equal_the_published_ones() -> None:
    content = golden_json("spotting", "weighted_edit_distance.json")
    lexicon = Lexicon(content["lexicon"], content["pairs"])
    for case, probabilities in golden_cases():
        for word, expected in case["weighted"].items():
            _, distance = Lexicon([word]).likeliest(case["read"], probabilities, ALPHABET)
            assert distance == pytest.approx(expected, abs=1e-5)
            assert Lexicon([word]).nearest(case["read"]) == (word, case["edit"][word])
        found = Detection(SQUARE, 1.0, case["read"], 0.5, probabilities)
        for weighted, key in ((True, "weighted_match"), (False, "plain_match")):
            corrected = Correction(weighted, None, ALPHABET)(found, lexicon)
            assert corrected is not None
            assert corrected.text == case[key][0]


@given(text=letters.filter(bool), words=st.lists(letters.filter(bool), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_weighted_distance_is_that_of_its_definition(text: str, words: list[str], seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(ALPHABET)), len(text))
    word, distance = Lexicon(words).likeliest(text, probabilities, ALPHABET)
    plain = [edit_distance(text.upper(), each.upper()) for each in words]
    near = [each for each, steps in zip(words, plain, strict=True) if steps <= min(plain) + 2]
    expected = [naive_distance(text, each, probabilities) for each in near]
    assert distance == pytest.approx(min(expected), abs=1e-9)
    assert naive_distance(text, word, probabilities) == pytest.approx(min(expected), abs=1e-9)


def test_readings_near_no_word_are_dropped() -> None:
    exact = np.eye(len(ALPHABET))[[ALPHABET.encode(one)[0] - 1 for one in "zzzz"]].astype(np.float32)
    lexicon = Lexicon(["STOP"])
    found = Detection(SQUARE, 1.0, "zzzz", 0.5, exact)
    assert Correction(True, 1.5, ALPHABET)(found, lexicon) is None
    assert Correction(False, 4.5)(found, lexicon) is not None
    assert Correction(False, 4)(found, lexicon) is None
    unread = Detection(SQUARE, 1.0)
    assert Correction(True, 1.5, ALPHABET)(unread, lexicon) is unread


def test_weighing_needs_probabilities() -> None:
    with pytest.raises(DataError, match="only|needs probabilities"):
        Correction(True, None, ALPHABET)(Detection(SQUARE, 1.0, "stop"), Lexicon(["STOP"]))


def test_pairs_say_how_words_are_written(tmp_path: Path) -> None:
    words, pairs = tmp_path / "words.txt", tmp_path / "pairs.txt"
    words.write_text("\ufeffJOES\r\n\r\nSTOP\r\n")
    pairs.write_text("\ufeffJOES Joe's Diner\r\njoes never\r\n")
    (found,) = Lexicons(words, pairs).correct([Detection(SQUARE, 1.0, "joes")], Path("a.jpg"))
    assert found.text == "Joe's Diner"
    (other,) = Lexicons(words, pairs).correct([Detection(SQUARE, 1.0, "st0p")], Path("a.jpg"))
    assert other.text == "STOP", "a word without a pair is its own spelling"
    pairs.write_text("JOES\n")
    with pytest.raises(DataError, match=r"pairs\.txt:1: expected a word, a blank and its spelling, got 'JOES'"):
        Lexicons(words, pairs)
    with pytest.raises(DataError, match="pairs are a file for a file of words"):
        Lexicons(words, tmp_path)


@pytest.mark.parametrize(
    ("read", "expected"),
    [("joes", ("JOE'S", 1)), ("new york", ("New York", 0)), ("NEWYORK", ("New York", 1)), ("", ("&", 1))],
    ids=["a mark", "a blank and case", "a blank too few", "nothing read"],
)
def test_words_of_a_list_may_have_marks_blanks_and_any_case(
    tmp_path: Path, read: str, expected: tuple[str, int]
) -> None:
    (tmp_path / "words.txt").write_text("\ufeffJOE'S\r\n  \r\n New York \r\n&\r\nnew york\r\n", encoding="utf-8")
    assert read_lexicon(tmp_path / "words.txt").nearest(read) == expected


def test_each_image_has_its_words_and_pairs(tmp_path: Path) -> None:
    words, pairs = tmp_path / "words", tmp_path / "pairs"
    words.mkdir()
    pairs.mkdir()
    (words / "new_voc_img_1.txt").write_text("JOES\n")
    (words / "voc_img_2.txt").write_text("STOP\n")
    (pairs / "pair_voc_img_1.txt").write_text("JOES Joe's\n")
    lexicons = Lexicons(words, pairs)
    texts = [lexicons.correct([Detection(SQUARE, 1.0, "x")], Path(f"img_{number}.jpg"))[0].text for number in (1, 2)]
    assert texts == ["Joe's", "STOP"]


def test_a_large_lexicon_is_quick() -> None:
    """The generic list of ICDAR 2015 has 90,000 words; a reading should not take a tenth of a second."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("ABCDEFGHIJ"), size)) for size in generator.integers(3, 12, 90_000)]
    lexicon = Lexicon(words)
    probabilities = generator.dirichlet(np.ones(len(ALPHABET)), 6)
    began = time.process_time()
    lexicon.likeliest("abcdef", probabilities, ALPHABET)
    assert time.process_time() - began < 1
