"""Non-maximum suppression of polygons, against its definition with exact overlaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon

from scenetext.geometry.suppression import suppress_overlapping

SQUARE = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], np.float32)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """IoU as the published suppression computes it: repaired by a buffer of width 0; 0 where nothing has an area."""
    one, other = (shape if shape.is_valid else shape.buffer(0) for shape in (Polygon(first), Polygon(second)))
    union = one.union(other).area
    return float(one.intersection(other).area / union) if union else 0.0


def one_after_the_other(polygons: Sequence[np.ndarray] | np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """From the definition: the last of the best stays, and drops what overlaps it."""
    remaining = sorted(range(len(scores)), key=lambda index: scores[index])
    kept = []
    while remaining:
        best = remaining.pop()
        kept.append(best)
        remaining = [index for index in remaining if not overlap(polygons[best], polygons[index]) > threshold]
    return kept


@pytest.mark.parametrize(
    ("shift", "threshold", "expected"),
    [
        pytest.param((0, 0), 0.99, [1], id="the same"),
        pytest.param((5, 0), 0.3, [1], id="a third, above the threshold"),
        pytest.param((5, 0), 0.34, [1, 0], id="a third, below the threshold"),
        pytest.param((10, 0), 0.0, [1, 0], id="touching"),
        pytest.param((8, 8), 0.0, [1], id="a corner, and any overlap counts"),
        pytest.param((30, 0), 0.0, [1, 0], id="apart"),
    ],
)
def test_two_squares(shift: tuple[float, float], threshold: float, expected: list[int]) -> None:
    polygons = np.stack((SQUARE, SQUARE + np.float32(shift)))
    assert suppress_overlapping(polygons, np.array([0.4, 0.6]), threshold).tolist() == expected
    turned = np.stack((SQUARE[::-1], SQUARE + np.float32(shift)))
    assert suppress_overlapping(turned, np.array([0.4, 0.6]), threshold).tolist() == expected


def test_of_equal_scores_the_later_one_stays() -> None:
    assert suppress_overlapping(np.stack((SQUARE, SQUARE + 1)), np.array([0.5, 0.5]), 0.5).tolist() == [1]


def test_what_was_dropped_drops_nothing() -> None:
    chain = np.stack([SQUARE + np.float32((shift, 0)) for shift in (0, 4, 8)])
    assert suppress_overlapping(chain, np.array([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_groups_do_not_compete() -> None:
    polygons = np.stack([SQUARE] * 4)
    scores, groups = np.array([0.1, 0.4, 0.3, 0.2]), np.array([7, 7, -2, -2])
    assert suppress_overlapping(polygons, scores, 0.1, groups).tolist() == [1, 2]


def test_nothing_stays_of_nothing() -> None:
    assert suppress_overlapping(np.zeros((0, 5, 2)), np.zeros(0), 0.1).tolist() == []


@st.composite
def candidates(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Noisy copies of a few polygons, of integer coordinates as decoders make them: many cross or touch themselves."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    vertices, number = draw(st.integers(3, 30)), draw(st.integers(1, 12))
    noise, size = draw(st.sampled_from([0.0, 0.5, 2.0, 10.0])), draw(st.sampled_from([1, 8, 40]))
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    ellipse = np.stack((np.cos(angle) * size, np.sin(angle) * size / 3), axis=1)
    middles = random.uniform(0, 3 * size, (3, 1, 2))
    polygons = middles[random.integers(0, 3, number)] + ellipse + random.normal(size=(number, vertices, 2)) * noise
    turned = random.random(number) < 0.2
    polygons[turned] = polygons[turned, ::-1]
    return np.round(polygons), random.integers(0, 5, number) / 5


@given(candidates(), st.sampled_from([0.0, 0.1, 0.3, 0.7]))
def test_result_is_that_of_exact_overlaps(drawn: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    polygons, scores = drawn
    expected = one_after_the_other(polygons, scores, threshold)
    assert suppress_overlapping(polygons, scores, threshold).tolist() == expected


@given(candidates(), st.sampled_from([0.1, 0.3, 0.7]), st.integers(0, 2**32 - 1))
def test_polygons_may_have_different_numbers_of_vertices(
    drawn: tuple[np.ndarray, np.ndarray], threshold: float, seed: int
) -> None:
    """As the detections of several views have; some lose their last vertices here."""
    polygons, scores = drawn
    counts = np.random.default_rng(seed).integers(3, polygons.shape[1] + 1, len(polygons))
    ragged = [polygon[:count] for polygon, count in zip(polygons, counts, strict=True)]
    expected = one_after_the_other(ragged, scores, threshold)
    assert suppress_overlapping(ragged, scores, threshold).tolist() == expected
