"""Data of one's own in the form of ICDAR 2015 and kin: a text file for each image, a line for each word.

A line is `x1,y1,x2,y2,x3,y3,x4,y4,text`, or without text, which is then unknown; `###` (or `*`) is ignored. It may have
any number of points, and end in 0 or 1 for whether it is difficult, as in DB's packages of Total-Text, MSRA-TD500 and
HUST-TR400 (`label_lines.py`). The file of `photo.jpg` is `gt_photo.txt`, `photo.txt` or `photo.jpg.txt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.files import annotation_files, image_spellings, natural_order
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
        ground_truths: folder of the text files, in itself or in subfolders, which may be the same.
        points: how many points a line has, see `label_lines.POINTS`.

    Raises:
        DataError: a line is broken (file and line are named) or an image cannot be read and the policy stops then; or
            none of the images can be read.
    """
    truths = sorted(annotation_files(ground_truths, ".txt"), key=lambda path: natural_order(str(path)))
    references = ImageReferences([images], report)
    entries: dict[Path, Path] = {}
    for truth in truths:
        with report.tolerating(truth.name):
            image = _image_of(truth, ground_truths, references)
            if image is None:
                raise ImageError(f"has no image in {images}", truth)
            if image in entries:
                raise DataError(f"belongs to the same image as {entries[image].name}; remove one", truth)
            entries[image] = truth
    read_labels = line_parser(truths, points, report)
    labelled = [Labelled(image, truth) for image, truth in entries.items()]
    listed = [*labelled, *unlabelled_images(references, report)]
    return indexed_records(listed, read_labels, ground_truths, report)


def _image_of(truth: Path, ground_truths: Path, references: ImageReferences) -> Path | None:
    """The image that a ground truth belongs to, in the same subfolder if there are any; None where there is none."""
    folder = truth.parent.relative_to(ground_truths)
    try:
        found = (references.find_existing((folder / name).as_posix()) for name in image_spellings(truth.stem))
        return next((path for path in found if path is not None), None)
    except UnclearNameError as fault:
        raise UnclearReferenceError(str(fault), truth) from None


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    lines = peek.fitting_lines(values["ground_truths"], ".txt", is_label_line)
    if not lines:
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
