"""Table 3: a fixed share of each image's words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.data.preparation.word_shares import keep_share_of_words
from scenetext.structures import ImageRecord, TextInstance

WORDS = st.lists(st.text("ab中", min_size=1, max_size=3), max_size=12)


def record(words: list[str], path: str = "a.jpg") -> ImageRecord:
    return ImageRecord(Path(path), 10, 10, tuple(TextInstance(None, word) for word in words))


def kept(words: list[str], share: float, seed: int = 0, path: str = "a.jpg") -> list[str | None]:
    return [instance.text for instance in keep_share_of_words([record(words, path)], share, seed)[0].instances]


@pytest.mark.parametrize(
    ("words", "share", "count"),
    [(4, 0.25, 1), (8, 0.25, 2), (1, 0.25, 1), (2, 0.25, 1), (6, 0.25, 2), (5, 0.5, 3), (4, 0.75, 3), (7, 1.0, 7)],
)
def test_one_of_four_words_is_a_quarter(words: int, share: float, count: int) -> None:
    assert len(kept([f"word{number}" for number in range(words)], share)) == count


@given(WORDS, st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 3))
def test_words_keep_their_order_and_a_smaller_share_is_part_of_a_larger(
    words: list[str], first: float, second: float, seed: int
) -> None:
    numbered = [f"{word}{number}" for number, word in enumerate(words)]
    less, more = (kept(numbered, share, seed) for share in sorted((first, second)))
    assert set(less) <= set(more) <= set(numbered)
    assert less == [word for word in numbered if word in less]
    assert bool(less) == bool(words)


def test_the_choice_is_the_same_for_any_path_of_the_image_and_on_every_machine() -> None:
    words = ["Lines:", "I", "lost", "Kevin", "Smith", "中国", "24", "h"]
    assert kept(words, 0.5) == kept(words, 0.5, path="/elsewhere/shard.tar/7.jpg")
    # Written down once: another version of Python or numpy must not choose otherwise.
    assert kept(words, 0.25) == EXPECTED
    assert kept(words, 0.25, seed=1) != EXPECTED


EXPECTED = ["I", "Kevin"]


def test_every_word_has_the_same_chance() -> None:
    times_kept: Counter[str | None] = Counter()
    for seed in range(2000):
        times_kept.update(kept(["a", "b", "c", "d"], 0.5, seed))
    assert all(abs(times_kept[word] - 1000) < 100 for word in "abcd")


def test_all_words_are_the_records_themselves() -> None:
    records = [record(["a", "b"])]
    assert keep_share_of_words(records, 1, 0) is records
