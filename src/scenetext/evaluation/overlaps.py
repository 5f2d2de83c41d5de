"""The ground truths and detections of an image that overlap, and how much, in the shape that a rule compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from scenetext.evaluation.rules import DetEvalProtocol, IouProtocol, Protocol
from scenetext.geometry.overlap import Regions, intersecting_pairs, make_regions
from scenetext.geometry.polygon import bounding_box, polygon_area

PolygonPair = tuple[Sequence[np.ndarray], Sequence[np.ndarray]]
"""The ground truths and the detections of an image."""
_EXACT_DECIMALS = 12
"""Of a share of polygons."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """P pairs of a ground truth and a detection that share an area, by ground truth, then by detection.

    Pairs with a polygon that the rule drops are not among them.

    Attributes:
        rows, columns: (P,) int, index of the ground truth and of the detection.
        iou: (P,) float64, intersection over union; 0 where the areas of outlines that cross themselves leave no union.
        recall: (P,) float64, share of the ground truth that is covered.
        precision: (P,) float64, share of the detection that lies in the ground truth.
        inside: (P,) float64, the same share as the rule takes it to exclude detections in ignored regions: with its
            margin, and infinite for a detection that crosses itself, has no area, and is measured as MMOCR does.
        angle: (P,) float64, degrees between the two; only of rectangles, else 0.
        centre_distance: (P,) float64, between the centres of their bounding boxes, over the mean of their diagonals; 0
            where the rule does not ask.
        repaired_rows, repaired_columns: (G,) and (D,) bool, ground truths and detections that crossed themselves.
        degenerate_rows, degenerate_columns: (G,) and (D,) bool, those without an area.
    """

    rows: np.ndarray
    columns: np.ndarray
    iou: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    inside: np.ndarray
    angle: np.ndarray
    centre_distance: np.ndarray
    repaired_rows: np.ndarray
    repaired_columns: np.ndarray
    degenerate_rows: np.ndarray
    degenerate_columns: np.ndarray


def find_overlaps(images: Sequence[PolygonPair], protocol: Protocol) -> list[Overlaps]:
    """Overlaps of all pairs of every image; many images at once take a fraction of the time.

    Args:
        images: polygons of the ground truths and of the detections, (V, 2) each, in pixels of the image.

    Raises:
        DataError: a polygon of the wrong shape, or with a coordinate that is not finite; its index counts the
            detections of all images first.
    """
    truths = [polygon for image in images for polygon in image[0]]
    detections = [polygon for image in images for polygon in image[1]]
    rows_of = np.array([len(image[0]) for image in images], dtype=np.int64)
    columns_of = np.array([len(image[1]) for image in images], dtype=np.int64)
    outlines = [*detections, *truths]
    repair = _without_width if protocol.invalid in ("zero_width", "mmocr") else shapely.make_valid
    regions = make_regions(outlines, repair, keep_outlines=protocol.invalid in ("even_odd", "zero_width"))
    compared, angles = _compared(outlines, regions, protocol)
    found, truth = compared[: len(detections)], compared[len(detections) :]
    candidates = None if len(images) == 1 else _pairs_within_images(rows_of, columns_of)
    rows, columns, shared = intersecting_pairs(truth, found, candidates)
    if protocol.invalid in ("drop", "drop_detections"):
        unsound = regions.repaired | regions.degenerate
        kept = ~(unsound[len(detections) :][rows] | unsound[: len(detections)][columns])
        rows, columns, shared = rows[kept], columns[kept], shared[kept]
    iou, recall, precision, inside = _shares(truth.areas[rows], found.areas[columns], shared, protocol)
    if protocol.invalid == "mmocr":
        outline_areas = np.array([polygon_area(polygon) for polygon in detections])[columns]
        inside = _share(shared, outline_areas, np.ones(len(rows), dtype=bool), protocol)
    centre_distance = np.zeros(len(rows))
    if isinstance(protocol, DetEvalProtocol) and protocol.centre_distance is not None:
        centre_distance = _centre_distance(truth[rows], found[columns])
    together = Overlaps(
        rows=rows,
        columns=columns,
        iou=iou,
        recall=recall,
        precision=precision,
        inside=inside,
        angle=_angle_between(angles[len(detections) :][rows], angles[: len(detections)][columns], protocol),
        centre_distance=centre_distance,
        repaired_rows=regions.repaired[len(detections) :],
        repaired_columns=regions.repaired[: len(detections)],
        degenerate_rows=regions.degenerate[len(detections) :],
        degenerate_columns=regions.degenerate[: len(detections)],
    )
    return _by_image(together, _bounds(rows_of), _bounds(columns_of))


def _shares(
    row_areas: np.ndarray, column_areas: np.ndarray, shared: np.ndarray, protocol: Protocol
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """IoU, recall, precision and `inside` of pairs, (P,) each; outlines that cross themselves may have the area 0."""
    union = row_areas + column_areas - shared
    measurable = union > 0
    if not (isinstance(protocol, IouProtocol) and protocol.cancelled == "by_iou"):
        measurable &= (row_areas > 0) & (column_areas > 0)
    return (
        _share(shared, union, measurable, protocol),
        _share(shared, row_areas, row_areas > 0, protocol),
        _share(shared, column_areas, column_areas > 0, protocol),
        _share(shared, column_areas + protocol.ignore_margin, column_areas > 0, protocol),
    )


def _share(part: np.ndarray, whole: np.ndarray, defined: np.ndarray, protocol: Protocol) -> np.ndarray:
    """(P,) part / whole, 0 where it is not defined."""
    with np.errstate(divide="ignore"):
        share = np.divide(part, whole, out=np.zeros_like(part), where=defined)
    # Areas of polygons may be wrong in the last digit, and a half be 0.49999999999999994; those of boxes are exact.
    return share.round(_EXACT_DECIMALS) if protocol.shape in ("polygon", "rectangle") else share


def _pairs_within_images(rows_of: np.ndarray, columns_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a row and a column of the same image, row by row, numbered over all images.

    Args:
        rows_of, columns_of: (I,) int, how many each image has.
    """
    columns_of_row = np.repeat(columns_of, rows_of)
    first_column_of_row = np.repeat(_bounds(columns_of)[:-1], rows_of)
    first_pair_of_row = _bounds(columns_of_row)[:-1]
    rows = np.repeat(np.arange(len(columns_of_row)), columns_of_row)
    return rows, np.arange(len(rows)) + (first_column_of_row - first_pair_of_row)[rows]


