from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest

from scenetext.errors import DataError
from scenetext.scenes.settings import TextSettings
from scenetext.scenes.words import WordSource, read_words, sample_number, set_case

ENGLISH = Path(__file__).resolve().parents[2] / "data" / "words" / "english.txt"


def sample_many(settings: TextSettings, words: tuple[str, ...], case: str = "unchanged", count: int = 300) -> list[str]:
    source, generator = WordSource(settings, words), np.random.default_rng(0)
    return [source.sample(generator, case) for _ in range(count)]


def test_shipped_list_is_plain_unique_words() -> None:
    lines = ENGLISH.read_text(encoding="utf-8").splitlines()
    words = read_words(ENGLISH)
    assert len(words) >= 1500
    assert list(words) == lines
    assert all(word.isascii() and word.isalpha() for word in words)


def test_reading_splits_at_blanks_and_drops_repetitions(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffCafé two\r\n\r\n  two\tthree\r\n".encode())
    assert read_words(path) == ("Café", "two", "three")


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), (b" \n\n", "is empty"), (b"\xff\xfe\xfa", "not UTF-8")]
)
def test_unusable_lists_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"words.txt: .*{message}"):
        read_words(path)


def test_shares_choose_the_kind() -> None:
    words = ("apple", "pear")
    assert set(sample_many(TextSettings(listed=1, numbers=0, random=0), words)) == set(words)
    assert not set(sample_many(TextSettings(listed=0, numbers=1, random=1), ())) & set(words)
    mixed = sample_many(TextSettings(listed=3, numbers=0, random=1, random_characters="x"), words, count=2000)
    assert sum(word in words for word in mixed) / len(mixed) == pytest.approx(0.75, abs=0.04)


def test_lengths_are_kept() -> None:
    assert set(
        sample_many(TextSettings(listed=1, numbers=0, random=0, list_length=(4, 4)), ("a", "pear", "apple"))
    ) == {"pear"}
    strings = sample_many(TextSettings(listed=0, numbers=0, random=1, random_length=(3, 6)), ())
    assert {len(text) for text in strings} == {3, 4, 5, 6}


def test_no_listed_word_of_an_allowed_length() -> None:
    with pytest.raises(DataError, match="none of the 2 listed words has 9 to 12 characters"):
        WordSource(TextSettings(list_length=(9, 12)), ("pear", "apple"))


def test_numbers_hold_no_blanks_and_only_printable_ascii() -> None:
    generator = np.random.default_rng(1)
    numbers = {sample_number(generator) for _ in range(2000)}
    assert len(numbers) > 500
    assert set("".join(numbers)) <= set(string.printable) - set(string.whitespace)
    assert all(any(character.isdigit() for character in number) for number in numbers)


@pytest.mark.parametrize(
    ("case", "expected"), [("upper", "DON'T"), ("lower", "don't"), ("title", "Don't"), ("unchanged", "don't")]
)
def test_case(case: str, expected: str) -> None:
    assert set_case("don't", case) == expected


def test_case_weights() -> None:
    source, generator = (
        WordSource(TextSettings(upper=1, title=0, lower=1, unchanged=0), ("a",)),
        np.random.default_rng(0),
    )
    cases = [source.sample_case(generator) for _ in range(1000)]
    assert set(cases) == {"upper", "lower"}
    assert cases.count("upper") == pytest.approx(500, abs=60)
