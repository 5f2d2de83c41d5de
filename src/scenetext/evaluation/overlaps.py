"""The ground truths and detections of an image that overlap, and how much, in the shape that a rule compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from scenetext.evaluation.rules import DetEvalProtocol, Protocol
from scenetext.geometry.overlap import Regions, intersecting_pairs, make_regions
from scenetext.geometry.polygon import bounding_box, polygon_area

PolygonPair = tuple[Sequence[np.ndarray], Sequence[np.ndarray]]
"""The ground truths and the detections of an image."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """P pairs of a ground truth and a detection that share an area, by ground truth, then by detection.

    Attributes:
        rows, columns: (P,) int, index of the ground truth and of the detection.
        iou: (P,) float64, intersection over union.
        recall: (P,) float64, share of the ground truth that is covered.
        precision: (P,) float64, share of the detection that lies in the ground truth. Where a rule measures
            self-crossing detections as published, they have their signed area, and the share may be infinite.
        angle: (P,) float64, degrees from 0 to 90 between their long sides; only of rectangles, else 0.
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
    repair = _without_width if protocol.invalid == "published" else shapely.make_valid
    regions = make_regions([*detections, *truths], repair)
    compared, angles = _compared(regions, protocol)
    found, truth = compared[: len(detections)], compared[len(detections) :]
    candidates = None if len(images) == 1 else _pairs_within_images(rows_of, columns_of)
    rows, columns, shared = intersecting_pairs(truth, found, candidates)
    row_areas, column_areas = truth.areas[rows], found.areas[columns]
    iou = shared / (row_areas + column_areas - shared)
    if protocol.invalid == "published":
        column_areas = np.array([polygon_area(polygon) for polygon in detections])[columns]
    with np.errstate(divide="ignore"):
        precision = shared / column_areas
    centre_distance = np.zeros(len(rows))
    if isinstance(protocol, DetEvalProtocol) and protocol.centre_distance is not None:
        centre_distance = _centre_distance(truth[rows], found[columns])
    together = Overlaps(
        rows=rows,
        columns=columns,
        iou=iou,
        recall=shared / row_areas,
        precision=precision,
        angle=_angle_between(angles[len(detections) :][rows], angles[: len(detections)][columns]),
        centre_distance=centre_distance,
        repaired_rows=regions.repaired[len(detections) :],
        repaired_columns=regions.repaired[: len(detections)],
        degenerate_rows=regions.degenerate[len(detections) :],
        degenerate_columns=regions.degenerate[: len(detections)],
    )
    return _by_image(together, _bounds(rows_of), _bounds(columns_of))


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
                angle=together.angle[pairs],
                centre_distance=together.centre_distance[pairs],
                repaired_rows=together.repaired_rows[rows],
                repaired_columns=together.repaired_columns[columns],
                degenerate_rows=together.degenerate_rows[rows],
                degenerate_columns=together.degenerate_columns[columns],
            )
        )
    return apart


def _compared(regions: Regions, protocol: Protocol) -> tuple[Regions, np.ndarray]:
    """The shapes that the rule compares, and (N,) their directions, degrees."""
    if protocol.shape == "rectangle":
        return _turned_rectangles(_outlines(regions))
    if protocol.shape == "box":
        regions = make_regions([_box(*bounding_box(outline)) for outline in _outlines(regions)])
    return regions, np.zeros(len(regions))


def _angle_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Degrees from 0 to 90 between directions that have no sign."""
    apart = np.abs(first - second) % 180
    return np.minimum(apart, 180 - apart)


def _turned_rectangles(outlines: Sequence[np.ndarray]) -> tuple[Regions, np.ndarray]:
    """Minimum rectangles, turned so that their long sides are horizontal, and (N,) the angles of these, degrees."""
    boxes, angles = [], np.zeros(len(outlines))
    for index, outline in enumerate(outlines):
        # OpenCV computes in float32: near the origin it keeps more digits.
        (x, y), (length, thickness), angle = cv2.minAreaRect((outline - outline[0]).astype(np.float32))
        if length < thickness:
            length, thickness, angle = thickness, length, angle + 90
        x, y = x + outline[0, 0], y + outline[0, 1]
        boxes.append(_box(x - length / 2, y - thickness / 2, x + length / 2, y + thickness / 2))
        angles[index] = angle
    return make_regions(boxes), angles


def _centre_distance(first: Regions, second: Regions) -> np.ndarray:
    """(P,) distances of pairs that have an area."""
    low, high = first.vertices.min(axis=1), first.vertices.max(axis=1)
    other_low, other_high = second.vertices.min(axis=1), second.vertices.max(axis=1)
    diagonals = np.linalg.norm(high - low, axis=1) + np.linalg.norm(other_high - other_low, axis=1)
    return np.linalg.norm(low + high - other_low - other_high, axis=1) / diagonals


def _outlines(regions: Regions) -> list[np.ndarray]:
    return [outline[:count] for outline, count in zip(regions.vertices, regions.counts, strict=True)]


def _box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _without_width(geometries: np.ndarray) -> np.ndarray:
    return shapely.buffer(geometries, 0)
