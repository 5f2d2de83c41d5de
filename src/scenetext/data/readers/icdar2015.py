"""ICDAR 2015 incidental scene text (challenge 4, task 4.1): photographs and word quadrilaterals.

Any layout will do in which images are `<name>.jpg` (or .png, ...) in one folder and ground truths `gt_<name>.txt` in
one folder: the official archives (ch4_training_images, ch4_training_localization_transcription_gt) as well as
images/ and gts/. A ground truth has one word a line, `x1,y1,x2,y2,x3,y3,x4,y4,text`, in UTF-8 with a byte order mark
and CRLF; the text may hold commas; `###` marks a word that is neither learnt nor scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import shapely

from scenetext.data.readers.files import IMAGE_SUFFIXES, files_by_name, first_names, natural_order, with_sizes
from scenetext.data.readers.report import ReadReport
from scenetext.errors import DataError, ImageError
from scenetext.geometry.polygon import signed_area
from scenetext.structures import ImageRecord, TextInstance

IGNORED_TEXT = "###"
_COORDINATES = 8

WITHOUT_AREA = "words ignored because their polygon has no area"
CROSSING = "polygons kept although their outline crosses itself; whoever needs an area repairs it"
COUNTER_CLOCKWISE = "polygons kept although their vertices run counter-clockwise"
UNTOLD = "words kept with an unknown text, since theirs is empty"


def read_icdar2015(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset, images in the order of their numbers.

    Words of unknown transcription keep an unknown text; ignored words lose theirs. Words without an area are ignored.

    Args:
        images: folder of the images; other files in it are no matter.
        ground_truths: folder of the `gt_<name>.txt` files.

    Raises:
        DataError: a folder is missing or empty, an image lacks its ground truth or the other way round (all of them are
            counted and the first named), or a line is broken (file and line are named).
        ImageError: an image whose size cannot be read.
    """
    image_files = files_by_name(images, IMAGE_SUFFIXES)
    truth_files = files_by_name(ground_truths, frozenset({".txt"}), prefix="gt_")
    _check_pairs(image_files, truth_files, images, ground_truths)
    names = sorted(image_files, key=natural_order)
    for name, size in with_sizes(names, lambda name: image_files[name], len(names)):
        if isinstance(size, ImageError):
            raise size
        instances = (_judge(instance, name, report) for instance in _read_ground_truth(truth_files[name]))
        yield ImageRecord(image_files[name], size[1], size[0], tuple(instances))


def _check_pairs(
    image_files: Mapping[str, Path], truth_files: Mapping[str, Path], images: Path, ground_truths: Path
) -> None:
    problems = []
    if without_truth := image_files.keys() - truth_files.keys():
        names = first_names(image_files[name].name for name in without_truth)
        problems.append(f"{len(without_truth)} images in {images} have no ground truth in {ground_truths}: {names}")
    if without_image := truth_files.keys() - image_files.keys():
        names = first_names(truth_files[name].name for name in without_image)
        problems.append(f"{len(without_image)} ground truths in {ground_truths} have no image in {images}: {names}")
    if problems:
        raise DataError("; ".join(problems))


def _read_ground_truth(path: Path) -> tuple[TextInstance, ...]:
    try:
        content = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(f"ground truth cannot be read ({error.strerror})", path) from None
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise DataError("ground truth is not UTF-8", path, number) from None
    instances = []
    for number, line in enumerate(content.split("\n"), start=1):  # splitlines would split at characters inside texts
        stripped = line.strip().lstrip("\ufeff")
        if not stripped:
            continue
        try:
            instances.append(_parse_line(stripped))
        except ValueError as problem:
            raise DataError(str(problem), path, number) from None
    return tuple(instances)


def _parse_line(line: str) -> TextInstance:
    """One word; ValueError says what is wrong with it."""
    fields = line.split(",", _COORDINATES)
    if len(fields) <= _COORDINATES:
        raise ValueError(f"expected x1,y1,x2,y2,x3,y3,x4,y4,text, got {len(fields)} fields: {line!r:.80}")
    try:
        coordinates = [float(field) for field in fields[:_COORDINATES]]
    except ValueError:
        coordinates = [math.nan]
    if not all(map(math.isfinite, coordinates)):
        raise ValueError(f"the first eight fields must be numbers: {line!r:.80}")
    text = fields[_COORDINATES].strip()
    return TextInstance(
        polygon=np.array(coordinates, dtype=np.float32).reshape(4, 2),
        text=None if text in ("", IGNORED_TEXT) else text,
        ignore=text == IGNORED_TEXT,
    )


def _judge(instance: TextInstance, image: str, report: ReadReport) -> TextInstance:
    """The instance, ignored if it has no area; what is odd about it is counted."""
    report.note(UNTOLD, image, count=int(instance.text is None and not instance.ignore))
    crossing, area = _outline(instance)
    report.note(CROSSING, image, count=int(crossing))
    report.note(COUNTER_CLOCKWISE, image, count=int(not crossing and area < 0))
    if crossing or area != 0:
        return instance
    report.note(WITHOUT_AREA, image, count=int(not instance.ignore))
    return TextInstance(instance.polygon, None, ignore=True)


def _outline(instance: TextInstance) -> tuple[bool, float]:
    """Whether the outline crosses itself, and its signed area in square pixels, positive if clockwise."""
    if instance.polygon is None:
        return False, 0.0
    hull_area = shapely.MultiPoint(instance.polygon).convex_hull.area
    crossing = hull_area > 0 and not shapely.LinearRing(instance.polygon).is_simple
    return crossing, signed_area(instance.polygon)
