"""From the map of text kernels to proposals: a box and a polygon for every contour (section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from scenetext.geometry.candidates import count_cut
from scenetext.geometry.offset import area_and_perimeter, largest_part, offset_polygon
from scenetext.spotters.mask_textspotter.config import VERTICES, ProposalSettings


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A place that is looked at again.

    Attributes:
        box: (4,) float32, whole pixels (left, top, right, bottom) from 0 to the last pixel of the map.
        polygon: (V, 2) float32, pixels; may reach outside the map.
        score: mean probability of its contour's rectangle.
    """

    box: np.ndarray
    polygon: np.ndarray
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A contour: simplified, its least rectangle (4, 2), and the mean probability there."""

    outline: np.ndarray
    rectangle: np.ndarray
    score: float


def find_proposals(
    probability: np.ndarray, settings: ProposalSettings, learning: bool, published: bool = False
) -> list[Proposal]:
    """The proposals of one image, in the order of OpenCV's contours; holes are among them.

    Args:
        probability: (H, W) float32, of text kernels.
        settings: thresholds, growth and limit.
        learning: whether uncertain candidates stay.
        published: of more than the limit the first are used, and what grows into pieces is dropped.
    """
    mask = (probability > settings.threshold).view(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    if published:
        contours = contours[: settings.count]
    candidates = [one for contour in contours if (one := _candidate(contour, probability, settings)) is not None]
    if not learning:
        candidates = [one for one in candidates if one.score >= settings.least_score]
    if len(candidates) > settings.count:
        count_cut(len(candidates) - settings.count)
        best = np.argsort([-one.score for one in candidates], kind="stable")[: settings.count]
        candidates = [candidates[index] for index in np.sort(best)]
    grown = [_grown(one, settings, probability.shape, published) for one in candidates]
    return [one for one in grown if one is not None]


def fixed_vertices(polygon: np.ndarray) -> np.ndarray:
    """A polygon (V, 2) as (VERTICES, 2) float32: the last vertex repeated, or simplified as little as it takes."""
    points: np.ndarray = polygon.astype(np.float32)
    epsilon, outline = 0.5, points
    while len(outline) > VERTICES:
        outline = cv2.approxPolyDP(points[:, None], epsilon, True)[:, 0]
        epsilon *= 1.5
    return np.concatenate((outline, outline[-1:].repeat(VERTICES - len(outline), axis=0)))


def stack_polygons(polygons: Sequence[np.ndarray]) -> np.ndarray:
    """(N, VERTICES, 2) float32; N may be 0."""
    return np.array([fixed_vertices(each) for each in polygons], np.float32).reshape(-1, VERTICES, 2)


def _candidate(contour: np.ndarray, probability: np.ndarray, settings: ProposalSettings) -> _Candidate | None:
    """None where the contour is too narrow or has no area."""
    rectangle = cv2.minAreaRect(contour)
    if min(rectangle[1]) < settings.least_side:
        return None
    outline = cv2.approxPolyDP(contour, settings.simplification * cv2.arcLength(contour, True), True)[:, 0]
    if len(outline) < 3:
        return None
    corners = cv2.boxPoints(rectangle)
    return _Candidate(outline, corners, _mean_inside(probability, corners))


def _mean_inside(probability: np.ndarray, corners: np.ndarray) -> float:
    """Mean over the pixels of a filled rectangle, whose corners are cut to integers, inside the map."""
    height, width = probability.shape
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width - 1, height - 1))
    window = probability[low[1] : high[1] + 1, low[0] : high[0] + 1]
    inside = np.zeros(window.shape, np.uint8)
    cv2.fillPoly(inside, [(corners - low).astype(np.int32)], 1)
    return cv2.mean(window, inside)[0]


def _grown(
    candidate: _Candidate, settings: ProposalSettings, shape: tuple[int, ...], published: bool
) -> Proposal | None:
    """None where nothing is left of the polygon or of the rectangle."""
    parts = _grow(candidate.outline, settings.polygon_growth)
    polygon = None if published and len(parts) != 1 else largest_part(parts)
    rectangle = largest_part(_grow(candidate.rectangle, settings.box_growth))
    if polygon is None or rectangle is None:
        return None
    last = (shape[1] - 1, shape[0] - 1)
    box = np.concatenate([np.clip(corner, 0, last) for corner in (rectangle.min(axis=0), rectangle.max(axis=0))])
    return Proposal(box.astype(np.float32), polygon.astype(np.float32), candidate.score)


def _grow(polygon: np.ndarray, growth: float) -> list[np.ndarray]:
    """Moved outwards by area * growth / perimeter; nothing without an area."""
    area, perimeter = area_and_perimeter(polygon)
    return offset_polygon(polygon, area * growth / perimeter) if area > 0 else []
