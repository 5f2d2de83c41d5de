"""Work spread over processes: in order, a few items ahead, and one message where a process is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import pytest

from scenetext.data.preparation import processes
from scenetext.data.preparation.processes import in_processes, in_ranges
from scenetext.errors import DataError


def work(number: int) -> tuple[int, int]:
    if number == 13:
        raise DataError("thirteen")
    if number == 66:
        os._exit(1)
    return number, os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_items_are_taken_as_needed(workers: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100, 160):
            taken.append(number)
            yield number

    results = in_processes(work, items(), workers)
    first = next(results)
    assert len(taken) < 20, "all items were given out before the first result was taken"
    numbers, processes = zip(first, *results, strict=True)
    assert list(numbers) == taken == list(range(100, 160))
    assert (set(processes) == {os.getpid()}) == (workers == 1)


def test_errors_come_through_and_a_lost_process_is_one_message() -> None:
    for workers in (1, 2):
        with pytest.raises(DataError, match="^thirteen$"):
            list(in_processes(work, [1, 13, 2], workers))
    with pytest.raises(DataError, match="one of 2 processes was ended from outside, .* use fewer workers"):
        list(in_processes(work, [1, 66, 2], 2))
    with pytest.raises(DataError, match="workers must be at least 1, got 0"):
        list(in_processes(work, [1], 0))
    assert list(in_processes(work, [], 2)) == []


def total(values: bytes, indices: range) -> tuple[range, int, int]:
    return indices, sum(values[index % len(values)] for index in indices), os.getpid()


@pytest.mark.parametrize(("size", "is_spread"), [(10, True), (1 << 17, False)])
def test_ranges_follow_each_other_and_are_spread_where_it_pays(
    monkeypatch: pytest.MonkeyPatch, size: int, is_spread: bool
) -> None:
    monkeypatch.setattr(processes, "available_cores", lambda: 2)
    monkeypatch.setattr(processes, "_RANGE", 100)
    for count, worth in ((0, False), (1, False), (700, False), (701, True)):
        results = list(in_ranges(partial(total, bytes([3]) * size), count))
        assert [index for indices, _, _ in results for index in indices] == list(range(count))
        assert sum(one for _, one, _ in results) == 3 * count
        if count:
            assert ({process for _, _, process in results} == {os.getpid()}) != (worth and is_spread)
