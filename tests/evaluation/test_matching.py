"""Greedy and maximum one-to-one matching."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.evaluation.matching import Pair, greedy_matching, maximum_matching

pair_lists = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=9).map(sorted)


def largest_by_trying_all(allowed: list[Pair]) -> int:
    for size in range(len(allowed), 0, -1):
        for chosen in combinations(allowed, size):
            if is_one_to_one(list(chosen)):
                return size
    return 0


def is_one_to_one(pairs: list[Pair]) -> bool:
    return len({row for row, _ in pairs}) == len(pairs) == len({column for _, column in pairs})


@pytest.mark.parametrize(
    ("allowed", "greedy", "maximum"),
    [
        ([], [], 0),
        ([(0, 0), (1, 1)], [(0, 0), (1, 1)], 2),
        ([(0, 0), (0, 1), (1, 0)], [(0, 0)], 2),
        ([(0, 1), (1, 1), (2, 1)], [(0, 1)], 1),
        ([(0, 0), (0, 1), (1, 0), (1, 2), (2, 1)], [(0, 0), (1, 2), (2, 1)], 3),
    ],
    ids=["nothing", "apart", "greedy loses one", "one for three", "chain"],
)
def test_matchings(allowed: list[Pair], greedy: list[Pair], maximum: int) -> None:
    assert greedy_matching(allowed) == greedy
    assert len(maximum_matching(allowed)) == maximum


@given(pair_lists)
def test_maximum_matching_is_the_largest_there_is(allowed: list[Pair]) -> None:
    matched = maximum_matching(allowed)
    assert set(matched) <= set(allowed)
    assert is_one_to_one(matched)
    assert len(matched) == largest_by_trying_all(allowed)


@given(pair_lists)
def test_greedy_matching_cannot_be_extended(allowed: list[Pair]) -> None:
    matched = greedy_matching(allowed)
    assert is_one_to_one(matched)
    for pair in set(allowed) - set(matched):
        assert not is_one_to_one([*matched, pair])


def test_maximum_matching_of_a_long_chain() -> None:
    """Row i may take column i or i + 1, and the last row only the first column: every row has to move."""
    size = 3000
    allowed = [(row, column) for row in range(size - 1) for column in (row, row + 1)] + [(size - 1, 0)]
    assert len(maximum_matching(allowed)) == size
