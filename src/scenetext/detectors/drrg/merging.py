"""Locality-aware suppression: neighbours in a list are merged before the best ones are chosen (EAST, CVPR 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenetext.geometry.overlap import intersection_of_pairs
from scenetext.geometry.suppression import surely_overlap

BOXES_AT_ONCE = 32
"""Candidates that are compared with one box in one go."""
_ORDERS = np.array([np.roll(order, -turn) for order in (np.arange(4), np.arange(4)[::-1]) for turn in range(4)])
"""(8, 4): the four corners of a box, from any of them in either direction."""


def merge_and_suppress(corners: np.ndarray, scores: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Merges every box with the one before while they overlap, then drops those that overlap a better one.

    A merged box is the mean of its boxes, weighted by their scores, and has the sum of their scores.

    Args:
        corners: (N, 4, 2) float64, in an order in which boxes of one text follow each other, row by row for one.
        scores: (N,), above 0.
        threshold: IoU above which boxes are merged or dropped.

    Returns:
        (M, 4, 2) and (M,), best first.
    """
    merged, weights = _merge_neighbours(corners, scores, threshold)
    best_first = np.argsort(weights, kind="stable")[::-1]
    merged, weights = merged[best_first], weights[best_first]
    better, worse = _overlapping_pairs(merged, threshold)
    is_kept = [True] * len(merged)
    # In order of the better one: when the pairs of a box come, all that could have dropped it have had theirs.
    for first, second in zip(better.tolist(), worse.tolist(), strict=True):
        if is_kept[first]:
            is_kept[second] = False
    return merged[is_kept], weights[is_kept]


