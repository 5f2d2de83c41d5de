"""How much polygons overlap: areas of intersection of every pair of two lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from scenetext.errors import DataError
from scenetext.geometry.polygon import largest_part

CLOSED_FORM_VERTICES = 16
"""Pairs with at most this many vertices each are intersected by a formula, others by GEOS, which is faster there."""
CLOSED_FORM_ELEMENTS = 1 << 19
"""Pairs of edges worked on at once: bounds memory to some 50 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """N polygons prepared for `intersecting_pairs`: checked, repaired, measured.

    Attributes:
        vertices: (N, M, 2) float64, valid outlines; those with fewer than M vertices repeat their last one.
        counts: (N,) int, vertices of each outline.
        signed_areas: (N,) float64, square pixels: positive if clockwise on the screen, negative if not.
        repaired: (N,) bool, crossed or touched itself; replaced by its largest valid part, or kept beside `covered`.
        covered: (N,) object, the shapely geometry that an outline which crosses itself covers, where outlines of that
            kind are kept, and None elsewhere. The area of such a region is that of its outline: lobes of opposite
            direction cancel.
    """

    vertices: np.ndarray
    counts: np.ndarray
    signed_areas: np.ndarray
    repaired: np.ndarray
    covered: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """(N,) float64, square pixels."""
        return np.abs(self.signed_areas)

    @property
    def degenerate(self) -> np.ndarray:
        """(N,) bool, without an area: fewer than three different points, or all on one line."""
        return (self.signed_areas == 0) & ~self.repaired

    def __getitem__(self, index: slice | np.ndarray) -> Regions:
        """Those that a slice, a mask or an index array chooses."""
        each = (self.vertices, self.counts, self.signed_areas, self.repaired, self.covered)
        return Regions(*(values[index] for values in each))

    def __len__(self) -> int:
        return len(self.counts)


def make_regions(
    polygons: Sequence[np.ndarray],
    repair: Callable[[np.ndarray], np.ndarray] = shapely.make_valid,
    keep_outlines: bool = False,
) -> Regions:
    """Checks, repairs and measures polygons.

    Args:
        polygons: (V, 2) each, (x, y) pixels of one frame.
        repair: invalid shapely geometries to valid ones.
        keep_outlines: False: an outline that crosses itself is replaced by the largest polygon of its repair. True: it
            stays, with its own area, and overlaps are those of the whole repair, as in the evaluation scripts that
            count areas by the even-odd rule.

    Raises:
        DataError: as `stack_polygons`.
    """
    vertices, counts = stack_polygons(polygons)
    repaired = _are_invalid(vertices)
    covered = np.full(len(vertices), None)
    crossing = np.nonzero(repaired)[0]
    if len(crossing):
        valid = repair(shapely.polygons(vertices[repaired]))
        if keep_outlines:
            covered[crossing] = valid
            repaired[crossing] = shapely.area(valid) > 0
        else:
            outlines = [vertices[index, :count] for index, count in enumerate(counts)]
            for index, geometry in zip(crossing, valid, strict=True):
                part = largest_part(geometry)
                outlines[index] = np.zeros((1, 2)) if part is None else part
                repaired[index] = part is not None
            vertices, counts = stack_polygons(outlines)
    local = vertices - vertices[:, :1]
    x, y = local[..., 0], local[..., 1]
    signed_areas = 0.5 * (x[:, :-1] * y[:, 1:] - x[:, 1:] * y[:, :-1]).sum(axis=1)
    return Regions(vertices, counts, signed_areas, repaired, covered)


