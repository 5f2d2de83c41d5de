"""CTW1500 (Liu et al., 2017): images with polygons of 14 points around lines of text, in both of its releases.

The old one has no texts: lines of 32 whole numbers, a box `x1,y1,x2,y2` and 14 offsets from its first corner. The new
one has an XML file for each training image (`<box>` with a `<label>` and 28 numbers in `<segs>`), and for each test
image lines of 28 numbers and `,####text`. A text `###` is ignored, in the training set too. Names differ: image 1001
has the ground truth 1001.xml, image 1501 may have 0001501.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scenetext.data.readers.ctw1500_xml import read_xml_file
from scenetext.data.readers.files import files_by_name, renamed
from scenetext.data.readers.instances import IGNORED_TEXT, Label, points_of
from scenetext.data.readers.labelled import pair_files, paired_records
from scenetext.data.readers.lines import read_label_lines, split_coordinates, to_numbers
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.structures import ImageRecord

_COORDINATES = 28
_TEXT_MARK = "####"
_FORM = "28 numbers and ####text (new release), or 32 numbers (old release), between commas"


def read_ctw1500(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset, images in the order of their numbers.

    Args:
        images: folder of the images.
        ground_truths: folder of the ground truths of either release, .xml or .txt.

    Raises:
        DataError: images and ground truths are not pairs, or a line is broken (file and line are named).
        ImageError: an image whose size cannot be read.
    """
    image_files = renamed(files_by_name(images, IMAGE_SUFFIXES), _without_zeros)
    truth_files = renamed(files_by_name(ground_truths, frozenset({".xml", ".txt"})), _without_zeros)
    pairs = pair_files(image_files, truth_files, str(images), str(ground_truths))
    return paired_records(pairs, _read_labels, report)


def _without_zeros(name: str) -> str:
    return name.lstrip("0") or name


def _read_labels(path: Path) -> list[Label]:
    return read_xml_file(path) if path.suffix.lower() == ".xml" else read_label_lines(path, parse_line)


def parse_line(line: str) -> Label:
    """One line of text, of either release; ValueError says what is wrong with it."""
    polygon, rest = split_coordinates(line, _COORDINATES, _FORM)
    if rest.startswith(_TEXT_MARK):
        text = rest.removeprefix(_TEXT_MARK).strip()
        return Label(polygon, text, ignore=text == IGNORED_TEXT)
    numbers = line.split(",")
    if len(numbers) != 32:
        raise ValueError(f"expected {_FORM}, got {line!r:.100}")
    box, offsets = np.split(np.array(to_numbers(numbers, line)), [4])
    return Label(points_of((offsets.reshape(-1, 2) + box[:2]).ravel().tolist()))


READER = Reader(
    title="CTW1500: 1,000 + 500 images with polygons of 14 points around lines of text",
    source="get it from https://github.com/Yuliang-Liu/Curve-Text-Detector (its link to the new test labels is dead: "
    "AdelaiDet and others hand them out as gt_ctw1500.zip)",
    files="the new release: train_images, ctw1500_train_labels/<number>.xml, test_images, gt_ctw1500/000<number>.txt; "
    "or the old one: {train,test}/text_image and {train,test}/text_label_curve/<number>.txt",
    arguments=(IMAGES, Argument("ground_truths", "folder", "folder of the .xml or .txt files")),
    function=read_ctw1500,
    splits={
        "train": Split(
            {
                "images": ("train_images", "train/text_image", "imgs/training", "train/images"),
                "ground_truths": (
                    "ctw1500_train_labels",
                    "train_labels",
                    "train/text_label_curve",
                    "annotations/training",
                    "train/gts",
                ),
            }
        ),
        "test": Split(
            {
                "images": ("test_images", "test/text_image", "imgs/test", "test/images"),
                "ground_truths": (
                    "gt_ctw1500",
                    "ctw1500_test_labels",
                    "test_labels",
                    "test/text_label_curve",
                    "annotations/test",
                    "test/gts",
                ),
            }
        ),
    },
)
