"""Polygons on an image: detections, ground truth, and the one against the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from scenetext.drawing.canvas import BLACK, WHITE, Color, letter_height, line_thickness, new_canvas, put_text, text_size
from scenetext.errors import DataError
from scenetext.structures import Detection, TextInstance

HIT: Color = (0, 230, 100)
FALSE: Color = (255, 70, 70)
MISSED: Color = (255, 210, 0)
IGNORED: Color = (90, 170, 255)
CHARACTER: Color = (240, 110, 255)
LABELLED_SIDE = 800
"""Pixels; letters of labels have 11 there."""
SUBPIXEL_BITS = 4
"""OpenCV draws at 1/16 pixel."""


def draw_polygons(
    image: np.ndarray,
    polygons: Sequence[np.ndarray],
    color: Color = (0, 255, 0),
    thickness: int | None = None,
    labels: Sequence[str] | None = None,
) -> np.ndarray:
    """A copy of the image with closed, antialiased outlines.

    Args:
        image: (H, W, 3) uint8 RGB.
        polygons: (V, 2) each, (x, y) pixels of `image`; parts outside the image are cut off.
        color: RGB.
        thickness: line width in pixels; None = fits the size of the image.
        labels: one text per polygon, written above its top-left corner; empty = none.

    Raises:
        DataError: image or polygon of another shape, coordinates that are not finite, or not one label per polygon.
    """
    if labels is not None and len(labels) != len(polygons):
        raise DataError(f"{len(labels)} labels for {len(polygons)} polygons; give one per polygon, or none at all")
    canvas = new_canvas(image)
    width = line_thickness(image) if thickness is None else thickness
    outlines = [_fixed_point(polygon) for polygon in polygons]
    if outlines:
        cv2.polylines(canvas, outlines, True, color, width, cv2.LINE_AA, SUBPIXEL_BITS)
    for polygon, label in zip(polygons, labels or [], strict=False):
        if label:
            height = letter_height(image)
            x, y = polygon.min(axis=0)
            put_text(canvas, label, (x, y - text_size(label, height)[1] - width), height, color, BLACK)
    return canvas


def draw_detections(image: np.ndarray, detections: Sequence[Detection], show_scores: bool = True) -> np.ndarray:
    """A copy of the image with the outline of every detection, what it reads and its score.

    Args:
        image: (H, W, 3) uint8 RGB.
        detections: polygons in pixels of `image`.

    Raises:
        DataError: an image or polygon of another shape.
    """
    labels = [_label(detection, show_scores) for detection in detections]
    return draw_polygons(image, [detection.polygon for detection in detections], HIT, labels=labels)


def enlarged(image: np.ndarray, detections: Sequence[Detection]) -> tuple[np.ndarray, list[Detection]]:
    """A small image as many times larger as leaves room for labels beside its words, and the detections in its pixels.

    Args:
        image: (H, W, 3) uint8 RGB; one whose longer side has `LABELLED_SIDE` pixels stays as it is.
    """
    factor = -(-LABELLED_SIDE // max(image.shape[:2]))
    larger = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC) if factor > 1 else image
    return np.asarray(larger), [replace(one, polygon=one.polygon * np.float32(factor)) for one in detections]


def draw_instances(image: np.ndarray, instances: Sequence[TextInstance], show_texts: bool = True) -> np.ndarray:
    """A copy of the image with its ground truth: text green with its transcription, ignored instances blue, a yellow
    dot on every first vertex, annotated characters thin and pink. Instances without polygon are not drawn.

    Args:
        image: (H, W, 3) uint8 RGB.
        instances: polygons in pixels of `image`.

    Raises:
        DataError: an image or polygon of another shape.
    """
    annotated = [i.characters for i in instances if i.characters is not None]
    canvas = draw_polygons(image, [quad for quads in annotated for quad in quads], CHARACTER, thickness=1)
    for ignore, color in ((True, IGNORED), (False, HIT)):
        drawn = [i for i in instances if i.polygon is not None and i.ignore == ignore]
        labels = [i.text or "" for i in drawn] if show_texts and not ignore else None
        canvas = draw_polygons(canvas, [i.polygon for i in drawn if i.polygon is not None], color, labels=labels)
    radius = 2 * line_thickness(image)
    for instance in instances:
        if instance.polygon is not None:
            x, y = np.clip(np.rint(instance.polygon[0]), -1e6, 1e6).astype(int).tolist()
            cv2.circle(canvas, (x, y), radius, MISSED, cv2.FILLED)
    return canvas


def instances_legend(instances: Iterable[TextInstance]) -> list[tuple[str, Color]]:
    """What the colours of `draw_instances` mean; characters are only named where one is annotated."""
    legend = [("text", HIT), ("ignored", IGNORED), ("first vertex", MISSED)]
    return [*legend, ("character", CHARACTER)] if any(i.characters is not None for i in instances) else legend


def draw_comparison(
    image: np.ndarray,
    detections: Sequence[Detection],
    instances: Sequence[TextInstance],
    *,
    hits: Collection[int],
    false: Collection[int],
    excluded: Collection[int],
    missed: Collection[int],
) -> np.ndarray:
    """A copy of the image with detections and ground truth, coloured by outcome, and a legend.

    Hits are green, false detections red, missed instances yellow; ignored instances and the detections excluded because
    of them are blue. Of the ground truth, matched instances are thin white lines, ignored ones thin blue ones.

    Args:
        image: (H, W, 3) uint8 RGB.
        detections, instances: polygons in pixels of `image`.
        hits, false, excluded: indices of detections; others (below the score threshold) are not drawn.
        missed: indices of instances.

    Raises:
        DataError: an image or polygon of another shape.
    """
    thick = line_thickness(image) + 1
    others = set(range(len(instances))) - set(missed)
    ignored = {index for index in others if instances[index].ignore}
    canvas = draw_polygons(image, _outlines(instances, others - ignored), WHITE, thickness=1)
    canvas = draw_polygons(canvas, _outlines(instances, ignored), IGNORED, thickness=1)
    canvas = draw_polygons(canvas, _outlines(instances, missed), MISSED, thick)
    for color, indices in ((IGNORED, excluded), (FALSE, false), (HIT, hits)):
        canvas = draw_polygons(canvas, _outlines(detections, indices), color, thick)
    entries = (
        (f"hit {len(hits)},", HIT),
        (f"false {len(false)},", FALSE),
        (f"missed {len(missed)},", MISSED),
        (f"ignored {len(ignored)}, excluded {len(excluded)}", IGNORED),
    )
    _write_legend(canvas, entries)
    return canvas


def _label(detection: Detection, show_score: bool) -> str:
    """What a detection reads, and the score of its text or, without one, of its place."""
    score = detection.score if detection.text_score is None else detection.text_score
    return " ".join([detection.text or "", f"{score:.2f}" if show_score else ""]).strip()


def _outlines(records: Sequence[Detection | TextInstance], indices: Collection[int]) -> list[np.ndarray]:
    """Polygons of the chosen records; instances without polygon are skipped."""
    chosen = [records[index].polygon for index in sorted(indices)]
    return [polygon for polygon in chosen if polygon is not None]


def _write_legend(canvas: np.ndarray, entries: Sequence[tuple[str, Color]]) -> None:
    """One line of coloured text in the bottom-left corner, in place; smaller letters where the image is narrow."""
    height = round(1.3 * letter_height(canvas))
    needed = sum(text_size(text, height)[0] for text, _ in entries)
    height = max(8, int(height * min(1.0, canvas.shape[1] / needed)))
    left = 0
    for text, color in entries:
        width, rows = text_size(text, height)
        put_text(canvas, text, (left, canvas.shape[0] - rows), height, color, BLACK)
        left += width


def _fixed_point(polygon: np.ndarray) -> np.ndarray:
    """(V, 1, 2) int32 in OpenCV's 1/16 pixels, whose origin is the centre of the first pixel, not its corner."""
    if polygon.ndim != 2 or polygon.shape[1] != 2 or not polygon.size or not np.isfinite(polygon).all():
        raise DataError(f"cannot draw a polygon of shape {polygon.shape}; expected (V, 2), finite (x, y) pixels")
    limit = 2.0**30
    scaled = (polygon.astype(np.float64) - 0.5) * (1 << SUBPIXEL_BITS)
    return np.clip(np.rint(scaled), -limit, limit).astype(np.int32).reshape(-1, 1, 2)
