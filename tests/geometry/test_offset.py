from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon

from golden import golden_arrays
from scenetext.geometry.offset import (
    area_and_perimeter,
    kernel_distance,
    largest_part,
    offset_polygon,
    offset_polygon_by,
    shrink_distance,
    shrink_to_kernels,
)

SQUARE = np.array([(10, 10), (30, 10), (30, 30), (10, 30)], np.float32)
DUMBBELL = np.array(
    [
        (0, 0),
        (40, 0),
        (40, 18),
        (80, 18),
        (80, 0),
        (100, 0),
        (100, 40),
        (80, 40),
        (80, 22),
        (40, 22),
        (40, 40),
        (0, 40),
    ],
    np.float32,
)

coordinates = st.floats(min_value=-200, max_value=900, width=32)
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=14).map(
    lambda points: np.array(points, np.float32)
)


def as_ring(polygon: np.ndarray) -> list[tuple[float, ...]]:
    """The vertices from the smallest one on, so that equal rings compare equal whichever vertex comes first."""
    points = [tuple(point) for point in polygon.tolist()]
    first = points.index(min(points))
    return points[first:] + points[:first]


def test_offset_equals_published_rings() -> None:
    golden = golden_arrays("detectors", "offset_polygon")
    compared = 0
    for index, distance in enumerate(golden["distance"]):
        polygon = golden["polygons"][index, : golden["num_points"][index]]
        expected = golden["result"][index, : golden["result_num_points"][index]]
        parts = offset_polygon(polygon, float(distance))
        if len(expected):
            assert as_ring(parts[0]) == as_ring(expected), golden["note"][index]
            compared += 1
        else:
            assert len({len(part) for part in parts}) != 1, golden["note"][index]
    assert compared > 40


@pytest.mark.parametrize("reverse", [False, True], ids=["clockwise", "counterclockwise"])
def test_square_shrinks_and_grows_by_the_distance(reverse: bool) -> None:
    polygon = SQUARE[::-1] if reverse else SQUARE
    (shrunk,) = offset_polygon(polygon, -4)
    assert as_ring(np.sort(shrunk, axis=0))[0] == (14, 14)
    assert area_and_perimeter(shrunk) == (144, 48)
    (grown,) = offset_polygon(polygon, 4)
    assert (grown.min(axis=0).tolist(), grown.max(axis=0).tolist()) == ([6, 6], [34, 34])
    assert area_and_perimeter(grown)[0] == pytest.approx(20 * 20 + 4 * 20 * 4 + np.pi * 16, rel=0.02)


def test_coordinates_are_cut_not_rounded() -> None:
    (same,) = offset_polygon(SQUARE + np.float32(0.9), 0)
    assert as_ring(same) == as_ring(SQUARE)


def test_largest_part_of_a_polygon_that_falls_apart() -> None:
    parts = offset_polygon(DUMBBELL, -3)
    assert len(parts) == 2
    largest = largest_part(parts)
    assert largest is not None
    assert largest.min(axis=0).tolist() == [3, 3]
    assert area_and_perimeter(largest)[0] == pytest.approx(34 * 34, rel=0.01)
    assert largest is not parts[0]


def test_nothing_left() -> None:
    assert largest_part(offset_polygon(SQUARE, -10)) is None


@pytest.mark.parametrize(
    ("polygon", "area", "perimeter"),
    [
        pytest.param([(0, 0), (4, 0), (4, 3), (0, 3)], 12, 14, id="rectangle"),
        pytest.param([(0, 0), (0, 3), (4, 3), (4, 0)], 12, 14, id="reversed"),
        pytest.param([(0, 0), (4, 0), (0, 3)], 6, 12, id="triangle"),
        pytest.param([(0, 0), (5, 0), (10, 0)], 0, 20, id="collinear"),
        pytest.param([(7, 7), (7, 7), (7, 7)], 0, 0, id="one point"),
        pytest.param([(0, 0), (2, 2), (2, 0), (0, 2)], 0, 4 + 4 * 2**0.5, id="self-crossing, loops cancel"),
    ],
)
def test_area_and_perimeter(polygon: list[tuple[int, int]], area: float, perimeter: float) -> None:
    assert area_and_perimeter(np.array(polygon)) == (area, pytest.approx(perimeter))


def test_shrink_distance() -> None:
    assert shrink_distance(SQUARE, 0.4) == pytest.approx(400 * (1 - 0.16) / 80)
    assert shrink_distance(SQUARE, 1.0) == 0
    assert shrink_distance(np.zeros((3, 2)), 0.4) == 0


