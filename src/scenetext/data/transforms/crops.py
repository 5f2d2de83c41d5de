"""Where to crop an image so that little or no text is cut: windows of one size, regions of any size.

Boxes are (left, top, right, bottom), all of a call in one frame; positions are (x, y).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenetext.data.transforms.warp import BORDER_TOLERANCE


def choose_window(
    boxes: np.ndarray,
    anchor: np.ndarray | None,
    content: np.ndarray,
    size: np.ndarray,
    attempts: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Top-left corner (x, y) of a window of `size` (x, y) that contains the anchor and cuts the fewest boxes.

    All boxes are (left, top, right, bottom) in one frame; `content` bounds the image in it. The window stays inside
    the content on every axis on which it fits, and starts with it on the others.
    """
    low = content[:2]
    high = np.maximum(content[2:] - size, low)
    if anchor is not None:
        low, high = np.maximum(low, anchor[2:] - size), np.minimum(high, anchor[:2])
    corners = generator.uniform(low, np.maximum(low, high), size=(attempts, 2))
    return corners[cut_counts(boxes, np.hstack([corners, corners + size])).argmin()]


def choose_region(
    boxes: np.ndarray, anchor: np.ndarray, frame: np.ndarray, minimum_side: float, generator: np.random.Generator
) -> np.ndarray:
    """A region (left, top, right, bottom) of random extent that contains the anchor and cuts no box.

    Each of its sides lies on the frame's border, or on a line across the whole frame that meets no box: on each axis
    the gaps between the boxes are found, one is drawn, and a position in it. This is the crop of EAST's and DB's
    official trainings (MMOCR 1.x: RandomCrop); positions are real numbers here, whole pixels there.

    Args:
        boxes: (K, 4), inside the frame.
        anchor: (4,), one of the boxes.
        frame: (4,), what there is to crop from.
        minimum_side: least width and height of the region, as a share of the frame's, in (0, 1].
    """
    region = np.empty(4)
    for axis in (0, 1):
        low, high = frame[axis], frame[axis + 2]
        least = minimum_side * (high - low)
        gaps = _gaps(boxes[:, [axis, axis + 2]], low, high)
        start = _draw_position(gaps, low, min(anchor[axis], high - least), low, generator)
        region[axis] = start
        region[axis + 2] = _draw_position(gaps, max(anchor[axis + 2], start + least), high, high, generator)
    return region


def _gaps(intervals: np.ndarray, low: float, high: float) -> np.ndarray:
    """(G, 2): the parts of [low, high] that no interval (K, 2) covers, in rising order."""
    ordered = intervals[intervals[:, 0].argsort()]
    # A gap starts where all boxes before it have ended: the running maximum, since boxes overlap.
    starts = np.concatenate([[low], np.maximum.accumulate(ordered[:, 1])])
    ends = np.concatenate([ordered[:, 0], [high]])
    return np.stack([starts, ends], axis=1)[ends > starts]


def _draw_position(gaps: np.ndarray, low: float, high: float, border: float, generator: np.random.Generator) -> float:
    """A gap that reaches into [low, high], and a position in it; `border` (one of the two) is always allowed."""
    inside = np.clip(gaps, low, high)
    inside = inside[inside[:, 1] > inside[:, 0]]
    if not (inside == border).any():
        inside = np.concatenate([inside, [[border, border]]])
    return float(generator.uniform(*inside[generator.integers(len(inside))]))


def cut_counts(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """(N,): how many of the boxes (K, 4) each window (N, 4) shows in part."""
    overlap = (boxes[None, :, :2] < windows[:, None, 2:]) & (boxes[None, :, 2:] > windows[:, None, :2])
    return (overlap.all(axis=2) & ~contained(boxes, windows)).sum(axis=1)


def contained(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """(N, K): whether window (N, 4) contains box (K, 4)."""
    after = boxes[None, :, :2] >= windows[:, None, :2] - BORDER_TOLERANCE
    before = boxes[None, :, 2:] <= windows[:, None, 2:] + BORDER_TOLERANCE
    return np.all(after & before, axis=2)


def visible_boxes(polygons: Sequence[np.ndarray], content: np.ndarray) -> np.ndarray:
    """(K, 4) bounding boxes of polygons, cut at the content; those wholly outside it are dropped."""
    boxes = np.array([bounds(polygon) for polygon in polygons], dtype=np.float64).reshape(-1, 4)
    boxes = np.hstack([np.maximum(boxes[:, :2], content[:2]), np.minimum(boxes[:, 2:], content[2:])])
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]


def bounds(points: np.ndarray) -> np.ndarray:
    """(left, top, right, bottom) of points (V, 2)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
