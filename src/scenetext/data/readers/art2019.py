"""ICDAR 2019 ArT (arbitrary-shaped text): words of Latin and lines of Chinese text with polygons; and NightTime-ArT.

`train_labels.json` is `{"gt_0": [{"points": ..., "transcription": ..., "language": ..., "illegibility": ...}]}`;
outlines have 4, 8, 10, 12 and also other numbers of points. ArT contains images of Total-Text and CTW1500: to
test on these, give a list of images to exclude. The ground truth of the test set is not published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.keyed_labels import read_keyed_labels, recognise_keyed
from scenetext.data.readers.lines import read_text
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

EXCLUDED = "images on the list of those to exclude"


def read_art2019(
    images: Path, ground_truths: Path, report: ReadReport, exclude: Path | None = None
) -> Iterator[ImageRecord]:
    """Reads the dataset, in the order of its labels.

    Args:
        images: folder of the images.
        ground_truths: `train_labels.json`.
        exclude: text file with the name of an image a line, with or without suffix, such as those that are also in the
            test set of another benchmark.

    Raises:
        DataError: a fault of the labels (its position in the file is named), a name to exclude that is not labelled, or
            none of the images can be read.
    """
    excluded = _excluded_names(exclude) if exclude else {}
    met: set[str] = set()

    def keep(name: str) -> bool:
        if name in excluded:
            met.add(name)
            report.drop(EXCLUDED, name)
        return name not in excluded

    records = read_keyed_labels([images], ground_truths, report, keep)
    for name, number in excluded.items():
        if name not in met:
            raise DataError(f"{name!r:.60} is no image of {ground_truths}", exclude, number)
    return records


def _excluded_names(path: Path) -> dict[str, int]:
    """Name without suffix, and the line it is on."""
    names = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        name = Path(line.strip())
        if name.name:
            names[name.stem if name.suffix.lower() in IMAGE_SUFFIXES else name.name] = number
    return names


_ARGUMENTS = (
    IMAGES,
    Argument("ground_truths", "file", "the labels (train_labels.json)"),
    Argument("exclude", "file", "names of images to exclude, one a line", optional=True),
)


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    return recognise_keyed(values["ground_truths"], peek)


ART2019 = Reader(
    title="ICDAR 2019 ArT: 5,603 images with polygons around words (Latin) and lines (Chinese)",
    source="get it from https://rrc.cvc.uab.es/?ch=14&com=downloads (registration needed)",
    files="train_images/gt_<number>.jpg and train_labels.json",
    arguments=_ARGUMENTS,
    function=read_art2019,
    recognise=_recognise,
    splits={
        "train": Split({"images": ("train_images", "imgs"), "ground_truths": ("train_labels.json",)}),
    },
)

NIGHTTIME_ART = Reader(
    title="NightTime-ArT: 326 images of ArT taken at night, which the TCM paper tests on",
    source="get it from https://github.com/wenwenyu/TCM; this reader takes labels in the form of ArT's, others are "
    "read as `coco`, `mmocr-0x` or `icdar-folder`",
    files="a folder of images and a JSON file of labels in the form of ArT's train_labels.json",
    arguments=_ARGUMENTS,
    function=read_art2019,
    splits={
        "test": Split({"images": ("images", "test_images", "imgs", "."), "ground_truths": ("*labels*.json", "*.json")}),
    },
)
