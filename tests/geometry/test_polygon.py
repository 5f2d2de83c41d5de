"""Measures, order, validity, clipping and transformation of single polygons."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from scenetext.errors import DataError
from scenetext.geometry import polygon as geometry

SQUARE = [(0, 0), (2, 0), (2, 2), (0, 2)]


def array(points: list[tuple[float, float]]) -> np.ndarray:
    return np.array(points, dtype=np.float32).reshape(-1, 2)


@st.composite
def star_polygons(draw: st.DrawFn) -> np.ndarray:
    """Simple polygons, convex or not, of 3 to 20 vertices, clockwise or not: radii around a centre."""
    count = draw(st.integers(3, 20))
    radii = draw(st.lists(st.floats(2, 60), min_size=count, max_size=count))
    shifts = draw(st.lists(st.floats(0.1, 0.9), min_size=count, max_size=count))
    center = draw(st.tuples(st.floats(-20, 120), st.floats(-20, 80)))
    angles = (np.arange(count) + shifts) * 2 * np.pi / count
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None] + center
    return (points if draw(st.booleans()) else points[::-1]).astype(np.float32)


wild_polygons = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), max_size=12).map(array)
"""Anything: no points, repeated points, lines, self-crossing shapes."""


@pytest.mark.parametrize(
    ("points", "area", "perimeter"),
    [
        (SQUARE, 4, 8),
        (SQUARE[::-1], 4, 8),
        ([(0, 0), (4, 0), (0, 3)], 6, 12),
        ([(0, 0), (2, 0), (2, 0), (2, 2), (0, 2), (0, 2)], 4, 8),
        ([(0, 0), (4, 0), (2, 0)], 0, 8),
        ([(0, 0), (3, 4)], 0, 10),
        ([(5, 5)], 0, 0),
        ([], 0, 0),
        ([(0, 0), (2, 2), (2, 0), (0, 2)], 0, 4 + 4 * math.sqrt(2)),
    ],
    ids=["square", "reversed", "triangle", "repeated", "collinear", "segment", "point", "empty", "bow-tie"],
)
def test_area_and_perimeter(points: list[tuple[float, float]], area: float, perimeter: float) -> None:
    assert geometry.polygon_area(array(points)) == pytest.approx(area)
    assert geometry.polygon_perimeter(array(points)) == pytest.approx(perimeter)


def array_of(polygon: np.ndarray | None) -> list[list[float]] | None:
    return None if polygon is None else polygon.tolist()


HEXAGON = [(0, 0), (2, 1), (4, 0), (4, 3), (2, 4), (0, 3)]


@pytest.mark.parametrize(
    ("points", "order", "expected"),
    [
        (SQUARE, [0, 1, 3, 2], SQUARE),
        (SQUARE, [0, 3, 1, 2], SQUARE),
        (SQUARE, [0, 2, 1, 3], SQUARE),
        (SQUARE, [1, 0, 2, 3], [SQUARE[1], SQUARE[2], SQUARE[3], SQUARE[0]]),
        (HEXAGON, [0, 1, 2, 5, 4, 3], HEXAGON),
        (HEXAGON, [0, 5, 1, 4, 2, 3], HEXAGON),
        (HEXAGON, [0, 3, 1, 4, 2, 5], None),
        ([(0, 0), (5, 0), (9, 0), (2, 0)], [0, 1, 2, 3], None),
        (SQUARE, [0, 1, 2], None),
        (SQUARE, [], None),
    ],
    ids=["rows", "columns", "diagonals", "from the right", "six, rows", "six, pairs", "wild", "flat", "three", "none"],
)
def test_points_in_another_order_get_that_of_the_outline(
    points: list[tuple[float, float]], order: list[int], expected: list[tuple[float, float]] | None
) -> None:
    found = geometry.reordered(array([points[number] for number in order]))
    assert array_of(found) == (None if expected is None else array(expected).tolist())


@given(star_polygons())
def test_a_quadrilateral_in_any_order_becomes_one_that_does_not_cross(star: np.ndarray) -> None:
    corners = geometry.minimum_rectangle(star)
    for order in ([0, 1, 3, 2], [0, 2, 1, 3], [2, 0, 3, 1], [3, 1, 0, 2]):
        found = geometry.reordered(corners[order])
        assert found is not None
        assert geometry.is_valid(found)
        assert geometry.signed_area(found) > 0
        assert found[0].tolist() == corners[order[0]].tolist()
        assert geometry.polygon_area(found) == pytest.approx(geometry.polygon_area(corners))


def test_a_box_is_turned_clockwise_about_its_centre() -> None:
    np.testing.assert_allclose(geometry.rotated_box((5, 4), 6, 2, 0), [[2, 3], [8, 3], [8, 5], [2, 5]])
    quarter = [[6, 1], [6, 7], [4, 7], [4, 1]]
    np.testing.assert_allclose(geometry.rotated_box((5, 4), 6, 2, math.pi / 2), quarter, atol=1e-6)


def test_area_keeps_its_digits_far_from_the_origin() -> None:
    assert geometry.polygon_area(array(SQUARE) + np.float32(1e6)) == 4


def test_signed_area_is_positive_clockwise_on_the_screen() -> None:
    assert geometry.signed_area(array(SQUARE)) == 4
    assert geometry.signed_area(array(SQUARE[::-1])) == -4


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("direction", [1, -1])
def test_order_starts_top_left_and_runs_clockwise(start: int, direction: int) -> None:
    shuffled = np.roll(array(SQUARE), start, axis=0)[::direction]
    ordered = geometry.order_polygon(shuffled)
    np.testing.assert_array_equal(ordered, array(SQUARE))
    assert ordered.dtype == np.float32


def test_order_of_a_diamond_starts_at_the_higher_of_two_equals() -> None:
    ordered = geometry.order_polygon(array([(0, 2), (2, 4), (4, 2), (2, 0)]))
    np.testing.assert_array_equal(ordered, array([(2, 0), (4, 2), (2, 4), (0, 2)]))


@pytest.mark.parametrize(
    ("points", "area"),
    [
        (SQUARE, 4),
        (SQUARE[::-1], 4),
        ([(0, 0), (2, 0), (2, 0), (2, 2), (0, 2)], 4),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], 4),
        ([(0, 0), (6, 0), (6, 6), (4, -2), (0, -2)], 8.5),
        ([(0, 0), (4, 0), (4, 4), (2, 4), (2, 7), (2, 4), (0, 4)], 16),
        ([(0, 0), (4, 0), (2, 0)], None),
        ([(1, 1), (1, 1), (1, 1)], None),
        ([(0, 0), (3, 4)], None),
        ([(5, 5)], None),
        ([], None),
    ],
    ids=[
        "valid", "reversed", "repeated", "bow-tie", "unequal lobes", "spike", "collinear", "one point thrice",
        "segment", "point", "empty",
    ],
)  # fmt: skip
def test_valid_polygon(points: list[tuple[float, float]], area: float | None) -> None:
    valid = geometry.valid_polygon(array(points))
    if area is None:
        assert valid is None
    else:
        assert valid is not None
        assert geometry.is_valid(valid)
        assert geometry.polygon_area(valid) == pytest.approx(area)


def test_valid_polygon_keeps_what_is_valid() -> None:
    np.testing.assert_array_equal(geometry.valid_polygon(array(SQUARE[::-1])), array(SQUARE[::-1]))


@given(wild_polygons)
def test_valid_polygon_is_valid_or_none(polygon: np.ndarray) -> None:
    valid = geometry.valid_polygon(polygon)
    if valid is None:
        assert len(polygon) < 3 or shapely.make_valid(shapely.Polygon(polygon)).area == 0
    else:
        assert geometry.is_valid(valid)
        assert valid.dtype == np.float32
        assert geometry.polygon_area(valid) <= shapely.convex_hull(shapely.MultiPoint(polygon)).area + 1e-4


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(1, 1), (3, 1), (3, 3), (1, 3)], [(1, 1), (3, 1), (3, 3), (1, 3)]),
        ([(3, 3), (3, 1), (1, 1), (1, 3)], [(3, 3), (3, 1), (1, 1), (1, 3)]),
        ([(1, 1), (14, 1), (14, 3), (1, 3)], [(1, 1), (10, 1), (10, 3), (1, 3)]),
        ([(2, 4), (12, 4), (12, 2), (2, 2)], [(2, 4), (10, 4), (10, 2), (2, 2)]),
        ([(2, 2), (2, 4), (-1, 4), (-1, 2)], [(2, 2), (2, 4), (0, 4), (0, 2)]),
        ([(10, 0), (14, 0), (14, 3), (10, 3)], None),
        ([(11, 0), (14, 0), (14, 3), (11, 3)], None),
        ([(-4, 2), (4, 2), (4, 4), (-4, 4)], [(0, 2), (4, 2), (4, 4), (0, 4)]),
        ([(1, 1), (3, 1)], None),
    ],
    ids=[
        "inside",
        "inside reversed",
        "right",
        "right reversed",
        "first vertex kept",
        "touching",
        "outside",
        "first vertex outside",
        "segment",
    ],
)
def test_clip(points: list[tuple[float, float]], expected: list[tuple[float, float]] | None) -> None:
    clipped = geometry.clip_polygon(array(points), 10, 6)
    if expected is None:
        assert clipped is None
    else:
        np.testing.assert_allclose(clipped, array(expected), atol=1e-6)


def test_clip_of_what_is_all_around_is_the_picture() -> None:
    clipped = geometry.clip_polygon(array([(-5, -5), (15, -5), (15, 15), (-5, 15)]), 10, 6)
    assert clipped is not None
    np.testing.assert_array_equal(geometry.order_polygon(clipped), array([(0, 0), (10, 0), (10, 6), (0, 6)]))


def test_clip_into_parts_keeps_the_largest() -> None:
    """A comb whose back is outside: two teeth, 2 x 3 and 2 x 5, remain."""
    comb = array([(-3, 0), (3, 0), (3, 2), (-1, 2), (-1, 4), (5, 4), (5, 6), (-3, 6)])
    clipped = geometry.clip_polygon(comb, 10, 10)
    assert clipped is not None
    np.testing.assert_allclose(geometry.order_polygon(clipped), array([(0, 4), (5, 4), (5, 6), (0, 6)]))


@given(star_polygons())
def test_clip_equals_the_largest_part_of_geos(polygon: np.ndarray) -> None:
    clipped = geometry.clip_polygon(polygon, 100, 60)
    whole = shapely.intersection(shapely.make_valid(shapely.Polygon(polygon)), shapely.box(0, 0, 100, 60))
    expected = max((part.area for part in shapely.get_parts(whole)), default=0.0)
    assert (0.0 if clipped is None else geometry.polygon_area(clipped)) == pytest.approx(expected, abs=2e-2, rel=1e-5)
    if clipped is not None:
        assert geometry.is_valid(clipped)
        assert clipped.min() >= 0
        assert clipped[:, 0].max() <= 100
        assert clipped[:, 1].max() <= 60


def test_transform_affine() -> None:
    quarter_turn = np.array([[0, -1, 5], [1, 0, 7], [0, 0, 1]])
    moved = geometry.transform_polygon(array([(1, 2), (3, 4)]), quarter_turn)
    np.testing.assert_array_equal(moved, array([(3, 8), (1, 10)]))
    assert moved.dtype == np.float32
    assert geometry.transform_polygon(array([]), quarter_turn).shape == (0, 2)


def test_transform_projective() -> None:
    matrix = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0, 1]])
    np.testing.assert_allclose(geometry.transform_polygon(array([(2, 4)]), matrix), array([(1, 2)]))
    np.testing.assert_allclose(geometry.transform_polygon(array([(2, 4)]), -matrix), array([(1, 2)]))


@given(star_polygons(), st.floats(-3, 3), st.floats(-0.003, 0.003))
def test_transform_and_back(polygon: np.ndarray, shear: float, perspective: float) -> None:
    matrix = np.array([[1, shear, 3], [0.2, 2 + abs(shear), -4], [perspective, 0, 1]])
    moved = geometry.transform_polygon(polygon, matrix)
    np.testing.assert_allclose(geometry.transform_polygon(moved, np.linalg.inv(matrix)), polygon, atol=1e-2)


@pytest.mark.parametrize(
    "matrix", [np.diag([1.0, 1.0, 0.0]), [[1, 0, 0], [0, 1, 0], [-1, 0, 1]]], ids=["zero", "both signs"]
)
def test_transform_refuses_infinity(matrix: object) -> None:
    with pytest.raises(DataError, match="infinity"):
        geometry.transform_polygon(array(SQUARE), np.array(matrix))


def test_bounding_box() -> None:
    assert geometry.bounding_box(array([(3, 1), (-2, 5), (0, 0)])) == (-2, 0, 3, 5)


@pytest.mark.parametrize("angle", [0, 10, 45, 80, 170])
@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_minimum_rectangle_of_a_rotated_rectangle_is_itself(angle: float, shift: float) -> None:
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = np.array([(-20, -5), (20, -5), (20, 5), (-20, 5)]) @ np.array([[cosine, sine], [-sine, cosine]]) + shift
    rectangle = geometry.minimum_rectangle(np.concatenate([corners, [corners.mean(axis=0)]]))
    assert rectangle.shape == (4, 2)
    assert geometry.signed_area(rectangle) == pytest.approx(400, rel=2e-3)
    nearest = np.abs(rectangle[:, None] - corners).max(axis=2).min(axis=0)
    assert nearest.max() < 0.02
    np.testing.assert_array_equal(rectangle, geometry.order_polygon(rectangle))


@pytest.mark.parametrize(
    "points", [[(3, 4)], [(3, 4), (6, 8)], [(0, 0), (1, 1), (2, 2)]], ids=["point", "segment", "line"]
)
def test_minimum_rectangle_of_what_is_flat(points: list[tuple[float, float]]) -> None:
    rectangle = geometry.minimum_rectangle(array(points))
    assert rectangle.shape == (4, 2)
    assert geometry.polygon_area(rectangle) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    "function",
    [
        geometry.polygon_area, geometry.signed_area, geometry.polygon_perimeter, geometry.order_polygon,
        geometry.is_valid, geometry.valid_polygon, geometry.bounding_box, geometry.minimum_rectangle,
        lambda polygon: geometry.clip_polygon(polygon, 4, 4),
        lambda polygon: geometry.transform_polygon(polygon, np.eye(3)),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "bad",
    [np.array([(0, 0), (1, np.nan), (1, 1)]), np.array([(0, 0), (np.inf, 1), (1, 1)]), np.zeros(8), np.zeros((4, 3))],
)
def test_bad_input_is_refused(function: object, bad: np.ndarray) -> None:
    with pytest.raises(DataError):
        function(bad)  # type: ignore[operator]


@pytest.mark.parametrize("function", [geometry.bounding_box, geometry.minimum_rectangle])
def test_no_points_have_no_box(function: object) -> None:
    with pytest.raises(DataError, match="without points"):
        function(np.zeros((0, 2)))  # type: ignore[operator]


def test_order_of_no_points() -> None:
    assert geometry.order_polygon(np.zeros((0, 2))).shape == (0, 2)
