from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely import Polygon

from golden import golden_arrays
from scenetext.detectors.fcenet.fourier import contour_matrix, fourier_signature

RECTANGLE = np.array([(0, 0), (90, 0), (90, 30), (0, 30)])


def contour(signature: np.ndarray, points: int = 100) -> np.ndarray:
    """(points, 2) points of a contour."""
    matrix = contour_matrix(len(signature) // 2, points)
    return (np.concatenate((signature.real, signature.imag)) @ matrix).reshape(2, points).T


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    one, other = Polygon(first).buffer(0), Polygon(second).buffer(0)
    return float(one.intersection(other).area / one.union(other).area)


@pytest.mark.parametrize("layout", ["a640", "b320", "b320x"])
def test_signatures_equal_published_ones(layout: str) -> None:
    golden = golden_arrays("detectors", f"targets_fce_{layout}")
    for points, count, expected in zip(
        golden["polygons"], golden["num_points"], golden["signature_fullres"], strict=True
    ):
        signature = fourier_signature(points[:count].astype(np.int64), 5)
        assert signature is not None
        assert np.abs(signature - (expected[:, 0] + 1j * expected[:, 1])).max() < 1e-9


def test_circle_is_one_coefficient() -> None:
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack((50 + 20 * np.cos(angle), 60 + 20 * np.sin(angle)), axis=1)
    signature = fourier_signature(circle, 3)
    assert signature is not None
    assert signature[3] == pytest.approx(50 + 60j, abs=0.1)
    # The start is the top, 20 above the middle; y points down.
    assert signature[4] == pytest.approx(-20j, abs=1)
    assert np.abs(signature[[0, 1, 2, 5, 6]]).max() < 0.1


def test_more_coefficients_follow_more_closely() -> None:
    overlaps = []
    for degree in (1, 3, 5, 15):
        signature = fourier_signature(RECTANGLE, degree)
        assert signature is not None
        overlaps.append(overlap(contour(signature), RECTANGLE))
    assert overlaps == sorted(overlaps)
    assert overlaps[0] > 0.7
    assert overlaps[2] > 0.93
    assert overlaps[3] > 0.97


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("direction", [1, -1])
def test_first_vertex_and_direction_make_no_difference(first: int, direction: int) -> None:
    expected = fourier_signature(RECTANGLE, 5)
    found = fourier_signature(np.roll(RECTANGLE, first, axis=0)[::direction], 5)
    assert expected is not None
    assert found is not None
    # The start may move by two of some 400 samples, which are 0.6 pixels apart.
    assert np.hypot(*(contour(found) - contour(expected)).T).max() < 1.5


def test_signature_moves_and_grows_with_the_polygon() -> None:
    tilted = np.array([(3.0, 10.0), (60.0, 2.0), (64.0, 20.0), (7.0, 31.0)])
    signature, moved = fourier_signature(tilted, 4), fourier_signature(tilted * 4 + (24, 40), 4)
    assert signature is not None
    assert moved is not None
    moved[4] -= 24 + 40j
    assert np.allclose(moved, 4 * signature)


@pytest.mark.parametrize("vertices", [4, 50, 100, 101, 1000])
def test_number_of_vertices_makes_no_difference(vertices: int) -> None:
    positions = np.arange(vertices) / vertices * 4
    after = np.roll(RECTANGLE, -1, axis=0)
    edge, share = positions.astype(int), (positions % 1)[:, None]
    signature = fourier_signature(RECTANGLE[edge] * (1 - share) + after[edge] * share, 5)
    assert signature is not None
    assert overlap(contour(signature), RECTANGLE) > 0.92


def test_polygon_without_length_has_none() -> None:
    assert fourier_signature(np.full((5, 2), 7), 5) is None


coordinates = st.integers(-1000, 1000)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=100), st.integers(1, 10))
def test_any_polygon_has_a_bounded_signature(points: list[tuple[int, int]], degree: int) -> None:
    polygon = np.array(points)
    signature = fourier_signature(polygon, degree)
    assume(signature is not None)
    assert signature is not None
    assert signature.shape == (2 * degree + 1,)
    middle, reach = signature[degree], np.hypot(*np.ptp(polygon, axis=0))
    assert polygon[:, 0].min() - 1e-6 <= middle.real <= polygon[:, 0].max() + 1e-6
    assert polygon[:, 1].min() - 1e-6 <= middle.imag <= polygon[:, 1].max() + 1e-6
    assert np.abs(np.delete(signature, degree)).max() <= reach
