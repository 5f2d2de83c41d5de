"""ICDAR 2013 focused scene text (challenge 2, task 2.1): images with upright boxes of words.

A ground truth has one word a line: `x1 y1 x2 y2 "text"` in the training set, `x1, y1, x2, y2, "text"` in the test set.
The text may hold commas, blanks and quotation marks, with or without a backslash before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.files import files_by_name
from scenetext.data.readers.instances import IGNORED_TEXT, Label, box_points
from scenetext.data.readers.labelled import pair_files, paired_records
from scenetext.data.readers.lines import read_label_lines, to_numbers
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.structures import ImageRecord
from scenetext.text.quoting import unescaped

_SEPARATOR = r"(?:\s*,\s*|\s+)"
_LINE = re.compile(rf"([^\s,]+){_SEPARATOR}" * 4 + '"(.*)"')


def read_icdar2013(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset, images in the order of their numbers; a box becomes a quadrilateral.

    Args:
        images: folder of the images.
        ground_truths: folder of the `gt_<name>.txt` files.

    Raises:
        DataError: images and ground truths are not pairs, or a line is broken (file and line are named).
        ImageError: an image whose size cannot be read.
    """
    image_files = files_by_name(images, IMAGE_SUFFIXES)
    truth_files = files_by_name(ground_truths, frozenset({".txt"}), prefix="gt_")
    pairs = pair_files(image_files, truth_files, str(images), str(ground_truths))
    return paired_records(pairs, lambda path: read_label_lines(path, parse_line), report)


def parse_line(line: str) -> Label:
    """One word; ValueError says what is wrong with it."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f'expected x1, y1, x2, y2, "text" (or blanks for the commas), got {line!r:.80}')
    *corners, quoted = match.groups()
    left, top, right, bottom = to_numbers(corners, line)
    text = unescaped(quoted).strip()
    return Label(box_points(left, top, right, bottom), text, ignore=text == IGNORED_TEXT)


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    lines = peek.lines_of(values["ground_truths"], ".txt")
    if not lines or not all(_LINE.fullmatch(line) for line in lines):
        return None
    return f"the text files have a box and a text in quotes a line, as in {lines[0]!r:.60}"


READER = Reader(
    title="ICDAR 2013, focused scene text: 229 + 233 images with boxes of words and transcriptions",
    source="get it from https://rrc.cvc.uab.es/?ch=2&com=downloads, tasks 2.1 and 2.2 (registration needed)",
    files="Challenge2_{Training,Test}_Task12_Images/<name>.jpg and Challenge2_{Training,Test}_Task1_GT/gt_<name>.txt",
    arguments=(IMAGES, Argument("ground_truths", "folder", "folder of the gt_*.txt files")),
    function=read_icdar2013,
    recognise=_recognise,
    splits={
        "train": Split(
            {
                "images": ("Challenge2_Training_Task12_Images", "train_images", "train/images", "imgs/training"),
                "ground_truths": (
                    "Challenge2_Training_Task1_GT",
                    "train_gts",
                    "train/gts",
                    "annotations/training",
                ),
            }
        ),
        "test": Split(
            {
                "images": ("Challenge2_Test_Task12_Images", "test_images", "test/images", "imgs/test"),
                "ground_truths": ("Challenge2_Test_Task1_GT", "test_gts", "test/gts", "annotations/test"),
            }
        ),
    },
)
