"""ICDAR 2015 incidental scene text (challenge 4, task 4.1): images and word quadrilaterals.

Any layout will do in which images are `<name>.jpg` (or .png, ...) in one folder and ground truths `gt_<name>.txt` in
one folder: the official archives (ch4_training_images, ch4_training_localization_transcription_gt) as well as
images/ and gts/. A ground truth has one word a line, `x1,y1,x2,y2,x3,y3,x4,y4,text`, in UTF-8 with a byte order mark
and CRLF; the text may hold commas, `"..."` stands for its inside, and `###` marks a word that is neither learnt nor
scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.files import files_by_name
from scenetext.data.readers.instances import IGNORED_TEXT, Label
from scenetext.data.readers.label_lines import refuse_other_forms
from scenetext.data.readers.labelled import pair_files, paired_records
from scenetext.data.readers.lines import read_label_lines, split_coordinates
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.structures import ImageRecord
from scenetext.text.quoting import unquoted


def read_icdar2015(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset, images in the order of their numbers.

    Words of unknown transcription keep an unknown text; ignored words have none. Words without an area are ignored.

    Args:
        images: folder of the images; other files in it are ignored.
        ground_truths: folder of the `gt_<name>.txt` files.

    Raises:
        DataError: a folder is missing or empty, an image lacks its ground truth or the other way round (all of them are
            counted and the first named), a line is broken (file and line are named), or the lines are of another form.
        ImageError: an image whose size cannot be read.
    """
    image_files = files_by_name(images, IMAGE_SUFFIXES)
    truth_files = files_by_name(ground_truths, frozenset({".txt"}), prefix="gt_")
    pairs = pair_files(image_files, truth_files, str(images), str(ground_truths))
    refuse_other_forms(truth_files.values())
    return paired_records(pairs, lambda path: read_label_lines(path, parse_line), report)


def parse_line(line: str) -> Label:
    """One word; ValueError says what is wrong with it."""
    polygon, text = split_coordinates(line, 8, "x1,y1,x2,y2,x3,y3,x4,y4,text")
    return Label(polygon, unquoted(text), ignore=text == IGNORED_TEXT)


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    is_named = values["images"].name.lower().startswith("ch4_")
    return f"the folder of images is {values['images'].name}, as its publisher named it" if is_named else None


READER = Reader(
    title="ICDAR 2015, incidental scene text: images with word quadrilaterals and transcriptions",
    source="get it from https://rrc.cvc.uab.es/?ch=4&com=downloads, task 4.1 (registration needed)",
    files="a folder of <name>.jpg and a folder of gt_<name>.txt, one for each image",
    arguments=(IMAGES, Argument("ground_truths", "folder", "folder of the gt_*.txt files")),
    function=read_icdar2015,
    recognise=_recognise,
    splits={
        "train": Split(
            {
                "images": (
                    "ch4_training_images",
                    "train_images",
                    "train/images",
                    "imgs/training",
                    "textdet_imgs/train",
                ),
                "ground_truths": (
                    "ch4_training_localization_transcription_gt",
                    "train_gts",
                    "train/gts",
                    "annotations/training",
                    "annotations/train",
                ),
            }
        ),
        "test": Split(
            {
                "images": ("ch4_test_images", "test_images", "test/images", "imgs/test"),
                "ground_truths": (
                    "Challenge4_Test_Task1_GT",
                    "ch4_test_localization_transcription_gt",
                    "test_gts",
                    "test/gts",
                    "annotations/test",
                ),
            }
        ),
        "val": Split({"images": ("val/images",), "ground_truths": ("val/gts",)}, expected=False),
    },
)
