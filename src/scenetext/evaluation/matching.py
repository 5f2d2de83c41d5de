"""Which of the overlapping ground truths (rows) and detections (columns) match, and what the matches count."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from scenetext.evaluation.rules import DetEvalProtocol, Matching

Pair = tuple[int, int]
"""(row, column)"""
SHARE_TOLERANCE = 1e-6
"""A share, or a sum of shares, this much below a threshold still reaches it: areas are rounded."""


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
    """

    recall: float
    precision: float
    near: bool = True


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
    by_row: dict[int, dict[int, Shares]] = {}
    by_column: dict[int, dict[int, Shares]] = {}
    for (row, column), shares in overlapping.items():
        by_row.setdefault(row, {})[column] = shares
        by_column.setdefault(column, {})[row] = shares
    credit = _Credit()
    _take_pairs(credit, by_row, by_column, protocol)
    for row, columns in by_row.items():
        _take_split(credit, row, columns, protocol)
    for column in sorted(by_column):
        _take_merge(credit, column, by_column[column], protocol)
    return Matched(tuple(credit.pairs), credit.found, credit.hits)


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


def _take_pairs(
    credit: _Credit,
    by_row: Mapping[int, Mapping[int, Shares]],
    by_column: Mapping[int, Mapping[int, Shares]],
    protocol: DetEvalProtocol,
) -> None:
    for row, columns in by_row.items():
        if protocol.pair_check == "both":
            partners = _fitting(columns, protocol)
            alone = len(partners) == 1 == len(_fitting(by_column[partners[0]], protocol))
        else:
            partners = [column for column, each in columns.items() if _reaches(each.recall, protocol.recall_threshold)]
            precise = [each for each in columns.values() if _reaches(each.precision, protocol.precision_threshold)]
            alone = len(partners) == 1 == len(precise)
        if alone and columns[partners[0]].near:
            credit.take([(row, partners[0])], 1.0, 1.0)


def _take_split(credit: _Credit, row: int, columns: Mapping[int, Shares], protocol: DetEvalProtocol) -> None:
    if row in credit.rows or len(columns) < protocol.smallest_group:
        return
    pieces = {
        column: shares
        for column, shares in columns.items()
        if column not in credit.columns and _reaches(shares.precision, protocol.precision_threshold)
    }
    if pieces and _reaches(sum(shares.recall for shares in pieces.values()), protocol.recall_threshold):
        score = _group_score(len(pieces), protocol.split_score, protocol)
        credit.take([(row, column) for column in pieces], score, score * len(pieces))


def _take_merge(credit: _Credit, column: int, rows: Mapping[int, Shares], protocol: DetEvalProtocol) -> None:
    if column in credit.columns or len(rows) < protocol.smallest_group:
        return
    enough = protocol.merge_recall_threshold or protocol.recall_threshold
    covered = {
        row: shares for row, shares in rows.items() if row not in credit.rows and _reaches(shares.recall, enough)
    }
    if len(covered) == 1 and protocol.smallest_group > 1 and not _fitting(covered, protocol):
        return
    if covered and _reaches(sum(shares.precision for shares in covered.values()), protocol.precision_threshold):
        score = _group_score(len(covered), protocol.merge_score, protocol)
        credit.take([(row, column) for row in covered], score * len(covered), score)


def _fitting(others: Mapping[int, Shares], protocol: DetEvalProtocol) -> list[int]:
    """Those that fit by both shares."""
    return [
        other
        for other, shares in others.items()
        if _reaches(shares.recall, protocol.recall_threshold)
        and _reaches(shares.precision, protocol.precision_threshold)
    ]


def _group_score(size: int, score: float, protocol: DetEvalProtocol) -> float:
    return 1.0 if size == 1 and protocol.smallest_group > 1 else score


def _reaches(share: float, threshold: float) -> bool:
    return share >= threshold - SHARE_TOLERANCE
