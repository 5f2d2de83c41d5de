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
        centre_distance: (P,) float64, between the centres of their bounding boxes, over the mean of their
            diagonals; none where the rule does not ask.
        invalid_rows, invalid_columns: bool, ground truths and detections that cross themselves or have no area.
        repaired, degenerate: how many of both crossed themselves, and how many had no area.
    """

    rows: np.ndarray
    columns: np.ndarray
    iou: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    angle: np.ndarray
    centre_distance: np.ndarray
    invalid_rows: np.ndarray
    invalid_columns: np.ndarray
    repaired: int
    degenerate: int


def find_overlaps(truths: Sequence[np.ndarray], detections: Sequence[np.ndarray], protocol: Protocol) -> Overlaps:
    """Overlaps of all pairs.

    Args:
        truths, detections: (V, 2) polygons in pixels of one frame.

    Raises:
        DataError: a polygon of the wrong shape, or with a coordinate that is not finite.
    """
    repair = _without_width if protocol.invalid == "published" else shapely.make_valid
    regions = make_regions([*detections, *truths], repair)
    compared, angles = _compared(regions, protocol)
    found, truth = compared[: len(detections)], compared[len(detections) :]
    rows, columns, shared = intersecting_pairs(truth, found)
    row_areas, column_areas = truth.areas[rows], found.areas[columns]
    iou = shared / (row_areas + column_areas - shared)
    if protocol.invalid == "published":
        column_areas = np.array([polygon_area(polygon) for polygon in detections])[columns]
    with np.errstate(divide="ignore"):
        precision = shared / column_areas
    invalid = regions.repaired | regions.degenerate
    return Overlaps(
        rows=rows,
        columns=columns,
        iou=iou,
        recall=shared / row_areas,
        precision=precision,
        angle=_angle_between(angles[len(detections) :][rows], angles[: len(detections)][columns]),
        centre_distance=_centre_distance(truth[rows], found[columns]) if _needs_centres(protocol) else np.zeros(0),
        invalid_rows=invalid[len(detections) :],
        invalid_columns=invalid[: len(detections)],
        repaired=int(np.count_nonzero(regions.repaired)),
        degenerate=int(np.count_nonzero(regions.degenerate)),
    )


def _compared(regions: Regions, protocol: Protocol) -> tuple[Regions, np.ndarray]:
    """The shapes that the rule compares, and (N,) their directions, degrees."""
    if protocol.shape == "rectangle":
        return _turned_rectangles(_outlines(regions))
    if protocol.shape == "box":
        regions = make_regions([_box(*bounding_box(outline)) for outline in _outlines(regions)])
    return regions, np.zeros(len(regions))


def _needs_centres(protocol: Protocol) -> bool:
    return isinstance(protocol, DetEvalProtocol) and protocol.centre_distance is not None


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
