"""Limits on candidates: the best stay, and what is cut is counted."""

from __future__ import annotations

import numpy as np
import pytest

from scenetext.geometry.candidates import CandidateCuts, add_cuts, count_cut, counted_cuts, keep_best


@pytest.mark.parametrize(
    ("weights", "limit", "kept", "cuts"),
    [
        ([], 2, [], (0, 0)),
        ([3, 1], 2, [0, 1], (0, 0)),
        ([1, 5, 2, 4], 2, [1, 3], (1, 2)),
        ([9, 8, 7, 1], 3, [0, 1, 2], (1, 1)),
        ([1, 1, 1], 1, None, (1, 2)),
    ],
    ids=["none", "as many as may be", "the largest in their order", "the first", "equal ones"],
)
def test_the_largest_stay_in_their_order(
    weights: list[float], limit: int, kept: list[int] | None, cuts: tuple[int, int]
) -> None:
    with counted_cuts() as counted:
        indices = keep_best(np.array(weights, dtype=np.float64), limit)
    assert len(indices) == min(limit, len(weights))
    assert kept is None or indices.tolist() == kept
    assert (counted.times, counted.candidates) == cuts


def test_cuts_are_counted_by_every_block_around_them_and_by_none_after() -> None:
    with counted_cuts() as outer:
        count_cut(3)
        with counted_cuts() as inner:
            count_cut(0)
            count_cut(-2)
            add_cuts(CandidateCuts(2, 10))
    count_cut(99)
    assert (inner.times, inner.candidates) == (2, 10)
    assert (outer.times, outer.candidates) == (3, 13)
    assert "3 times: 13 of them" in outer.remark()
    assert CandidateCuts().remark() == ""
