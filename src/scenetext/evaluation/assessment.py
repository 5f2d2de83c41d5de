"""Which of the overlapping ground truths and detections match by a rule, and what the matches count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from scenetext.evaluation.deteval import Shares, deteval_matching
from scenetext.evaluation.matching import Pair, covering, greedy_matching, maximum_matching
from scenetext.evaluation.overlaps import Overlaps
from scenetext.evaluation.rules import DetEvalProtocol, IouProtocol, Matching, Protocol


class Assessment(NamedTuple):
    """The matches of an image at one score threshold.

    Attributes:
        pairs: (ground truth, detection) of those that match.
        found: what the ground truths that were found count, the numerator of recall.
        hits: what the detections that hit count, the numerator of precision.
        placed, similarity: see `ThresholdScore`; only where texts were compared.
    """

    pairs: tuple[Pair, ...]
    found: float
    hits: float
    placed: int = 0
    similarity: float = 0.0


Assess = Callable[[Sequence[Pair]], Assessment]
"""From the candidates whose scores suffice, in the order in which they were prepared."""


def prepare_matching(
    overlaps: Overlaps, allowed: np.ndarray, scores: np.ndarray, protocol: Protocol
) -> tuple[list[Pair], Assess]:
    """The pairs that may match, in the order in which the rule looks at them, and the rule for any of them.

    Args:
        allowed: (P,) bool, pairs of which neither side is left out.
        scores: (D,) of the detections.
    """
    if isinstance(protocol, DetEvalProtocol):
        kept = np.nonzero(allowed)[0]
        shares = _shares(overlaps, kept, protocol)
        return list(shares), lambda pairs: _assess_by_shares({pair: shares[pair] for pair in pairs}, protocol)
    if not isinstance(protocol, IouProtocol):
        raise TypeError(f"no matching for rules of the type {type(protocol).__name__}")
    iou, limit = overlaps.iou, protocol.iou_threshold
    fits = allowed & (iou > limit if protocol.strict else iou >= limit)
    if protocol.largest_angle is not None:
        fits &= overlaps.angle < protocol.largest_angle
    order, match, count = _MATCHINGS[protocol.matching]
    kept = order(overlaps, np.nonzero(fits)[0], scores)
    candidates = list(zip(overlaps.rows[kept].tolist(), overlaps.columns[kept].tolist(), strict=True))
    return candidates, lambda pairs: _assess_pairs(match(pairs), count)


def _assess_pairs(pairs: Sequence[Pair], count: Callable[[Sequence[Pair]], int]) -> Assessment:
    number = float(count(pairs))
    return Assessment(tuple(pairs), number, number)


def _assess_by_shares(overlapping: dict[Pair, Shares], protocol: DetEvalProtocol) -> Assessment:
    credit = deteval_matching(overlapping, protocol)
    return Assessment(tuple(credit.pairs), credit.found, credit.hits)


def _shares(overlaps: Overlaps, kept: np.ndarray, protocol: DetEvalProtocol) -> dict[Pair, Shares]:
    limit = protocol.centre_distance
    near = np.ones(len(kept), dtype=bool) if limit is None else overlaps.centre_distance[kept] < limit
    columns = (overlaps.rows, overlaps.columns, overlaps.recall, overlaps.precision)
    values = zip(*(column[kept].tolist() for column in columns), near.tolist(), strict=True)
    return {(row, column): Shares(recall, precision, close) for row, column, recall, precision, close in values}


def _by_ground_truth(overlaps: Overlaps, kept: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """As they are: by ground truth, then by detection."""
    return kept


def _by_detection(overlaps: Overlaps, kept: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return kept[np.lexsort((overlaps.rows[kept], overlaps.columns[kept]))]


def _by_falling_iou(overlaps: Overlaps, kept: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return kept[np.argsort(-overlaps.iou[kept], kind="stable")]


def _by_falling_score(overlaps: Overlaps, kept: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of every detection only the pair of the highest IoU, the first of equals; best score first."""
    by_iou = _by_falling_iou(overlaps, kept, scores)
    _, first = np.unique(overlaps.columns[by_iou], return_index=True)
    best = by_iou[first]
    return best[np.argsort(-scores[overlaps.columns[best]], kind="stable")]


def _take_all(allowed: Iterable[Pair]) -> list[Pair]:
    return list(allowed)


def _count_ground_truths(pairs: Sequence[Pair]) -> int:
    return len({row for row, _ in pairs})


def _count_detections(pairs: Sequence[Pair]) -> int:
    return len({column for _, column in pairs})


_MATCHINGS: dict[
    Matching,
    tuple[
        Callable[[Overlaps, np.ndarray, np.ndarray], np.ndarray],
        Callable[[Iterable[Pair]], list[Pair]],
        Callable[[Sequence[Pair]], int],
    ],
] = {
    "greedy": (_by_ground_truth, greedy_matching, len),
    "maximum": (_by_ground_truth, maximum_matching, len),
    "highest": (_by_falling_iou, greedy_matching, len),
    "argmax": (_by_falling_score, greedy_matching, len),
    "cover": (_by_detection, covering, _count_detections),
    "any": (_by_ground_truth, _take_all, _count_ground_truths),
}
"""The order in which pairs are looked at, which are taken, and how they are counted."""
