"""Matching of ground truths (rows) with detections (columns), from the list of pairs that may match."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

Pair = tuple[int, int]
"""(row, column)"""


def greedy_matching(allowed: Iterable[Pair]) -> list[Pair]:
    """Takes every pair whose row and column are still free, in the given order.

    With pairs sorted by row, then column, this is the rule of the ICDAR 2015 script. It may miss pairs that another
    order would find.
    """
    rows: set[int] = set()
    columns: set[int] = set()
    matched = []
    for row, column in allowed:
        if row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            matched.append((row, column))
    return matched


def maximum_matching(allowed: Iterable[Pair]) -> list[Pair]:
    """As many pairs as can be had, by augmenting paths (Berge, 1957); sorted by row."""
    neighbours: dict[int, list[int]] = {}
    for row, column in allowed:
        neighbours.setdefault(row, []).append(column)
    column_of: dict[int, int] = {}
    row_of: dict[int, int] = {}
    for row in neighbours:
        _augment(row, neighbours, column_of, row_of)
    return sorted(column_of.items())


def covering(allowed: Iterable[Pair]) -> list[Pair]:
    """Takes every pair whose row is still free, in the given order; so a column may have several rows.

    With pairs sorted by column this is the rule of PSENet's script for CTW1500.
    """
    rows: set[int] = set()
    matched = []
    for row, column in allowed:
        if row not in rows:
            rows.add(row)
            matched.append((row, column))
    return matched


def _augment(
    start: int, neighbours: Mapping[int, Sequence[int]], column_of: dict[int, int], row_of: dict[int, int]
) -> None:
    """Matches row `start` if that is possible at all, moving other rows to other columns where needed."""
    reached_from: dict[int, int] = {}
    waiting = deque([start])
    while waiting:
        row = waiting.popleft()
        for column in neighbours[row]:
            if column in reached_from:
                continue
            reached_from[column] = row
            if column in row_of:
                waiting.append(row_of[column])
                continue
            while True:
                row = reached_from[column]
                row_of[column], freed = row, column_of.get(row)
                column_of[row] = column
                if freed is None:
                    return
                column = freed
