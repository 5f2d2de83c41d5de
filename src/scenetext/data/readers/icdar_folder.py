"""Data of one's own in the form of ICDAR 2015 and kin: a text file for each image, a line for each word.

A line is `x1,y1,x2,y2,x3,y3,x4,y4,text`, or without text, which is then unknown; `###` (or `*`) is ignored. It may have
any number of points, and end in 0 or 1 for whether it is difficult, as in DB's packages of Total-Text, MSRA-TD500 and
HUST-TR400 (`label_lines.py`). The file of `photo.jpg` is `gt_photo.txt`, `photo.txt` or `photo.jpg.txt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.files import files_by_name, image_spellings, natural_order
from scenetext.data.readers.label_lines import POINTS, is_label_line, line_parser
from scenetext.data.readers.labelled import Labelled, indexed_records, unlabelled_images
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport, UnclearReferenceError
from scenetext.data.readers.splits import Split
from scenetext.data.records.references import UnclearNameError
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord


def read_icdar_folder(images: Path, ground_truths: Path, points: str, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the folder, images in the order of their numbers.

    Args:
        images: folder of the images.
        ground_truths: folder of the text files, which may be the same.
        points: how many points a line has, see `label_lines.POINTS`.

    Raises:
        DataError: a line is broken (file and line are named) or an image cannot be read and the policy stops then; or
            none of the images can be read.
    """
    truths = files_by_name(ground_truths, frozenset({".txt"}))
    references = ImageReferences([images], report)
    entries: dict[Path, Path] = {}
    for name in sorted(truths, key=natural_order):
        with report.tolerating(truths[name].name):
            image = _image_of(name, truths[name], references, images)
            if image in entries:
                raise DataError(f"belongs to the same image as {entries[image].name}; remove one", truths[name])
            entries[image] = truths[name]
    read_labels = line_parser(truths.values(), points, report)
    labelled = [Labelled(image, truth) for image, truth in entries.items()]
    listed = [*labelled, *unlabelled_images(references, report)]
    return indexed_records(listed, read_labels, ground_truths, report)


def _image_of(name: str, truth: Path, references: ImageReferences, images: Path) -> Path:
    """The image that a ground truth, of this name without its suffix, belongs to."""
    try:
        found = (references.find_existing(one) for one in image_spellings(name))
        image = next((path for path in found if path is not None), None)
    except UnclearNameError as fault:
        raise UnclearReferenceError(str(fault), truth) from None
    if image is None:
        raise ImageError(f"has no image in {images}", truth)
    return image


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    lines = peek.lines_of(values["ground_truths"], ".txt")
    if not lines or not all(is_label_line(line) for line in lines):
        return None
    return f"the text files have lines of coordinates between commas, as in {lines[0]!r:.60}"


READER = Reader(
    title="data of your own in the form of ICDAR 2015: a text file with quadrilaterals or polygons for each image",
    source="the form is that of https://rrc.cvc.uab.es/?ch=4, task 4.1",
    files="images and gts (or labels), or the same with a folder for each split, train/images and train/gts, say",
    arguments=(IMAGES, Argument("ground_truths", "folder", "folder of the text files"), POINTS),
    function=read_icdar_folder,
    policy=OWN,
    recognise=_recognise,
    splits={
        **{
            name: Split(
                {
                    "images": (f"{name}/images", f"{name}_images", f"images/{name}", f"imgs/{name}"),
                    "ground_truths": (
                        *(f"{name}/{one}" for one in ("gts", "gt", "labels")),
                        *(f"{name}_{one}" for one in ("gts", "gt", "labels")),
                        *(f"{one}/{name}" for one in ("gts", "gt", "labels", "annotations")),
                    ),
                },
                expected=False,
            )
            for name in ("train", "val", "test")
        },
        "all": Split(
            {"images": ("images", "imgs", "."), "ground_truths": ("gts", "gt", "labels", "annotations", "*.txt/..")},
            fallback=True,
        ),
    },
)
