"""Areas of intersection and IoU, against values worked out by hand, against GEOS, and by their symmetries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from scenetext.errors import DataError
from scenetext.geometry import overlap

UNIT = [(0, 0), (4, 0), (4, 2), (0, 2)]

TRUTH_TABLE = [
    ("identical", UNIT, UNIT, 1.0),
    ("reversed order", UNIT, UNIT[::-1], 1.0),
    ("another first vertex", UNIT, UNIT[2:] + UNIT[:2], 1.0),
    ("repeated points", UNIT, [(0, 0), (0, 0), (4, 0), (4, 2), (4, 2), (0, 2)], 1.0),
    ("disjoint", UNIT, [(5, 0), (9, 0), (9, 2), (5, 2)], 0.0),
    ("diagonal neighbour", UNIT, [(5, 3), (9, 3), (9, 5), (5, 5)], 0.0),
    ("half", UNIT, [(0, 0), (2, 0), (2, 2), (0, 2)], 0.5),
    ("inside", UNIT, [(1, 0.5), (3, 0.5), (3, 1.5), (1, 1.5)], 0.25),
    ("shifted by half", UNIT, [(2, 0), (6, 0), (6, 2), (2, 2)], 1 / 3),
    ("touching along an edge", UNIT, [(4, 0), (8, 0), (8, 2), (4, 2)], 0.0),
    ("touching in one corner", UNIT, [(4, 2), (8, 2), (8, 4), (4, 4)], 0.0),
    ("triangle", UNIT, [(0, 0), (4, 0), (0, 2)], 0.5),
    ("cross", UNIT, [(1, -1), (3, -1), (3, 3), (1, 3)], 1 / 3),
    ("diamond", [(-1, -1), (1, -1), (1, 1), (-1, 1)], [(0, -2), (2, 0), (0, 2), (-2, 0)], 0.5),
    ("concave", UNIT, [(0, 0), (4, 0), (4, 2), (2, 1), (0, 2)], 0.75),
    ("bow-tie counts with one lobe", UNIT, [(0, 0), (4, 2), (4, 0), (0, 2)], 0.25),
    ("one point", UNIT, [(1, 1)], 0.0),
    ("one point thrice", UNIT, [(1, 1), (1, 1), (1, 1)], 0.0),
    ("segment", UNIT, [(0, 1), (4, 1)], 0.0),
    ("collinear", UNIT, [(0, 0), (2, 1), (4, 2)], 0.0),
    ("both without area", [(0, 0), (1, 0), (2, 0)], [(0, 0), (1, 0), (2, 0)], 0.0),
]  # fmt: skip


def array(points: list[tuple[float, float]]) -> np.ndarray:
    return np.array(points, dtype=np.float32)


def iou_matrix(first: list[np.ndarray], second: list[np.ndarray]) -> np.ndarray:
    """IoU of all pairs; 0 where either polygon has no area. Invalid polygons count with their largest valid part."""
    rows, columns = overlap.make_regions(first), overlap.make_regions(second)
    shared = overlap.intersection_matrix(rows, columns)
    union = rows.areas[:, None] + columns.areas - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


@st.composite
def star_polygons(draw: st.DrawFn, most: int = 24) -> np.ndarray:
    """Simple polygons, convex or not, clockwise or not, near each other."""
    count = draw(st.integers(3, most))
    radii = draw(st.lists(st.integers(1, 60), min_size=count, max_size=count))
    center = draw(st.tuples(st.integers(-30, 30), st.integers(-30, 30)))
    angles = (np.arange(count) + draw(st.floats(0, 1))) * 2 * np.pi / count
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None] + center
    points = np.rint(points) if draw(st.booleans()) else points
    return (points if draw(st.booleans()) else points[::-1]).astype(np.float32)


@pytest.mark.parametrize(
    ("first", "second", "expected"), [row[1:] for row in TRUTH_TABLE], ids=[row[0] for row in TRUTH_TABLE]
)
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("scale", [1, 1000])
def test_iou(
    first: list[tuple[float, float]], second: list[tuple[float, float]], expected: float, swapped: bool, scale: float
) -> None:
    pair = (array(second), array(first)) if swapped else (array(first), array(second))
    matrix = iou_matrix([pair[0] * scale], [pair[1] * scale])
    assert matrix.shape == (1, 1)
    assert matrix[0, 0] == pytest.approx(expected, abs=1e-12)


def test_empty_lists() -> None:
    assert iou_matrix([], []).shape == (0, 0)
    assert iou_matrix([array(UNIT)], []).shape == (1, 0)
    assert iou_matrix([], [array(UNIT)]).shape == (0, 1)


def by_shapely(first: np.ndarray, second: np.ndarray) -> float:
    a, b = (
        max(parts(shapely.make_valid(shapely.Polygon(points))), key=lambda part: part.area)
        for points in (first, second)
    )
    return float(shapely.intersection(a, b).area)


def parts(geometry: shapely.Geometry) -> list[shapely.Polygon]:
    found = shapely.get_parts(shapely.get_parts(geometry))
    return [part for part in found if isinstance(part, shapely.Polygon)] or [shapely.Polygon()]


@given(st.lists(star_polygons(), max_size=5), st.lists(star_polygons(), max_size=5))
def test_formula_equals_geos(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    """Lists mix polygons of few vertices (the formula) with polygons of many (GEOS)."""
    areas = overlap.intersection_matrix(overlap.make_regions(first), overlap.make_regions(second))
    assert areas.shape == (len(first), len(second))
    for row, mine in enumerate(first):
        for column, other in enumerate(second):
            assert areas[row, column] == pytest.approx(by_shapely(mine, other), abs=1e-8, rel=1e-9)


@given(star_polygons(), star_polygons(), st.floats(0.01, 100), st.integers(0, 23))
def test_iou_is_symmetric_and_blind_to_scale_direction_and_start(
    first: np.ndarray, second: np.ndarray, scale: float, shift: int
) -> None:
    first, second = first.astype(np.float64), second.astype(np.float64)
    iou = iou_matrix([first], [second])[0, 0]
    assert 0 <= iou <= 1
    assert iou_matrix([second], [first])[0, 0] == pytest.approx(iou, abs=1e-9)
    assert iou_matrix([first * scale + 7], [second * scale + 7])[0, 0] == pytest.approx(iou, abs=1e-9)
    assert iou_matrix([np.roll(first[::-1], shift, axis=0)], [second])[0, 0] == pytest.approx(iou, abs=1e-9)


@given(
    st.lists(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=9).map(array), max_size=6)
)
def test_any_polygons_give_iou_in_range_and_one_with_themselves(polygons: list[np.ndarray]) -> None:
    matrix = iou_matrix(polygons, polygons)
    regions = overlap.make_regions(polygons)
    assert np.isfinite(matrix).all()
    assert ((matrix >= 0) & (matrix <= 1 + 1e-12)).all()
    np.testing.assert_allclose(np.diagonal(matrix), np.where(regions.degenerate, 0.0, 1.0), atol=1e-9)


def test_regions_tell_what_was_repaired_and_what_has_no_area() -> None:
    polygons = [array(UNIT), array([(0, 0), (4, 2), (4, 0), (0, 2)]), array([(0, 0), (2, 1), (4, 2)])]
    regions = overlap.make_regions(polygons)
    assert regions.repaired.tolist() == [False, True, False]
    assert regions.degenerate.tolist() == [False, False, True]
    np.testing.assert_allclose(regions.areas, [8, 2, 0])
    assert regions[1:].repaired.tolist() == [True, False]


any_outlines = st.lists(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=8).map(array), max_size=5
)


@pytest.mark.parametrize("repair", [shapely.make_valid, lambda geometries: shapely.buffer(geometries, 0)])
@given(first=any_outlines, second=any_outlines)
def test_kept_outlines_have_their_own_areas_and_overlap_as_their_repairs_do(
    repair: Callable[[np.ndarray], np.ndarray], first: list[np.ndarray], second: list[np.ndarray]
) -> None:
    rows, columns = (overlap.make_regions(outlines, repair, keep_outlines=True) for outlines in (first, second))
    shared = overlap.intersection_matrix(rows, columns)
    for row, mine in enumerate(first):
        x, y = mine.T
        shoelace = 0.5 * abs(float(x @ np.roll(y, -1) - np.roll(x, -1) @ y))
        assert rows.areas[row] == pytest.approx(shoelace, abs=1e-9)
        for column, other in enumerate(second):
            pair = repair(np.array([shapely.Polygon(mine), shapely.Polygon(other)]))
            assert shared[row, column] == pytest.approx(shapely.intersection(*pair).area, abs=1e-9)


def test_a_bow_tie_by_the_even_odd_rule() -> None:
    """Two lobes of 2 square pixels that run in opposite directions; the square covers both."""
    bow_tie = array([(0, 0), (4, 4), (4, 2), (0, 2)])
    outline = overlap.make_regions([bow_tie], keep_outlines=True)
    whole = overlap.make_regions([array([(0, 0), (4, 0), (4, 4), (0, 4)])])
    assert outline.repaired.tolist() == [True]
    assert outline.areas.tolist() == [0.0]
    assert outline.degenerate.tolist() == [False]
    assert overlap.intersection_matrix(outline, whole).tolist() == [[4.0]]
    assert overlap.make_regions([bow_tie]).areas.tolist() == [2.0]


def test_only_candidates_are_looked_at() -> None:
    """Chosen pairs give what they give among all pairs, in the order of the candidates."""
    draw = np.random.default_rng(0)
    first, second = (
        overlap.make_regions([draw.uniform(0, 40, 2) + draw.uniform(0, 30, (4, 2)) for _ in range(number)])
        for number in (9, 12)
    )
    chosen = draw.random((9, 12)) < 0.4
    rows, columns, areas = overlap.intersecting_pairs(first, second, np.nonzero(chosen))
    every = overlap.intersection_matrix(first, second)
    assert len(rows) == np.count_nonzero(chosen & (every > 0)) > 0
    np.testing.assert_array_equal(areas, every[rows, columns])


def test_work_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    polygons = [array(UNIT) + rng.uniform(0, 6, (1, 2)) for _ in range(12)]
    whole = iou_matrix(polygons, polygons)
    monkeypatch.setattr(overlap, "CLOSED_FORM_ELEMENTS", 40)
    np.testing.assert_array_equal(iou_matrix(polygons, polygons), whole)


@pytest.mark.parametrize(
    "bad",
    [np.array([(0, 0), (1, np.nan), (1, 1)]), np.array([(0, 0), (np.inf, 1), (1, 1)]), np.zeros(8), np.zeros((0, 2))],
)
def test_bad_polygon_is_named(bad: np.ndarray) -> None:
    with pytest.raises(DataError, match="polygon 1 "):
        overlap.make_regions([array(UNIT), bad])
