"""DetEval: pairs, ground truths found in pieces (splits), detections of several ground truths (merges).

Wolf and Jolion, Object count / area graphs for the evaluation of object detection and segmentation algorithms (2006).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scenetext.evaluation.matching import Pair
from scenetext.evaluation.rules import DetEvalProtocol

SHARE_TOLERANCE = 1e-6
"""A share, or a sum of shares, this much below a threshold still reaches it: areas are rounded."""


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


@dataclass(slots=True)
class Credit:
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


def deteval_matching(overlapping: Mapping[Pair, Shares], protocol: DetEvalProtocol) -> Credit:
    """The matches, and what they count.

    Args:
        overlapping: all pairs (row, column) that overlap, sorted.
    """
    by_row: dict[int, dict[int, Shares]] = {}
    by_column: dict[int, dict[int, Shares]] = {}
    for (row, column), shares in overlapping.items():
        by_row.setdefault(row, {})[column] = shares
        by_column.setdefault(column, {})[row] = shares
    credit = Credit()
    _take_pairs(credit, by_row, by_column, protocol)
    for row, columns in by_row.items():
        _take_split(credit, row, columns, protocol)
    for column in sorted(by_column):
        _take_merge(credit, column, by_column[column], protocol)
    return credit


def _take_pairs(
    credit: Credit,
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


def _take_split(credit: Credit, row: int, columns: Mapping[int, Shares], protocol: DetEvalProtocol) -> None:
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


def _take_merge(credit: Credit, column: int, rows: Mapping[int, Shares], protocol: DetEvalProtocol) -> None:
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