def _overlapping_pairs(corners: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """(P,) and (P,) indices i < j of the quadrangles (N, 4, 2) with an IoU above the threshold, in order."""
    low, high = corners.min(axis=1), corners.max(axis=1)
    areas = np.abs(_signed_areas(corners))
    # By their left sides: those that begin before a box ends, horizontally.
    order = np.argsort(low[:, 0])
    until = np.searchsorted(low[order, 0], high[order, 0])
    counts = np.maximum(until - np.arange(1, len(order) + 1), 0)
    one = np.repeat(np.arange(len(order)), counts)
    other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
    one, other = order[one], order[other]
    # Bounds of the area of intersection, of the bounding boxes' and so of the boxes'.
    shared = np.minimum(high[one, 1], high[other, 1]) - np.maximum(low[one, 1], low[other, 1])
    shared = shared.clip(min=0) * (np.minimum(high[one, 0], high[other, 0]) - low[other, 0])
    possible = shared > threshold * (areas[one] + areas[other] - shared)
    one, other = one[possible], other[possible]
    first, second = np.minimum(one, other), np.maximum(one, other)
    in_order = np.lexsort((second, first))
    first, second = first[in_order], second[in_order]
    above = _overlaps(corners[first], corners[second]) > threshold
    return first[above], second[above]


def _merge_neighbours(corners: np.ndarray, scores: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (M, 4, 2), each the mean of a run of candidates (N, 4, 2), and their weights (M,), in order.

    One candidate after the other, each depends on the run before. But a run hardly ever goes on from a box to one that
    does not touch it, as from the end of a row of pixels to the next row. So the list is cut there, all parts are
    merged at the same time, and where a part turns out to go on in the next one, the two are merged again as one.
    """
    low, high = corners.min(axis=1), corners.max(axis=1)
    apart = ((low[1:] > high[:-1]) | (low[:-1] > high[1:])).any(axis=1)
    starts = np.flatnonzero(np.concatenate(([True], apart)))[: len(corners)]
    runs = _Runs(corners, scores, np.zeros_like(corners), np.zeros(len(corners)), threshold)
    unmerged = np.arange(len(starts))
    while len(unmerged):
        ends = np.append(starts[1:], len(corners))
        runs.merge_parts(starts[unmerged], ends[unmerged])
        goes_on = 1 + np.flatnonzero(runs.overlap(runs.last_of(ends[:-1]), starts[1:]))
        # A part that goes on is joined to the one before; of several in a row, all to the first.
        is_start = np.ones(len(starts), bool)
        is_start[goes_on] = False
        grown = np.unique(np.cumsum(is_start)[goes_on] - 1)
        starts = starts[is_start]
        unmerged = grown
    kept = runs.weights > 0
    return runs.boxes[kept], runs.weights[kept]


@dataclass(frozen=True, eq=False)
class _Runs:
    """Candidates (N, 4, 2) with scores (N,), and the runs found so far.

    Attributes:
        boxes, weights: (N, 4, 2) and (N,), the merged box of a run at the index of its first candidate; weight 0: none
            begins there.
    """

    corners: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    weights: np.ndarray
    threshold: float

    def last_of(self, ends: np.ndarray) -> np.ndarray:
        """(P,) first candidates of the last runs that begin before the indices `ends` (P,)."""
        first = np.flatnonzero(self.weights)
        return first[np.searchsorted(first, ends) - 1]

    def overlap(self, runs: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """(P,) bool: whether the boxes of runs and candidates, by index, have an IoU above the threshold."""
        first, second = self.boxes[runs], self.corners[candidates]
        meet = (first.max(axis=1) > second.min(axis=1)) & (second.max(axis=1) > first.min(axis=1))
        above = np.zeros(len(runs), bool)
        near = np.flatnonzero(meet.all(axis=1))
        if len(near):
            above[near] = _overlaps(first[near], second[near]) > self.threshold
        return above

    def merge_parts(self, starts: np.ndarray, ends: np.ndarray) -> None:
        """Finds the runs of the parts of the list from `starts` to `ends` (P,), all at the same time."""
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self.weights[start:end] = 0
        self.boxes[starts], self.weights[starts] = self.corners[starts], self.scores[starts]
        run, following = starts.copy(), starts + 1
        active = np.flatnonzero(following < ends)
        while len(active):
            following[active] += self._take_sure_ones(run[active], following[active], ends[active])
            active = active[following[active] < ends[active]]
            self._take_or_begin(run, following, active)
            following[active] += 1
            active = active[following[active] < ends[active]]

    def _take_sure_ones(self, run: np.ndarray, following: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Merges runs (P,) with those that follow as long as they surely overlap; returns how many, (P,)."""
        ahead = following[:, None] + np.arange(BOXES_AT_ONCE)
        within = ahead < ends[:, None]
        ahead = np.where(within, ahead, 0)
        weights = np.column_stack((self.weights[run], np.where(within, self.scores[ahead], 0))).cumsum(axis=1)
        candidates = self.corners[ahead]
        each = candidates * np.where(within, self.scores[ahead], 0)[..., None, None]
        sums = np.concatenate(((self.boxes[run] * self.weights[run, None, None])[:, None], each), axis=1).cumsum(axis=1)
        means = sums[:, :-1] / weights[:, :-1, None, None]
        areas = _signed_areas(means), _signed_areas(candidates)
        sure = within & surely_overlap(means, candidates, *areas, self.threshold)
        taken = np.where(sure.all(axis=1), BOXES_AT_ONCE, sure.argmin(axis=1))
        rows = np.arange(len(run))
        self.weights[run] = weights[rows, taken]
        self.boxes[run] = sums[rows, taken] / weights[rows, taken, None, None]
        return taken

    def _take_or_begin(self, run: np.ndarray, following: np.ndarray, parts: np.ndarray) -> None:
        """Merges the runs of some parts with the candidates that follow, or begins new ones there."""
        mine, others = run[parts], following[parts]
        above = self.overlap(mine, others)
        taking, taken = mine[above], others[above]
        boxes, score = _nearest_order(self.boxes[taking], self.corners[taken]), self.scores[taken]
        total = self.weights[taking] + score
        self.boxes[taking] = (
            self.boxes[taking] * self.weights[taking, None, None] + boxes * score[:, None, None]
        ) / total[:, None, None]
        self.weights[taking] = total
        begun = others[~above]
        self.boxes[begun], self.weights[begun] = self.corners[begun], self.scores[begun]
        run[parts[~above]] = begun


def _signed_areas(corners: np.ndarray) -> np.ndarray:
    """(...) areas of quadrangles (..., 4, 2), positive if clockwise on the screen."""
    first, second = corners[..., 2, :] - corners[..., 0, :], corners[..., 3, :] - corners[..., 1, :]
    return 0.5 * (first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])


def _overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P,) IoU of pairs of quadrangles (P, 4, 2)."""
    shared = intersection_of_pairs(first, second)
    return shared / (np.abs(_signed_areas(first)) + np.abs(_signed_areas(second)) - shared).clip(min=1e-9)


def _nearest_order(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The boxes `others` (P, 4, 2), each beginning at the corner and running in the direction nearest to `boxes`."""
    ordered = others[:, _ORDERS]
    distances = np.square(ordered - boxes[:, None]).sum(axis=(2, 3))
    return ordered[np.arange(len(others)), distances.argmin(axis=1)]