def stack_polygons(polygons: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Polygons of any number of vertices in one array: the last one of each is repeated.

    Args:
        polygons: (V, 2) each, (x, y) pixels of one frame.

    Returns:
        Vertices (N, M, 2) float64, M at least 3, and (N,) int, how many of them each polygon has.

    Raises:
        DataError: a polygon of another shape or with coordinates that are not finite; the message gives its index.
    """
    for index, polygon in enumerate(polygons):
        if polygon.ndim != 2 or polygon.shape[1] != 2 or not len(polygon):
            raise DataError(f"polygon {index} has the shape {polygon.shape}; expected (V, 2), one (x, y) per vertex")
    counts = np.array([len(polygon) for polygon in polygons], dtype=np.int64)
    if not len(counts):
        return np.zeros((0, 3, 2)), counts
    points = np.concatenate(polygons, dtype=np.float64, casting="unsafe")
    if not np.isfinite(points).all():
        index = next(index for index, polygon in enumerate(polygons) if not np.isfinite(polygon).all())
        raise DataError(f"polygon {index} has coordinates that are not finite: {polygons[index].tolist()}")
    first = np.cumsum(counts) - counts
    return points[first[:, None] + np.minimum(np.arange(max(3, counts.max())), counts[:, None] - 1)], counts


def intersection_matrix(first: Regions, second: Regions) -> np.ndarray:
    """Areas of intersection of all pairs, (F, S) float64, square pixels."""
    overlap = np.zeros((len(first), len(second)))
    rows, columns, areas = intersecting_pairs(first, second)
    overlap[rows, columns] = areas
    return overlap


def intersecting_pairs(
    first: Regions, second: Regions, candidates: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs that overlap, row by row: (P,) index in `first`, (P,) index in `second`, (P,) area of intersection.

    Args:
        candidates: (C,) indices in `first` and in `second` of the pairs to look at, row by row; None: all.
    """
    low, high = first.vertices.min(axis=1), first.vertices.max(axis=1)
    other_low, other_high = second.vertices.min(axis=1), second.vertices.max(axis=1)
    if candidates is None:
        rows, columns = np.nonzero(((low[:, None] < other_high) & (other_low < high[:, None])).all(axis=2))
    else:
        rows, columns = candidates
        meet = ((low[rows] < other_high[columns]) & (other_low[columns] < high[rows])).all(axis=1)
        rows, columns = rows[meet], columns[meet]
    areas = np.empty(len(rows))
    crossing = ~(shapely.is_missing(first.covered)[rows] & shapely.is_missing(second.covered)[columns])
    small = ~crossing & (np.maximum(first.counts[rows], second.counts[columns]) <= CLOSED_FORM_VERTICES)
    areas[small] = _by_formula(first, second, rows[small], columns[small])
    areas[~small] = _by_geos(first, second, rows[~small], columns[~small])
    smaller = np.minimum(first.areas[rows], second.areas[columns])
    areas = np.where(crossing, areas, np.minimum(areas, smaller))
    kept = areas > 0
    return rows[kept], columns[kept], areas[kept]


def _by_geos(first: Regions, second: Regions, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(P,) areas of intersection; GEOS is exact to rounding for any valid polygons, at some 15 microseconds a pair."""
    if not len(rows):
        return np.zeros(0)
    return shapely.area(shapely.intersection(_geometries(first[rows]), _geometries(second[columns])))


def _geometries(regions: Regions) -> np.ndarray:
    """(N,) shapely geometries of what the regions cover."""
    geometries = np.asarray(shapely.polygons(regions.vertices))
    kept = ~shapely.is_missing(regions.covered)
    geometries[kept] = regions.covered[kept]
    return geometries


def _by_formula(first: Regions, second: Regions, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(P,) areas of intersection, many pairs at once.

    A polygon's indicator is the signed sum of the regions between each of its edges and the x axis. The product of two
    indicators is then a sum over pairs of edges of the region below both, and its area is the integral of the lower
    edge over the x range they share: no vertex of the intersection is ever computed, so nothing is ill-conditioned.
    """
    areas = np.empty(len(rows))
    step = max(1, CLOSED_FORM_ELEMENTS // (first.vertices.shape[1] * second.vertices.shape[1] or 1))
    signs = np.sign(first.signed_areas)[rows] * np.sign(second.signed_areas)[columns]
    for start in range(0, len(rows), step):
        chunk = slice(start, start + step)
        mine, others = first.vertices[rows[chunk]], second.vertices[columns[chunk]]
        origin = np.maximum(mine.min(axis=1), others.min(axis=1))[:, None]
        mine, others = mine[:, : first.counts[rows].max()] - origin, others[:, : second.counts[columns].max()] - origin
        areas[chunk] = _area_below_both(_edges(mine), _edges(others))
    return areas * signs


def intersection_of_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P,) areas of intersection of pairs of valid outlines (P, V, 2) and (P, W, 2), V and W small."""
    origin = np.maximum(first.min(axis=1), second.min(axis=1))[:, None]
    return np.abs(_area_below_both(_edges(first - origin), _edges(second - origin)))


def _edges(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges of outlines (P, V, 2): x of their left and right ends, y of the left end, slope, and +1 where they run to
    the right or -1; (P, V) each. Vertical edges have no region below them: their slope is set to 0."""
    ends = np.concatenate([points[:, 1:], points[:, :1]], axis=1)
    x, y, end_x, end_y = points[..., 0], points[..., 1], ends[..., 0], ends[..., 1]
    run = end_x - x
    slope = np.divide(end_y - y, run, out=np.zeros_like(run), where=run != 0)
    rightward = run >= 0
    left, right, height = np.minimum(x, end_x), np.maximum(x, end_x), np.where(rightward, y, end_y)
    return left, right, height, slope, np.where(rightward, 1.0, -1.0)


def _area_below_both(mine: tuple[np.ndarray, ...], others: tuple[np.ndarray, ...]) -> np.ndarray:
    """(P,) signed sums, over the pairs of edges, of the integral of the lower one over the x range they share."""
    left, right, height, slope, sign = (values[:, :, None] for values in mine)
    other_left, other_right, other_height, other_slope, other_sign = (values[:, None] for values in others)
    start = np.maximum(left, other_left)
    width = np.maximum(np.minimum(right, other_right) - start, 0.0)
    mine_at_start = height + slope * (start - left)
    gap_at_start = mine_at_start - (other_height + other_slope * (start - other_left))
    gap_at_end = gap_at_start + (slope - other_slope) * width
    # min(mine, other) = mine - max(gap, 0). The gap grows linearly from `least` to `most`; the mean of its positive
    # part is (max(most, 0) + max(least, 0)) / 2 times the share of the width where it is positive.
    least, most = np.minimum(gap_at_start, gap_at_end), np.maximum(gap_at_start, gap_at_end)
    positive_least, positive_most = np.maximum(least, 0.0), np.maximum(most, 0.0)
    negative = np.minimum(most, 0.0) - np.minimum(least, 0.0)
    share = 1.0 - np.divide(negative, most - least, out=np.zeros_like(least), where=negative > 0)
    lower = mine_at_start + 0.5 * slope * width - 0.5 * (positive_most + positive_least) * share
    return (sign * other_sign * width * lower).sum(axis=(1, 2))


def _are_invalid(vertices: np.ndarray) -> np.ndarray:
    """(N,) bool: outlines (N, M, 2) that touch or cross themselves or have no area."""
    unclear = np.ones(len(vertices), dtype=bool)
    if vertices.shape[1] == 4:
        # Four turns to the same side make a convex quadrangle: no need to ask GEOS in the commonest case.
        sides = np.concatenate([vertices[:, 1:], vertices[:, :1]], axis=1) - vertices
        after = np.concatenate([sides[:, 1:], sides[:, :1]], axis=1)
        turns = sides[..., 0] * after[..., 1] - sides[..., 1] * after[..., 0]
        unclear = ~((turns > 0).all(axis=1) | (turns < 0).all(axis=1))
    invalid = np.zeros(len(vertices), dtype=bool)
    if unclear.any():
        invalid[unclear] = ~shapely.is_valid(shapely.polygons(vertices[unclear]))
    return invalid
