"""Which of the overlapping ground truths (rows) and detections (columns) match, and what the matches count."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np

from scenetext.evaluation.rules import DetEvalProtocol, Matching, PairCheck

Pair = tuple[int, int]
"""(row, column)"""


class Matched(NamedTuple):
    """The matches of an image at one score threshold.

    Attributes:
        pairs: (ground truth, detection) of those that match.
        found: what the ground truths that were found count, the numerator of recall.
        hits: what the detections that hit count, the numerator of precision.
        position_matches, similarity: see `ThresholdScore`; only where texts were compared.
    """

    pairs: tuple[Pair, ...]
    found: float
    hits: float
    position_matches: int = 0
    similarity: float = 0.0


class Shares(NamedTuple):
    """Of a ground truth and a detection that overlap.

    Attributes:
        recall: share of the ground truth that is covered.
        precision: share of the detection that lies in the ground truth.
        near: whether their centres are near enough for a pair.
        counts: whether the ground truth is not ignored, and the detection not excluded.
    """

    recall: float
    precision: float
    near: bool
    counts: bool


class Fitting(NamedTuple):
    """P pairs that may match, by row, then by column.

    Attributes:
        rows, columns: (P,) int.
        iou: (P,) float64.
        scores: (P,) float64, of their detections.
    """

    rows: np.ndarray
    columns: np.ndarray
    iou: np.ndarray
    scores: np.ndarray


def order_pairs(fitting: Fitting, kind: Matching) -> list[Pair]:
    """The pairs that a kind of matching looks at, in its order; `match_pairs` takes any subset."""
    order = _KINDS[kind].order(fitting)
    return list(zip(fitting.rows[order].tolist(), fitting.columns[order].tolist(), strict=True))


def match_pairs(ordered: Sequence[Pair], kind: Matching) -> Matched:
    """The matches among pairs in the order of `order_pairs`."""
    pairs = _KINDS[kind].take(ordered)
    number = float(_KINDS[kind].count(pairs))
    return Matched(tuple(pairs), number, number)


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
    """As many pairs as possible, by augmenting paths (Berge, 1957); sorted by row."""
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


def take_all(allowed: Iterable[Pair]) -> list[Pair]:
    """Takes every pair: a row may have several columns, and a column several rows."""
    return list(allowed)


def _augment(
    start: int, neighbours: Mapping[int, Sequence[int]], column_of: dict[int, int], row_of: dict[int, int]
) -> None:
    """Matches row `start` if that is possible at all, moving other rows to other columns if needed."""
    # Breadth first from the free row: unmatched edge to a column, matched edge back to its row. At a free column the
    # path is walked back, and its matched and unmatched edges are swapped.
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


def _by_row(fitting: Fitting) -> np.ndarray:
    return np.arange(len(fitting.rows))


def _by_column(fitting: Fitting) -> np.ndarray:
    return np.lexsort((fitting.rows, fitting.columns))


def _by_falling_iou(fitting: Fitting) -> np.ndarray:
    return np.argsort(-fitting.iou, kind="stable")


def _best_of_columns(fitting: Fitting) -> np.ndarray:
    """Of every detection only the pair of the highest IoU, the first of equals; best score first."""
    by_iou = _by_falling_iou(fitting)
    _, first = np.unique(fitting.columns[by_iou], return_index=True)
    best = by_iou[first]
    return best[np.argsort(-fitting.scores[best], kind="stable")]


def _count_rows(pairs: Sequence[Pair]) -> int:
    return len({row for row, _ in pairs})


def _count_columns(pairs: Sequence[Pair]) -> int:
    return len({column for _, column in pairs})


class _Kind(NamedTuple):
    """The order in which pairs are looked at, which of them are taken, and how they are counted."""

    order: Callable[[Fitting], np.ndarray]
    take: Callable[[Iterable[Pair]], list[Pair]]
    count: Callable[[Sequence[Pair]], int]


_KINDS: Mapping[Matching, _Kind] = {
    "greedy": _Kind(_by_row, greedy_matching, len),
    "maximum": _Kind(_by_row, maximum_matching, len),
    "highest": _Kind(_by_falling_iou, greedy_matching, len),
    "argmax": _Kind(_best_of_columns, greedy_matching, len),
    "cover": _Kind(_by_column, covering, _count_columns),
    "any": _Kind(_by_row, take_all, _count_rows),
}


def match_by_shares(overlapping: Mapping[Pair, Shares], protocol: DetEvalProtocol) -> Matched:
    """DetEval: pairs, then ground truths found in pieces (splits), then detections of several ground truths (merges).

    Wolf and Jolion, Object count / area graphs for the evaluation of object detection and segmentation algorithms
    (2006).

    Args:
        overlapping: all pairs (row, column) that overlap, sorted.
    """
    every = _Tables(overlapping)
    counting = _Tables({pair: shares for pair, shares in overlapping.items() if shares.counts})
    credit = _Credit()
    find_pair = _PAIR_CHECKS[protocol.pair_check]
    for row in counting.by_row:
        partner = find_pair(row, every, counting, protocol)
        if partner is not None:
            credit.take([(row, partner)], 1.0, 1.0)
    for row, columns in counting.by_row.items():
        _take_split(credit, row, columns, protocol)
    for column in sorted(counting.by_column):
        _take_merge(credit, column, counting.by_column[column], protocol)
    return Matched(tuple(credit.pairs), credit.found, credit.hits)


class _Tables:
    """The shares of pairs, by ground truth and by detection."""

    def __init__(self, pairs: Mapping[Pair, Shares]) -> None:
        self.by_row: dict[int, dict[int, Shares]] = {}
        self.by_column: dict[int, dict[int, Shares]] = {}
        for (row, column), shares in pairs.items():
            self.by_row.setdefault(row, {})[column] = shares
            self.by_column.setdefault(column, {})[row] = shares


@dataclass(slots=True)
class _Credit:
    """What is matched so far, and what it counts.

    Attributes:
        pairs: (row, column) of everything that matched.
        rows, columns: ground truths and detections among them.
        found, hits: what these ground truths and detections count.
    """

    pairs: list[Pair] = field(default_factory=list)
    rows: set[int] = field(default_factory=set)
    columns: set[int] = field(default_factory=set)
    found: float = 0.0
    hits: float = 0.0

    def take(self, pairs: Sequence[Pair], found: float, hits: float) -> None:
        """Adds pairs that belong together."""
        self.pairs += pairs
        self.rows.update(row for row, _ in pairs)
        self.columns.update(column for _, column in pairs)
        self.found += found
        self.hits += hits


def _alone(row: int, every: _Tables, counting: _Tables, protocol: DetEvalProtocol) -> int | None:
    """The only detection that fits a ground truth, where that is its only one, too; all pairs are looked at."""
    columns, partners = counting.by_row[row], _fitting(every.by_row[row], protocol)
    if len(partners) != 1 or partners[0] not in columns or not columns[partners[0]].near:
        return None
    return partners[0] if len(_fitting(every.by_column[partners[0]], protocol)) == 1 else None


def _untouched(row: int, every: _Tables, counting: _Tables, protocol: DetEvalProtocol) -> int | None:
    """As `_alone`, where neither overlaps any other that counts."""
    partner = _alone(row, every, counting, protocol)
    if partner is None or len(counting.by_row[row]) > 1 or len(counting.by_column[partner]) > 1:
        return None
    return partner


def _by_shares(row: int, every: _Tables, counting: _Tables, protocol: DetEvalProtocol) -> int | None:
    """The only detection that covers enough of a ground truth, where only one, perhaps another, is precise enough."""
    columns = counting.by_row[row]
    covering_it = [column for column, each in columns.items() if each.recall > protocol.recall_threshold]
    precise = [column for column, each in columns.items() if each.precision > protocol.precision_threshold]
    return covering_it[0] if len(covering_it) == 1 == len(precise) else None


def _by_shares_both(row: int, every: _Tables, counting: _Tables, protocol: DetEvalProtocol) -> int | None:
    """As `_by_shares`, where the one covers no other ground truth enough, and the other is precise for no other."""
    partner = _by_shares(row, every, counting, protocol)
    if partner is None:
        return None
    (precise,) = (
        column for column, each in counting.by_row[row].items() if each.precision > protocol.precision_threshold
    )
    covered = sum(each.recall > protocol.recall_threshold for each in counting.by_column[partner].values())
    precise_for = sum(each.precision > protocol.precision_threshold for each in counting.by_column[precise].values())
    return partner if covered == 1 == precise_for else None


_PAIR_CHECKS: Mapping[PairCheck, Callable[[int, _Tables, _Tables, DetEvalProtocol], int | None]] = {
    "alone": _alone,
    "untouched": _untouched,
    "by_shares": _by_shares,
    "by_shares_both": _by_shares_both,
}
"""Of a ground truth, of all pairs and of those that count: the detection that is its pair, if any."""


def _take_split(credit: _Credit, row: int, columns: Mapping[int, Shares], protocol: DetEvalProtocol) -> None:
    if row in credit.rows or sum(shares.recall > 0 for shares in columns.values()) < protocol.smallest_group:
        return
    pieces = {
        column: shares
        for column, shares in columns.items()
        if column not in credit.columns and shares.precision >= protocol.precision_threshold
    }
    if pieces and _total((each.recall for each in pieces.values()), protocol) >= protocol.recall_threshold:
        score = protocol.lone_split_score if len(pieces) == 1 else protocol.split_score
        credit.take([(row, column) for column in pieces], score, score * len(pieces))


def _take_merge(credit: _Credit, column: int, rows: Mapping[int, Shares], protocol: DetEvalProtocol) -> None:
    if column in credit.columns or sum(shares.precision > 0 for shares in rows.values()) < protocol.smallest_group:
        return
    enough = protocol.merge_recall_threshold or protocol.recall_threshold
    covered = {row: shares for row, shares in rows.items() if row not in credit.rows and shares.recall >= enough}
    if len(covered) == 1 and not _fitting(covered, protocol):
        return
    if covered and _total((each.precision for each in covered.values()), protocol) >= protocol.precision_threshold:
        score = 1.0 if len(covered) == 1 else protocol.merge_score
        credit.take([(row, column) for row in covered], score * len(covered), score)


def _fitting(others: Mapping[int, Shares], protocol: DetEvalProtocol) -> list[int]:
    """Those that fit by both shares."""
    return [
        other
        for other, shares in others.items()
        if shares.recall >= protocol.recall_threshold and shares.precision >= protocol.precision_threshold
    ]


def _total(shares: Iterable[float], protocol: DetEvalProtocol) -> float:
    """Added up one by one as in the scripts: the built-in `sum` of Python 3.12 rounds otherwise in the last digit."""
    total = reduce(add, shares)
    return total if protocol.sum_decimals is None else round(total, protocol.sum_decimals)
