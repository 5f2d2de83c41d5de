"""ICDAR 2015 incidental scene text (challenge 4, task 4.1): photographs and word quadrilaterals.

Any layout will do in which images are `<name>.jpg` (or .jpeg, .png) in one folder and ground truths `gt_<name>.txt` in
one folder: the official archives (ch4_training_images, ch4_training_localization_transcription_gt) as well as
images/ and gts/. A ground truth has one word a line, `x1,y1,x2,y2,x3,y3,x4,y4,text`, in UTF-8 with a byte order mark
and CRLF; the text may hold commas; `###` marks a word that is neither learnt nor scored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import shapely

from scenetext.data.images import image_size
from scenetext.data.readers.report import ReadReport
from scenetext.errors import DataError
from scenetext.geometry.polygon import signed_area
from scenetext.structures import ImageRecord, TextInstance

IGNORED_TEXT = "###"
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_COORDINATES = 8
_NAMES_IN_MESSAGE = 5


def read_icdar2015(images: Path, ground_truths: Path) -> tuple[list[ImageRecord], ReadReport]:
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
    image_files = _files_by_name(images, _IMAGE_SUFFIXES, prefix="")
    truth_files = _files_by_name(ground_truths, frozenset({".txt"}), prefix="gt_")
    _check_pairs(image_files, truth_files, images, ground_truths)
    records = []
    for name in sorted(image_files, key=_natural_order):
        height, width = image_size(image_files[name])
        records.append(ImageRecord(image_files[name], width, height, _read_ground_truth(truth_files[name])))
    return _judge(records)


def _files_by_name(folder: Path, suffixes: frozenset[str], prefix: str) -> dict[str, Path]:
    """Name without prefix and suffix to file; hidden files (which some archivers add) are left out."""
    if not folder.is_dir():
        raise DataError("is not a folder", folder)
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or not path.name.startswith(prefix) or path.name.startswith("."):
            continue
        name = path.stem.removeprefix(prefix)
        if name in files:
            raise DataError(f"{files[name].name} and {path.name} are named alike; remove one of them", folder)
        files[name] = path
    if not files:
        raise DataError(f"holds no {prefix}* files with the suffix {' or '.join(sorted(suffixes))}", folder)
    return files


def _check_pairs(
    image_files: Mapping[str, Path], truth_files: Mapping[str, Path], images: Path, ground_truths: Path
) -> None:
    problems = []
    if without_truth := image_files.keys() - truth_files.keys():
        names = _first_names(image_files[name].name for name in without_truth)
        problems.append(f"{len(without_truth)} images in {images} have no ground truth in {ground_truths}: {names}")
    if without_image := truth_files.keys() - image_files.keys():
        names = _first_names(truth_files[name].name for name in without_image)
        problems.append(f"{len(without_image)} ground truths in {ground_truths} have no image in {images}: {names}")
    if problems:
        raise DataError("; ".join(problems))


def _first_names(names: Iterable[str]) -> str:
    ordered = sorted(names, key=_natural_order)
    return ", ".join(ordered[:_NAMES_IN_MESSAGE]) + (", ..." if len(ordered) > _NAMES_IN_MESSAGE else "")


def _natural_order(name: str) -> tuple[list[str], list[int]]:
    """img_2 before img_10."""
    return re.split(r"\d+", name), [int(digits) for digits in re.findall(r"\d+", name)]


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


def _judge(records: list[ImageRecord]) -> tuple[list[ImageRecord], ReadReport]:
    """Ignores what has no area, and counts."""
    judged = []
    words = ignored = degenerate = self_crossing = counter_clockwise = without_text = 0
    for record in records:
        instances = []
        for instance in record.instances:
            words += 1
            ignored += instance.ignore
            without_text += instance.text is None and not instance.ignore
            crossing, area = _outline(instance)
            self_crossing += crossing
            if not crossing and area == 0:
                degenerate += not instance.ignore
                instance = TextInstance(instance.polygon, None, ignore=True)
            counter_clockwise += not crossing and area < 0
            instances.append(instance)
        judged.append(ImageRecord(record.path, record.width, record.height, tuple(instances)))
    report = ReadReport(len(judged), words, ignored, degenerate, self_crossing, counter_clockwise, without_text)
    return judged, report


def _outline(instance: TextInstance) -> tuple[bool, float]:
    """Whether the outline crosses itself, and its signed area in square pixels, positive if clockwise."""
    if instance.polygon is None:
        return False, 0.0
    hull_area = shapely.MultiPoint(instance.polygon).convex_hull.area
    crossing = hull_area > 0 and not shapely.LinearRing(instance.polygon).is_simple
    return crossing, signed_area(instance.polygon)
