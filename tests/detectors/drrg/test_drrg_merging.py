from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetext.detectors.drrg.merging import merge_and_suppress


def boxes_at(middles: np.ndarray, sizes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """(N, 4, 2) turned rectangles."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2 * sizes[:, None]
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = corners[..., 0], corners[..., 1]
    return np.stack((cos * x - sin * y, sin * x + cos * y), axis=2) + middles[:, None]


def iou(first: np.ndarray, second: np.ndarray) -> float:
    one, other = shapely.Polygon(first), shapely.Polygon(second)
    return one.intersection(other).area / one.union(other).area


def plain(corners: np.ndarray, scores: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Box by box, as published."""
    runs: list[tuple[np.ndarray, float]] = []
    for box, score in zip(corners, scores.tolist(), strict=True):
        if runs and iou(runs[-1][0], box) > threshold:
            kept, weight = runs[-1]
            orders = [np.roll(each, turn, axis=0) for each in (box, box[::-1]) for turn in range(4)]
            nearest = min(orders, key=lambda order: float(np.square(order - kept).sum()))
            runs[-1] = (kept * weight + nearest * score) / (weight + score), weight + score
        else:
            runs.append((box, score))
    left = sorted(runs, key=lambda run: run[1], reverse=True)
    best: list[tuple[np.ndarray, float]] = []
    for box, weight in left:
        if all(iou(other, box) <= threshold for other, _ in best):
            best.append((box, weight))
    return np.array([box for box, _ in best]), np.array([weight for _, weight in best])


def rows_of_boxes(random: np.random.Generator) -> np.ndarray:
    """Boxes at the pixels of a few bands, row by row: those of one text beside those of another."""
    mask = np.zeros((60, 160), bool)
    for _ in range(random.integers(1, 4)):
        left, top = random.integers(0, 100), random.integers(0, 40)
        mask[top : top + random.integers(1, 12), left : left + random.integers(1, 60)] = True
    y, x = np.nonzero(mask)
    middles = np.stack((x, y), axis=1) + random.normal(0, 0.2, (len(x), 2))
    sizes = np.stack((random.uniform(8, 12, len(x)), random.uniform(20, 24, len(x))), axis=1)
    return boxes_at(middles, sizes, random.normal(random.uniform(0, 3), 0.05, len(x)))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 0.3, 0.7]))
def test_result_is_that_of_box_by_box(seed: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    corners = rows_of_boxes(random)[:150]
    scores = random.uniform(0.3, 1, len(corners))
    found, weights = merge_and_suppress(corners, scores, threshold)
    expected, expected_weights = plain(corners, scores, threshold)
    assert np.allclose(weights, expected_weights)
    assert np.allclose(found, expected, atol=1e-6)


def test_boxes_turned_by_half_a_turn_merge_corner_by_corner() -> None:
    box = np.array([(0, 0), (10, 0), (10, 20), (0, 20)], float)
    found, weights = merge_and_suppress(np.stack((box, box[[2, 3, 0, 1]] + 1, box[::-1])), np.ones(3), 0.3)
    assert np.allclose(weights, [3])
    assert np.allclose(found[0], box + 1 / 3)


def test_no_boxes() -> None:
    found, weights = merge_and_suppress(np.zeros((0, 4, 2)), np.zeros(0), 0.3)
    assert (found.shape, weights.shape) == ((0, 4, 2), (0,))
