"""MSRA-TD500 (Yao et al., CVPR 2012) and HUST-TR400 (2014): images with rotated boxes around lines of text.

A ground truth `<name>.gt` lies beside its image and has a line for each text, `index difficult x y width height theta`:
the box before it is turned by theta radians about its centre (clockwise on the screen, for y runs downwards). Difficult
texts are ignored. There are no transcriptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scenetext.data.readers.files import files_by_name
from scenetext.data.readers.instances import Label, points_of
from scenetext.data.readers.labelled import pair_files, paired_records
from scenetext.data.readers.lines import read_label_lines, to_numbers
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.geometry.polygon import rotated_box
from scenetext.structures import ImageRecord

_FIELDS = 7


def read_td500(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads either dataset, images in the order of their numbers.

    Args:
        images: folder of the images.
        ground_truths: folder of the `<name>.gt` files, which may be the same.

    Raises:
        DataError: images and ground truths are not pairs, or a line is broken (file and line are named).
        ImageError: an image whose size cannot be read.
    """
    truth_files = files_by_name(ground_truths, frozenset({".gt"}))
    pairs = pair_files(files_by_name(images, IMAGE_SUFFIXES), truth_files, str(images), str(ground_truths))
    return paired_records(pairs, lambda path: read_label_lines(path, parse_line), report)


def parse_line(line: str) -> Label:
    """One text; ValueError says what is wrong with it."""
    fields = line.split()
    if len(fields) != _FIELDS:
        raise ValueError(f"expected index difficult x y width height theta, got {len(fields)} fields: {line!r:.80}")
    _, difficult, left, top, width, height, theta = to_numbers(fields, line)
    if difficult not in (0, 1):
        raise ValueError(f"difficult must be 0 or 1, got {fields[1]!r:.20}")
    polygon = rotated_box((left + width / 2, top + height / 2), width, height, theta)
    return Label(points_of(polygon.ravel().tolist()), ignore=bool(difficult))


_ARGUMENTS = (IMAGES, Argument("ground_truths", "folder", "folder of the .gt files"))

MSRA_TD500 = Reader(
    title="MSRA-TD500: 300 + 200 images with rotated boxes around lines of Chinese and English text",
    source="get it from http://www.iapr-tc11.org/mediawiki/index.php/MSRA_Text_Detection_500_Database_(MSRA-TD500), or "
    "https://pages.ucsd.edu/~ztu/publication/MSRA-TD500.zip",
    files="{train,test}/IMG_<number>.JPG, each with IMG_<number>.gt beside it",
    arguments=_ARGUMENTS,
    function=read_td500,
    splits={name: Split({"images": (name,), "ground_truths": (name,)}) for name in ("train", "test")},
)

HUST_TR400 = Reader(
    title="HUST-TR400: 400 images in the form of MSRA-TD500, added to its training set by most papers",
    source="it comes with the datasets of https://github.com/MhLiao/DB (TD_TR), there with text files instead of .gt: "
    "read those as `icdar-folder`",
    files="a folder of images, each with a .gt beside it",
    arguments=_ARGUMENTS,
    function=read_td500,
    splits={"train": Split({"images": ("HUST-TR400", "."), "ground_truths": ("HUST-TR400", "*.gt/..")})},
)
