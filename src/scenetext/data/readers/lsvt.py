"""LSVT with full annotations (Sun et al., ICCV 2019): 30,000 Chinese street views with polygons around lines of text.

The ground truth of the published test set is with its organisers. Scenetext splits the 30,000 itself: images whose
number is a multiple of ten (gt_0, gt_10, ..., 3,000 of them) are for validation, the others for training.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scenetext.data.readers.keyed_labels import read_keyed_labels, recognise_keyed
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import IMAGE_FOLDERS, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

HELD_OUT_EVERY = 10
_NAME = re.compile(r"gt_([0-9]+)")
_PARTS = ("all", "train", "val")


def read_lsvt(images: Sequence[Path], ground_truths: Path, part: str, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset, in the order of its labels.

    Args:
        images: folders of the images `gt_<number>.jpg`.
        ground_truths: `train_full_labels.json`.
        part: "train", "val" or "all".

    Raises:
        DataError: a fault of the labels (its position in the file is named), an image without a number, or none of the
            images can be read.
    """
    if part not in _PARTS:
        raise DataError(f"--part {part!r}: there are {', '.join(_PARTS)}")

    def keep(name: str) -> bool:
        match = _NAME.fullmatch(name)
        if match is None:
            raise DataError(f"{name!r:.60} is not the name of an image of LSVT, gt_<number>", ground_truths)
        return part == "all" or (int(match[1][-9:]) % HELD_OUT_EVERY == 0) == (part == "val")

    return read_keyed_labels(images, ground_truths, report, keep)


_PATHS = {
    "images": ("train_full_images_*", "train_full_images", "train_images", "imgs"),
    "ground_truths": ("train_full_labels.json",),
}


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    return recognise_keyed(values["ground_truths"], peek)


READER = Reader(
    title="LSVT: 30,000 Chinese street views with polygons around lines of text",
    source="get it from https://rrc.cvc.uab.es/?ch=16&com=downloads (registration needed)",
    files="train_full_images_0 and train_full_images_1 with gt_<number>.jpg, and train_full_labels.json",
    arguments=(
        IMAGE_FOLDERS,
        Argument("ground_truths", "file", "train_full_labels.json"),
        Argument("part", "text", "train, val (every tenth number) or all", default="all"),
    ),
    function=read_lsvt,
    recognise=_recognise,
    splits={part: Split(_PATHS, {"part": part}) for part in ("train", "val")},
)
