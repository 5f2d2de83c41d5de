"""Data of one's own in the form of ICDAR 2015: a text file for each image, a line for each word.

A line is `x1,y1,x2,y2,x3,y3,x4,y4,text`, or without text, which is then unknown; `###` (or `*`) is ignored. The file of
`photo.jpg` is `gt_photo.txt`, `photo.txt` or `photo.jpg.txt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from scenetext.data.readers.files import files_by_name, renamed
from scenetext.data.readers.instances import IGNORED_TEXT, Label
from scenetext.data.readers.labelled import pair_files, paired_records
from scenetext.data.readers.lines import read_label_lines, split_coordinates
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.structures import ImageRecord

_FORM = "x1,y1,x2,y2,x3,y3,x4,y4 and, if it is known, ,text"
_IGNORED_TEXTS = (IGNORED_TEXT, "*")


def read_icdar_folder(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the folder, images in the order of their numbers.

    Args:
        images: folder of the images.
        ground_truths: folder of the text files, which may be the same.

    Raises:
        DataError: images and ground truths are not pairs, or a line is broken (file and line are named).
        ImageError: an image whose size cannot be read.
    """
    image_files = files_by_name(images, IMAGE_SUFFIXES)
    truth_files = files_by_name(ground_truths, frozenset({".txt"}))
    truth_files = renamed(truth_files, lambda name: _image_name(name, image_files))
    pairs = pair_files(image_files, truth_files, str(images), str(ground_truths))
    return paired_records(pairs, lambda path: read_label_lines(path, parse_line), report)


def _image_name(name: str, images: Mapping[str, Path]) -> str:
    """The name without suffix of the image that a text file of this name belongs to."""
    spellings = [name, name.removeprefix("gt_")]
    spellings += [Path(one).stem for one in spellings if Path(one).suffix.lower() in IMAGE_SUFFIXES]
    return next((one for one in spellings if one in images), name)


def parse_line(line: str) -> Label:
    """One word; ValueError says what is wrong with it."""
    polygon, text = split_coordinates(line, 8, _FORM, has_rest=False)
    has_text = line.count(",") >= 8
    return Label(polygon, text if has_text else None, ignore=text in _IGNORED_TEXTS)


READER = Reader(
    title="data of your own in the form of ICDAR 2015: a text file with quadrilaterals for each image",
    source="the form is that of https://rrc.cvc.uab.es/?ch=4, task 4.1",
    files="images and gts (or labels), or the same with a folder for each split, train/images and train/gts, say",
    arguments=(IMAGES, Argument("ground_truths", "folder", "folder of the text files")),
    function=read_icdar_folder,
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
