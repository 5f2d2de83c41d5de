"""The frame of annotations: the stored pixels, the upright image, or the image before it was resized.

Annotation tools show an image upright, as its EXIF orientation says, and many images are resized after they were
annotated. The size that annotations declare tells which it was, together with the stored size and the orientation;
where it tells nothing, whether the polygons lie inside of one frame alone does. What stays in doubt is refused:
polygons in a wrong frame are worse than an image less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenetext.data.readers.instances import Label
from scenetext.data.readers.report import FrameError, ReadReport
from scenetext.data.records.images import ImageHeader
from scenetext.data.records.orientation import UPRIGHT, upright_size, upright_to_stored
from scenetext.geometry.polygon import transform_polygon

TURNED = "images whose polygons were turned from the upright image to the stored pixels (EXIF orientation)"
RESIZED = "images whose polygons were scaled, since the image was resized after its annotation"
EXCHANGED = "images whose annotations give width for height; their polygons fit the image as it is"
OTHER_SIZE = "images whose size is not what their annotations say; the stored one counts"
_SLACK = 0.02
"""Of a side, that polygons may reach outside of their frame."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Declared:
    """What annotations say about their frame.

    Attributes:
        size: (height, width) pixels of the annotated image; None = they do not say.
        is_upright: the tool shows images upright, which counts where nothing else tells.
    """

    size: Size | None = None
    is_upright: bool = False


def to_stored_pixels(
    labels: Sequence[Label], declared: Declared, header: ImageHeader, image: Path, report: ReadReport
) -> list[Label]:
    """The labels of one image, with their polygons in its stored pixels.

    Args:
        labels: in the frame of the annotations.
        declared: what they say of it.
        header: of the image file.
        image: the file, for the report, whose policy says what annotations are drawn on.

    Raises:
        FrameError: says what is in doubt.
    """
    polygons = [label.polygon for label in labels if label.polygon is not None]
    size = None if declared.size is None or min(declared.size) <= 0 else declared.size
    frame = report.policy.frame
    is_turned = header.orientation != UPRIGHT and frame != "stored"
    if not polygons or (size in (None, header.size) and not is_turned):
        return list(labels)
    is_upright = is_turned and (
        frame == "upright" or _is_upright(polygons, Declared(size, declared.is_upright), header, image)
    )
    if is_upright:
        upright = upright_size(header.size, header.orientation)
        exchanged = size == header.size and not _in_proportion(size, upright)
        matrix = _scale(polygons, upright if exchanged else size, upright, image, report)
        matrix = upright_to_stored(header.size, header.orientation) @ matrix
        report.note(TURNED, image.name)
    else:
        matrix = _scale(polygons, size, header.size, image, report)
    return [
        label if label.polygon is None else label._replace(polygon=transform_polygon(label.polygon, matrix))
        for label in labels
    ]


def _is_upright(polygons: Sequence[np.ndarray], declared: Declared, header: ImageHeader, image: Path) -> bool:
    """Whether annotations are on the upright image, which differs from the stored pixels."""
    size, upright = declared.size, upright_size(header.size, header.orientation)
    is_inside_stored, is_inside_upright = _are_inside(polygons, header.size), _are_inside(polygons, upright)
    may_be_stored = size is None or _in_proportion(size, header.size)
    may_be_upright = size is None or _in_proportion(size, upright)
    if not (may_be_stored and may_be_upright):
        # Some tools write the stored size although they show the image upright.
        return may_be_upright or (size == header.size and is_inside_upright and not is_inside_stored)
    if size is None and is_inside_stored != is_inside_upright:
        return is_inside_upright
    if declared.is_upright:
        return True
    raise FrameError(
        f"a viewer turns it (EXIF orientation {header.orientation}), and nothing tells whether its polygons are on the "
        "upright image or on the stored pixels; say which with --frame upright or --frame stored",
        image,
    )


def _scale(
    polygons: Sequence[np.ndarray], declared: Size | None, size: Size, image: Path, report: ReadReport
) -> np.ndarray:
    """(3, 3) float64, from the pixels of annotations to those of an image of (height, width) `size`."""
    if declared is None or declared == size:
        return np.eye(3)
    if _in_proportion(declared, size):
        report.note(RESIZED, image.name)
        return np.diag([size[1] / declared[1], size[0] / declared[0], 1.0])
    if declared[::-1] == size and _are_inside(polygons, size) and not _are_inside(polygons, declared):
        report.note(EXCHANGED, image.name)
        return np.eye(3)
    if report.policy.frame == "stored":
        report.note(OTHER_SIZE, image.name)
        return np.eye(3)
    raise FrameError(
        f"its annotations are for {declared[1]} x {declared[0]} pixels (width x height), it has {size[1]} x {size[0]}, "
        "which is no scaled copy of that",
        image,
    )


def _in_proportion(one: Size, other: Size) -> bool:
    """Whether two sizes are those of the same image, one of them scaled and rounded to whole pixels."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def _are_inside(polygons: Iterable[np.ndarray], size: Size) -> bool:
    sides = np.array([size[1], size[0]])
    slack = _SLACK * sides + 1
    return all(bool(((polygon >= -slack) & (polygon <= sides + slack)).all()) for polygon in polygons)
