"""Text instances from what an annotation says, by the same rules for every dataset; oddities are counted.

A missing text is unknown, not ignored: detection learns from it. Polygons keep their vertices and their order, with two
exceptions: two points are the corners of an upright box, and vertices that were listed row by row or pair by pair are
put in the order of the border. Polygons without an area are ignored, since nothing can be learnt from them and a
detection there is no mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import shapely

from scenetext.data.readers.report import ReadReport
from scenetext.data.records.format import LARGEST_COORDINATE, is_encodable
from scenetext.geometry.polygon import polygon_area, reordered, signed_area
from scenetext.structures import TextInstance

IGNORED_TEXT = "###"
"""The transcription by which most datasets mark what is neither learnt nor scored."""

IGNORE_FLAGS = ("ignore", "difficult", "illegible", "illegibility")
"""What annotation tools and formats call the flag of what is neither learnt nor scored."""

WITHOUT_AREA = "words ignored because their polygon has no area"
CROSSING = "polygons kept although their outline crosses itself; repaired where an area is needed"
REORDERED = "polygons whose points were listed row by row or pair by pair, now in the order of their outline"
TWO_CORNERS = "outlines of two points, taken as opposite corners of an upright box"
BOXES = "words whose box became a quadrilateral, since they have no polygon"
FLAT_OUTLINES = "words whose box became a quadrilateral, since their polygon has no area"
COUNTER_CLOCKWISE = "polygons kept although their vertices run counter-clockwise"
EMPTY_TEXT = "words kept with an unknown text, since their text is empty"
BROKEN_TEXT = "words kept with an unknown text, since their text holds half of a character (a lone surrogate)"
FEW_POINTS = "words dropped because their outline has fewer than three points"


class Label(NamedTuple):
    """What an annotation says of one word or line.

    Attributes:
        polygon: (V, 2) float32 pixels of the stored image; None = unknown.
        text: as written, "" where it is empty; None = the dataset has no transcriptions.
        ignore: neither learnt nor scored.
        ignore_flag: where the dataset has two flags and they disagree, the one that is set.
    """

    polygon: np.ndarray | None
    text: str | None = None
    ignore: bool = False
    ignore_flag: str | None = None


def points_of(numbers: Sequence[float]) -> np.ndarray:
    """(V, 2) float32 of x1, y1, x2, y2, ...

    Raises:
        ValueError: an odd number of them, or one that is no number of pixels.
    """
    if len(numbers) % 2:
        raise ValueError(f"points need an even number of coordinates, got {len(numbers)}")
    if not all(abs(number) <= LARGEST_COORDINATE for number in numbers):
        raise ValueError("not all coordinates are finite numbers of pixels")
    return np.array(numbers, dtype=np.float32).reshape(-1, 2)


def box_points(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """(4, 2) float32: the corners of an upright box, clockwise from the top left.

    Raises:
        ValueError: one of them is no number of pixels.
    """
    return points_of([left, top, right, top, right, bottom, left, bottom])


def corners_box(corners: np.ndarray) -> np.ndarray:
    """(4, 2) float32: the upright box between two opposite corners, (2, 2), clockwise from the top left."""
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return box_points(left, top, right, bottom)


def outline_or_box(
    outlines: Sequence[np.ndarray], box: np.ndarray | None, place: str, report: ReadReport
) -> np.ndarray:
    """The largest outline of a word; where none has an area, its box, and that is counted.

    Args:
        outlines: each (V, 2), such as the parts of a segmentation; may be none.
        box: (4, 2) that the annotation gives as well; None = it gives none.
        place: of the annotation, for the report.

    Returns:
        (V, 2) float32; without points where there is neither.
    """
    sound = [outline for outline in outlines if _hull_area(outline) > 0]
    if box is None or sound:
        return max(sound or outlines, key=polygon_area, default=np.empty((0, 2), dtype=np.float32))
    report.note(FLAT_OUTLINES if any(len(outline) for outline in outlines) else BOXES, place)
    return box


def make_instances(labels: Iterable[Label], image: str, report: ReadReport) -> tuple[TextInstance, ...]:
    """The instances of one image.

    Args:
        image: its name, for the report.
    """
    instances = (_make_instance(label, image, report) for label in labels)
    return tuple(instance for instance in instances if instance is not None)


def _make_instance(label: Label, image: str, report: ReadReport) -> TextInstance | None:
    polygon = None if label.polygon is None else _outline(label.polygon, image, report)
    if polygon is not None and len(polygon) < 3:
        report.drop(FEW_POINTS, image)
        return None
    if label.ignore:
        return TextInstance(polygon, None, True, label.ignore_flag)
    text = _known_text(label.text, image, report)
    if polygon is not None and not _has_area(polygon, image, report):
        report.note(WITHOUT_AREA, image)
        return TextInstance(polygon, None, ignore=True)
    return TextInstance(polygon, text, ignore_flag=label.ignore_flag)


def _outline(points: np.ndarray, image: str, report: ReadReport) -> np.ndarray:
    """The points in the order of an outline; of two corners, the box."""
    if len(points) == 2 and (points[0] != points[1]).all():
        report.note(TWO_CORNERS, image)
        return corners_box(points)
    if len(points) < 4 or _is_simple(points) or (ordered := reordered(points)) is None:
        return points
    report.note(REORDERED, image)
    return ordered


def _known_text(text: str | None, image: str, report: ReadReport) -> str | None:
    if text == "":
        report.note(EMPTY_TEXT, image)
        return None
    if text is not None and not is_encodable(text):
        report.note(BROKEN_TEXT, image)
        return None
    return text


def _has_area(polygon: np.ndarray, image: str, report: ReadReport) -> bool:
    """Whether an outline bounds an area, in lobes of opposite direction even if these cancel; oddities are counted."""
    if _hull_area(polygon) > 0 and not _is_simple(polygon):
        report.note(CROSSING, image)
        return True
    area = signed_area(polygon)
    report.note(COUNTER_CLOCKWISE, image, count=int(area < 0))
    return area != 0


def _is_simple(polygon: np.ndarray) -> bool:
    return bool(shapely.LinearRing(polygon).is_simple)


def _hull_area(polygon: np.ndarray) -> float:
    return float(shapely.MultiPoint(polygon).convex_hull.area)
