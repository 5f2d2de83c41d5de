"""What TextBPN learns from: text, distance and direction maps, and a boundary and a coarse proposal for every text."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from scenetext.detectors.textbpn.boundary import boundary_points
from scenetext.detectors.textbpn.config import POINTS, BoundarySettings
from scenetext.structures import Sample

LEAST_VERTICES = 4
"""Vertices that every polygon keeps."""


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """One text, drawn into its own box.

    Attributes:
        outline: (V, 2) int32, (x, y) in pixels of the image, within it.
        corner: (2,) int, (x, y) of the box's top-left pixel in the image.
        inside: (h, w) uint8, 1 in the text.
        distance: (h, w) float32, of every pixel to the nearest one outside, pixels.
        extent: the largest distance.
        area: number of pixels.
        learnt: whether the text counts; otherwise it is ignored.
    """

    outline: np.ndarray
    corner: np.ndarray
    inside: np.ndarray
    distance: np.ndarray
    extent: float
    area: int
    learnt: bool


def targets(sample: Sample, config: BoundarySettings) -> dict[str, np.ndarray]:
    """The maps and boundaries that TextBPN learns from (section 3.3).

    Where texts overlap, the later one is on top, but for the distance, of which the larger one stays. Text that is
    marked, too thin or too small is ignored: it is masked, and no boundary is learnt from it; that outside of the image
    is a line along its border, so it is, too. Text without polygon is skipped.

    Args:
        sample: polygons in pixels of its image; cut at its border. Not changed.
        config: what is ignored, and the shape of the proposals.

    Returns:
        Maps of the image's size, or with a larger stride their bilinear reduction:
        text: (H, W) uint8, 1 where some text is that is not ignored.
        valid: (H, W) uint8, 0 where ignored text is on top.
        distance: (H, W) float32 in [0, 1], distance to the nearest pixel outside the text, ignored or not, as a share
            of the largest one of this text; 0 outside text.
        direction: (2, H, W) int16 (float32 where reduced), how far (row, column) that pixel is; 0 outside text.
        weight: (H, W) float32, in a text 1 / sqrt(number of its pixels). The background's is 0 where not reduced, and
            filled likewise by the loss: a map that is not written to costs no memory.
        And of every text that is not ignored:
        boundary, proposal: (N, 20, 2) float32, points (x, y) in pixels of the image on its outline, and on the outline
            of where its distance is above a threshold.
        extent: (N,) float32, largest distance of a pixel of the text from its border, pixels; above 0, so that what is
            padded in a batch can be told apart.
    """
    height, width = sample.image.shape[:2]
    texts = [_draw(i.polygon, i.ignore, (height, width), config) for i in sample.instances if i.polygon is not None]
    learnt = [text for text in texts if text.learnt]
    maps = _reduced(_maps(texts, (height, width), config), config.stride)
    boundaries = [boundary_points(text.inside, config.simplification, POINTS) + text.corner for text in learnt]
    proposals = [_proposal(text, config) + text.corner for text in learnt]
    return {
        **maps,
        "boundary": np.array(boundaries, np.float32).reshape(-1, POINTS, 2),
        "proposal": np.array(proposals, np.float32).reshape(-1, POINTS, 2),
        "extent": np.array([text.extent for text in learnt], np.float32),
    }


def needed_vertices(polygon: np.ndarray, tolerance: float) -> np.ndarray:
    """A polygon (V, 2) without vertices that hardly change its area.

    Each is judged against the whole polygon, in their order, until four remain.
    """
    before = np.concatenate((polygon[-1:], polygon[:-1])) - polygon
    after = np.concatenate((polygon[1:], polygon[:1])) - polygon
    triangles = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
    needless = triangles < tolerance * abs(polygon[:, 0] @ (after[:, 1] - before[:, 1]))  # twice the areas
    needless &= np.cumsum(needless) <= len(polygon) - LEAST_VERTICES
    return polygon[~needless]


def _draw(polygon: np.ndarray, ignore: bool, size: tuple[int, int], config: BoundarySettings) -> Text:
    """A text in its box, around which there is a pixel of background: polygons are cut one pixel inside the image."""
    height, width = size
    kept = needed_vertices(polygon.astype(np.float64), config.vertex_tolerance)
    outline = np.clip(kept, 1, (width - 2, height - 2)).astype(np.int32)
    corner = outline.min(axis=0) - 1
    box_width, box_height = (outline.max(axis=0) + 2 - corner).tolist()
    inside = np.zeros((box_height, box_width), np.uint8)
    cv2.fillPoly(inside, [outline - corner], 1)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    area, extent = int(np.count_nonzero(inside)), float(distance.max())
    learnt = not ignore and extent >= config.least_extent and area >= config.least_area
    return Text(outline, corner, inside, distance, extent, area, learnt)


def _maps(texts: list[Text], size: tuple[int, int], config: BoundarySettings) -> dict[str, np.ndarray]:
    """The maps at the size of the image, drawn text after text, each within its box."""
    distance, direction = np.zeros(size, np.float32), np.zeros((2, *size), np.int16)
    for text in texts:
        (left, top), (height, width) = text.corner.tolist(), text.inside.shape
        rows, columns = slice(top, top + height), slice(left, left + width)
        share = text.distance * np.float32(1 / (text.extent + config.distance_margin))
        np.maximum(distance[rows, columns], share, out=distance[rows, columns])
        direction[:, rows, columns] *= text.inside == 0
        direction[:, rows, columns] += _directions(text.inside)
    maps: dict[str, np.ndarray] = {
        "text": np.zeros(size, np.uint8),
        "valid": np.ones(size, np.uint8),
        "weight": np.zeros(size, np.float32),
    }
    for text in texts:
        cv2.fillPoly(maps["text"], [text.outline], int(text.learnt))
        cv2.fillPoly(maps["valid"], [text.outline], int(text.learnt))
        cv2.fillPoly(maps["weight"], [text.outline], 1 / math.sqrt(text.area))
    return {**maps, "distance": distance, "direction": direction}


def _directions(inside: np.ndarray) -> np.ndarray:
    """(2, h, w) int16: from every pixel (row, column) to the nearest one outside the text; 0 outside.

    The nearest by OpenCV's distances in steps of 5 x 5, as published, which may be another one than by exact distances.
    """
    _, labels = cv2.distanceTransformWithLabels(inside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    outside = np.flatnonzero(inside == 0)
    order = labels.reshape(-1)[outside]
    offsets = np.empty((2, *inside.shape), np.int16)
    for axis, position in enumerate(np.divmod(outside, inside.shape[1])):
        of_label = np.zeros(len(outside) + 1, np.int16)
        of_label[order] = position
        np.take(of_label, np.asarray(labels), out=offsets[axis], mode="clip")
        own = np.arange(inside.shape[axis], dtype=np.int16)
        offsets[axis] -= own if axis else own[:, None]
    return offsets


def _proposal(text: Text, config: BoundarySettings) -> np.ndarray:
    """(20, 2) int32: the points of the part of a text that is far from its border, in pixels of its box."""
    share = text.distance / np.float32(text.extent)
    return boundary_points(share > config.proposal_threshold, config.simplification, POINTS)


def _reduced(maps: dict[str, np.ndarray], stride: int) -> dict[str, np.ndarray]:
    """Maps at a larger stride, reduced bilinearly; any share of text counts as text, and any known one as known."""
    if stride == 1:
        return maps
    # The bilinear value in the middle of a cell is the mean of the four pixels around it.
    near = stride // 2 - 1
    starts = [(y, x) for y in (near, near + 1) for x in (near, near + 1)]
    background = 1 / math.sqrt(max(maps["distance"].size - cv2.countNonZero(maps["distance"]), 1))
    reduced = {}
    for name, array in maps.items():
        four = [array[..., y::stride, x::stride] for y, x in starts]
        if name == "weight":
            four = [np.where(part == 0, np.float32(background), part) for part in four]
        mean = (four[0].astype(np.float32) + four[1] + four[2] + four[3]) / 4
        reduced[name] = (mean > 0).astype(np.uint8) if array.dtype == np.uint8 else mean
    return reduced
