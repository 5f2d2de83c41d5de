"""The ground truths and detections of an image that overlap, and how much, in the shape that a rule compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from scenetext.evaluation.rules import Protocol
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
        centre_distance: (P,) float64, between the centres of their bounding boxes, over the mean of their diagonals.
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
    invalid = regions.repaired | regions.degenerate
    angles = np.zeros(len(regions))
    compared = regions
    if protocol.shape == "box":
        compared = make_regions([_box(*bounding_box(outline)) for outline in _outlines(regions)])
    elif protocol.shape == "rectangle":
        compared, angles = _turned_rectangles(_outlines(regions))
    count = len(detections)
    rows, columns, shared = intersecting_pairs(compared[count:], compared[:count])
    areas = compared.areas
    row_areas, column_areas = areas[count:][rows], areas[:count][columns]
    iou = shared / (row_areas + column_areas - shared)
    if protocol.invalid == "published":
        column_areas = np.array([polygon_area(polygon) for polygon in detections])[columns]
    apart = np.abs(angles[count:][rows] - angles[:count][columns]) % 180
    with np.errstate(divide="ignore"):
        precision = shared / column_areas
    return Overlaps(
        rows=rows,
        columns=columns,
        iou=iou,
        recall=shared / row_areas,
        precision=precision,
        angle=np.minimum(apart, 180 - apart),
        centre_distance=_centre_distance(compared[count:][rows], compared[:count][columns]),
        invalid_rows=invalid[count:],
        invalid_columns=invalid[:count],
        repaired=int(np.count_nonzero(regions.repaired)),
        degenerate=int(np.count_nonzero(regions.degenerate)),
    )


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