def _bounds(counts: np.ndarray) -> np.ndarray:
    """(N + 1,) offsets of N groups of these sizes that follow one another: 0, then the cumulative sums."""
    return np.concatenate([[0], np.cumsum(counts)])


def _by_image(together: Overlaps, row_bounds: np.ndarray, column_bounds: np.ndarray) -> list[Overlaps]:
    """The overlaps of several images, taken apart."""
    pair_bounds = np.searchsorted(together.rows, row_bounds)
    apart = []
    for index in range(len(row_bounds) - 1):
        pairs = slice(pair_bounds[index], pair_bounds[index + 1])
        rows = slice(row_bounds[index], row_bounds[index + 1])
        columns = slice(column_bounds[index], column_bounds[index + 1])
        apart.append(
            Overlaps(
                rows=together.rows[pairs] - rows.start,
                columns=together.columns[pairs] - columns.start,
                iou=together.iou[pairs],
                recall=together.recall[pairs],
                precision=together.precision[pairs],
                inside=together.inside[pairs],
                angle=together.angle[pairs],
                centre_distance=together.centre_distance[pairs],
                repaired_rows=together.repaired_rows[rows],
                repaired_columns=together.repaired_columns[columns],
                degenerate_rows=together.degenerate_rows[rows],
                degenerate_columns=together.degenerate_columns[columns],
            )
        )
    return apart


def _compared(outlines: Sequence[np.ndarray], regions: Regions, protocol: Protocol) -> tuple[Regions, np.ndarray]:
    """The shapes that the rule compares, and (N,) their directions, degrees.

    Args:
        outlines: the polygons as they are; boxes and rectangles go around all of their points.
        regions: of the same polygons.
    """
    no_directions = np.zeros(len(outlines))
    if protocol.shape == "polygon":
        return regions, no_directions
    if protocol.shape in ("box", "pixel_box"):
        boxes = np.array([bounding_box(outline) for outline in outlines]).reshape(-1, 4)
        if protocol.shape == "pixel_box":
            boxes = np.rint(boxes) + np.array([0, 0, 1, 1])
        return _box_regions(boxes), no_directions
    rectangles = np.array([_minimum_rectangle(outline) for outline in outlines]).reshape(-1, 5)
    # A quarter turn names the other side first: the long one, or the one within 45 degrees of the horizontal.
    if protocol.shape == "rectangle":
        quarters = -1.0 * (rectangles[:, 2] < rectangles[:, 3])
    else:
        quarters = np.ceil((rectangles[:, 4] - 45) / 90)
    sides = np.where(quarters[:, None] % 2 == 1, rectangles[:, [3, 2]], rectangles[:, 2:4])
    boxes = np.concatenate([rectangles[:, :2] - sides / 2, rectangles[:, :2] + sides / 2], axis=1)
    directions = rectangles[:, 4] - 90 * quarters
    return _box_regions(np.rint(boxes) if protocol.shape == "upright_rectangle" else boxes), directions


def _angle_between(first: np.ndarray, second: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Degrees between directions, which have no sign but where the rule takes their plain difference."""
    apart = np.abs(first - second)
    return apart if protocol.shape == "upright_rectangle" else np.minimum(apart % 180, 180 - apart % 180)


def _minimum_rectangle(outline: np.ndarray) -> tuple[float, float, float, float, float]:
    """Centre x and y, two sides, and the direction of the first one in degrees, clockwise on the screen."""
    # OpenCV computes in float32: near the origin it keeps more digits.
    (x, y), (first, second), angle = cv2.minAreaRect((outline - outline[0]).astype(np.float32))
    return x + float(outline[0, 0]), y + float(outline[0, 1]), first, second, angle


def _centre_distance(first: Regions, second: Regions) -> np.ndarray:
    """(P,) distances of pairs that have an area."""
    low, high = first.vertices.min(axis=1), first.vertices.max(axis=1)
    other_low, other_high = second.vertices.min(axis=1), second.vertices.max(axis=1)
    diagonals = np.linalg.norm(high - low, axis=1) + np.linalg.norm(other_high - other_low, axis=1)
    return np.linalg.norm(low + high - other_low - other_high, axis=1) / diagonals


def _box_regions(boxes: np.ndarray) -> Regions:
    """Of boxes (N, 4) that are given by left, top, right and bottom."""
    return make_regions(list(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)))


def _without_width(geometries: np.ndarray) -> np.ndarray:
    return shapely.buffer(geometries, 0)
