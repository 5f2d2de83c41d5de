"""CTW1500 (Liu et al., 2017): images with polygons of 14 points around lines of text, in both of its releases.

The old one has no texts: lines of 32 whole numbers, a box `x1,y1,x2,y2` and 14 offsets from its first corner. The new
one has an XML file for each training image (`<box>` with a `<label>` and 28 numbers in `<segs>`), and for each test
image lines of 28 numbers and `,####text`. A text `###` is ignored, in the training set too. Names differ: image 1001
has the ground truth 1001.xml, image 1501 may have 0001501.txt.

Published values rest on the old test labels, 3,068 lines; the new ones are 3,075.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.data.readers.ctw1500_xml import read_xml_file
from scenetext.data.readers.files import files_by_name, renamed
from scenetext.data.readers.instances import IGNORED_TEXT, Label, points_of
from scenetext.data.readers.labelled import Labelled, pair_files, paired_records
from scenetext.data.readers.lines import read_label_lines, split_coordinates, to_numbers
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.structures import ImageRecord

_COORDINATES = 28
_TEXT_MARK = "####"
_OLD_NUMBERS = 32
_FORM = "28 numbers and ####text (new release), or 32 numbers (old release), between commas"
_FORM_OF_2017 = "32 numbers between commas (the labels of 2017)"


def read_ctw1500(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset, images in the order of their numbers.

    Args:
        images: folder of the images.
        ground_truths: folder of the ground truths of either release, .xml or .txt.

    Raises:
        DataError: images and ground truths are not pairs, or a line is broken (file and line are named).
        ImageError: an image whose size cannot be read.
    """
    pairs = _pairs(images, ground_truths, frozenset({".xml", ".txt"}))
    return paired_records(pairs, _read_labels, report)


def read_ctw1500_2017(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset with its labels of 2017; as `read_ctw1500`, and the new labels are refused."""
    pairs = _pairs(images, ground_truths, frozenset({".txt"}))
    return paired_records(pairs, lambda path: read_label_lines(path, parse_line_of_2017), report)


def _pairs(images: Path, ground_truths: Path, suffixes: frozenset[str]) -> list[Labelled[Path]]:
    image_files = renamed(files_by_name(images, IMAGE_SUFFIXES), _without_zeros)
    truth_files = renamed(files_by_name(ground_truths, suffixes), _without_zeros)
    return pair_files(image_files, truth_files, str(images), str(ground_truths))


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
    return _parse_numbers(line, _FORM)


def parse_line_of_2017(line: str) -> Label:
    """One line of the release of 2017; ValueError says what is wrong with it."""
    return _parse_numbers(line, _FORM_OF_2017)


def _parse_numbers(line: str, form: str) -> Label:
    numbers = line.split(",")
    if len(numbers) != _OLD_NUMBERS:
        raise ValueError(f"expected {form}, got {line!r:.100}")
    box, offsets = np.split(np.array(to_numbers(numbers, line)), [4])
    return Label(points_of((offsets.reshape(-1, 2) + box[:2]).ravel().tolist()))


_ARGUMENTS = (IMAGES, Argument("ground_truths", "folder", "folder of the .xml or .txt files"))
_OLD_TRAIN, _OLD_TEST = "train/text_label_curve", "test/text_label_curve"
_IMAGES_TRAIN = ("train_images", "train/text_image", "imgs/training", "train/images")
_IMAGES_TEST = ("test_images", "test/text_image", "imgs/test", "test/images")


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    folder = values["ground_truths"]
    is_new = any("<segs>" in line for line in peek.lines_of(folder, ".xml"))
    lines = peek.lines_of(folder, ".txt")
    if is_new or (lines and all(line.count(",") >= _COORDINATES and f",{_TEXT_MARK}" in line for line in lines)):
        return "the ground truths have 14 points for each line of text, as those of CTW1500 have"
    return None


READER = Reader(
    title="CTW1500: 1,000 + 500 images with polygons of 14 points around lines of text",
    source="get it from https://github.com/Yuliang-Liu/Curve-Text-Detector (its link to the new test labels is dead: "
    "AdelaiDet and others hand them out as gt_ctw1500.zip)",
    files="the new release: train_images, ctw1500_train_labels/<number>.xml, test_images, gt_ctw1500/000<number>.txt; "
    "or the old one: {train,test}/text_image and {train,test}/text_label_curve/<number>.txt",
    arguments=_ARGUMENTS,
    function=read_ctw1500,
    recognise=_recognise,
    splits={
        "train": Split(
            {
                "images": _IMAGES_TRAIN,
                "ground_truths": (
                    "ctw1500_train_labels",
                    "train_labels",
                    _OLD_TRAIN,
                    "annotations/training",
                    "train/gts",
                ),
            }
        ),
        "test": Split(
            {
                "images": _IMAGES_TEST,
                "ground_truths": (
                    "gt_ctw1500",
                    "ctw1500_test_labels",
                    "test_labels",
                    _OLD_TEST,
                    "annotations/test",
                    "test/gts",
                ),
            }
        ),
    },
)


def _recognise_old(values: Mapping[str, Any], peek: Peek) -> str | None:
    lines = peek.lines_of(values["ground_truths"], ".txt")
    if not lines or any(line.count(",") != _OLD_NUMBERS - 1 for line in lines):
        return None
    return f"the ground truths have {_OLD_NUMBERS} numbers a line, as those of CTW1500's old release have"


CTW1500_2017 = Reader(
    title="CTW1500 with its labels of 2017, which published values rest on: 3,068 test lines, not 3,075; no texts",
    source="get it from https://github.com/Yuliang-Liu/Curve-Text-Detector",
    files="{train,test}/text_image and {train,test}/text_label_curve/<number>.txt",
    arguments=_ARGUMENTS,
    function=read_ctw1500_2017,
    recognise=_recognise_old,
    splits={
        "train": Split({"images": _IMAGES_TRAIN, "ground_truths": (_OLD_TRAIN,)}),
        "test": Split({"images": _IMAGES_TEST, "ground_truths": (_OLD_TEST,)}),
    },
)
