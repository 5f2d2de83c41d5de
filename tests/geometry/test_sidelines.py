from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.geometry.sidelines import line_length, resample_line, text_sides

LEVEL = np.array([(0, 0), (60, 0), (60, 20), (0, 20)], np.float32)
UPRIGHT = np.array([(0, 0), (20, 0), (20, 60), (0, 60)], np.float32)
SLIGHTLY_UPRIGHT = np.array([(0, 0), (20, 0), (20, 30), (0, 30)], np.float32)


def arc(points: int = 14) -> np.ndarray:
    """A bent text, outer side first, as annotators give it: (points, 2)."""
    angle = np.linspace(np.pi, 2 * np.pi, points // 2)
    outward = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    return np.concatenate((100 + 80 * outward, 100 + 60 * outward[::-1]))


@pytest.mark.parametrize(
    ("polygon", "first", "second"),
    [
        pytest.param(LEVEL, [(0, 0), (60, 0)], [(0, 20), (60, 20)], id="level"),
        pytest.param(SLIGHTLY_UPRIGHT, [(0, 0), (20, 0)], [(0, 30), (20, 30)], id="upright, but not by much"),
        pytest.param(UPRIGHT, [(20, 0), (20, 60)], [(0, 0), (0, 60)], id="upright"),
        pytest.param(LEVEL[:3], [(0, 0), (60, 0)], [(60, 20), (60, 20)], id="triangle"),
    ],
)
def test_sides_by_hand(polygon: np.ndarray, first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    upper, lower = text_sides(polygon)
    assert {tuple(map(tuple, upper.tolist())), tuple(map(tuple, lower.tolist()))} == {tuple(first), tuple(second)}


@pytest.mark.parametrize("turn", range(14))
def test_sides_of_a_bent_text_are_its_arcs_wherever_it_starts(turn: int) -> None:
    # An outline that starts elsewhere lacks the bonus of the usual positions, not the shape of the ends.
    upper, lower = text_sides(np.roll(arc(), turn, axis=0))
    assert np.allclose(np.hypot(*(upper - 100).T), 80)
    assert np.allclose(np.hypot(*(lower - 100).T), 60)
    assert np.sign(upper[-1, 0] - upper[0, 0]) == np.sign(lower[-1, 0] - lower[0, 0])


@pytest.mark.parametrize("polygon", [LEVEL, UPRIGHT, arc(), arc(10)])
def test_direction_of_the_polygon_does_not_change_which_side_is_up(polygon: np.ndarray) -> None:
    for one, other in zip(text_sides(polygon), text_sides(polygon[::-1]), strict=True):
        assert sorted(one.tolist()) == sorted(other.tolist())


def test_resampled_points_are_equally_far_apart() -> None:
    corner = np.array([(0.0, 0.0), (30.0, 0.0), (30.0, 10.0)])
    assert line_length(corner) == pytest.approx(40)
    expected = [(0, 0), (10, 0), (20, 0), (30, 0), (30, 10)]
    assert np.allclose(resample_line(corner, 5), expected)
    assert np.allclose(resample_line(corner[:2], 3), [(0, 0), (15, 0), (30, 0)])
    assert np.allclose(resample_line(np.array([(3.0, 4.0)]), 3), [(3, 4)] * 3)


coordinates = st.integers(-50, 50)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=40))
def test_any_polygon_is_cut_in_two(points: list[tuple[int, int]]) -> None:
    polygon = np.array(points)
    upper, lower = text_sides(polygon)
    expected = sorted(points) if len(points) > 3 else sorted([*points, points[-1]])
    assert sorted(map(tuple, np.concatenate((upper, lower)).tolist())) == expected
    assert min(len(upper), len(lower)) >= 1
    assert upper[:, 1].mean() <= lower[:, 1].mean()
    for line in (upper, lower):
        assert np.isfinite(resample_line(line, 5)).all()