@pytest.mark.parametrize(
    ("sides", "ratio", "expected"),
    [
        pytest.param((40, 40), 0.5, 7, id="7.5, an exact half, is rounded down"),
        pytest.param((40, 40), 0.4, 8, id="8.4"),
        pytest.param((40, 41), 0.5, 8, id="7.59"),
        pytest.param((40, 40), 1.0, 0, id="the text itself"),
        pytest.param((0, 0), 0.4, 0, id="without extent"),
    ],
)
def test_kernel_distance_rounds_an_exact_half_down(sides: tuple[int, int], ratio: float, expected: int) -> None:
    width, height = sides
    rectangle = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    assert kernel_distance(rectangle, ratio) == expected


@given(polygons, st.floats(min_value=-50, max_value=50))
def test_any_polygon_gives_rings_of_integers(polygon: np.ndarray, distance: float) -> None:
    before = polygon.copy()
    parts = offset_polygon(polygon, distance)
    assert all(part.dtype == np.int64 and part.shape[1:] == (2,) and len(part) >= 3 for part in parts)
    assert np.array_equal(polygon, before)
    largest = largest_part(parts)
    if largest is not None:
        assert area_and_perimeter(largest)[0] == max(area_and_perimeter(part)[0] for part in parts)


@given(polygons, st.floats(min_value=1, max_value=50))
def test_shrinking_stays_inside_and_growing_contains(polygon: np.ndarray, distance: float) -> None:
    whole = Polygon(polygon.astype(np.int64))
    if not whole.is_valid:
        return
    for part in offset_polygon(polygon, -distance):
        assert Polygon(part).buffer(0).difference(whole.buffer(1.5)).area == 0
    grown = largest_part(offset_polygon(polygon, distance))
    if grown is not None:
        assert whole.difference(Polygon(grown).buffer(0).buffer(1.5)).area == 0


@given(polygons, st.lists(st.floats(min_value=-30, max_value=30), max_size=4))
def test_several_distances_at_once_equal_one_after_the_other(polygon: np.ndarray, distances: list[float]) -> None:
    found = offset_polygon_by(polygon, distances)
    assert len(found) == len(distances)
    for parts, distance in zip(found, distances, strict=True):
        expected = offset_polygon(polygon, distance)
        assert [part.tolist() for part in parts] == [part.tolist() for part in expected]


WORD = np.array([(20, 20), (120, 20), (120, 60), (20, 60)], np.float32)
RATIOS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)


def box(polygon: np.ndarray) -> tuple[list[int], list[int]]:
    return polygon.min(axis=0).tolist(), polygon.max(axis=0).tolist()


@pytest.mark.parametrize("polygon", [WORD, WORD[::-1], WORD + np.float32(0.9)], ids=["word", "reversed", "fractions"])
def test_word_by_hand(polygon: np.ndarray) -> None:
    # A = 4000, L = 280: D = 14.29 (1 - r^2) = 0, 10.7, 12 for r = 1, 0.5, 0.4.
    kernels = shrink_to_kernels(polygon, (1, 0.5, 0.4), 20)
    assert kernels is not None
    assert [box(kernel) for kernel in kernels] == [
        ([20, 20], [120, 60]),
        ([31, 31], [109, 49]),
        ([32, 32], [108, 48]),
    ]
    assert all(kernel.dtype == np.int32 for kernel in kernels)


def test_distance_is_limited() -> None:
    kernels = shrink_to_kernels(WORD, (1, 0.5, 0.4), 7)
    assert kernels is not None
    assert [box(kernel)[0] for kernel in kernels] == [[20, 20], [27, 27], [27, 27]]


@pytest.mark.parametrize(
    "polygon",
    [
        pytest.param([(5, 5), (50, 5), (90, 5)], id="no area"),
        pytest.param([(5, 5), (5, 5), (5, 5)], id="one point"),
        pytest.param([(5, 5), (90, 5), (90, 7), (5, 7)], id="two pixels high"),
    ],
)
def test_text_without_all_kernels_has_none(polygon: list[tuple[int, int]]) -> None:
    assert shrink_to_kernels(np.array(polygon, np.float32), RATIOS, 20) is None


@given(polygons)
def test_every_kernel_is_the_largest_part_of_the_shrunk_polygon(polygon: np.ndarray) -> None:
    before = polygon.copy()
    kernels = shrink_to_kernels(polygon, RATIOS, 20)
    assert np.array_equal(polygon, before)
    area, perimeter = area_and_perimeter(polygon.astype(np.int64))
    parts = [
        largest_part(offset_polygon(polygon, -min(int(area * (1 - ratio**2) / max(perimeter, 1) + 0.5), 20)))
        for ratio in RATIOS
    ]
    if kernels is None:
        assert any(part is None for part in parts)
        return
    for kernel, part in zip(kernels, parts, strict=True):
        assert part is not None
        assert np.array_equal(kernel, part)
