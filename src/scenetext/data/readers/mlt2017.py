"""ICDAR 2017 multi-lingual scene text (challenge 8, task 1), and 2019's, which has the same form.

A ground truth has one word a line, `x1,y1,x2,y2,x3,y3,x4,y4,script,text`; the text may hold commas, `###` is ignored.
Images are .jpg, .png and .gif, and come in several archives. The ground truth of the test set is not published: the
values that can be measured locally are those on the 1,800 validation images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scenetext.data.readers.files import files_by_name, images_by_name, renamed
from scenetext.data.readers.instances import IGNORED_TEXT, Label
from scenetext.data.readers.labelled import pair_files, paired_records
from scenetext.data.readers.lines import read_label_lines, split_coordinates
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import IMAGE_FOLDERS, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.structures import ImageRecord

SCRIPTS = frozenset({"Arabic", "Bangla", "Chinese", "Hindi", "Japanese", "Korean", "Latin", "Mixed", "None", "Symbols"})
_LINE = re.compile(rf"([^,]*,){{8}}\s*({'|'.join(SCRIPTS)})\s*,")
_FORM = "x1,y1,x2,y2,x3,y3,x4,y4,script,text"


def read_mlt2017(images: Sequence[Path], ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset, images in the order of their numbers.

    Args:
        images: folders of the images.
        ground_truths: folder of the `gt_<name>.txt` (in 2019 `<name>.txt`) files.

    Raises:
        DataError: images and ground truths are not pairs, or a line is broken (file and line are named).
        ImageError: an image whose size cannot be read.
    """
    truth_files = renamed(files_by_name(ground_truths, frozenset({".txt"})), lambda name: name.removeprefix("gt_"))
    pairs = pair_files(images_by_name(images), truth_files, ", ".join(map(str, images)), str(ground_truths))
    return paired_records(pairs, lambda path: read_label_lines(path, parse_line), report)


def parse_line(line: str) -> Label:
    """One word; ValueError says what is wrong with it."""
    polygon, rest = split_coordinates(line, 8, _FORM)
    script, comma, text = rest.partition(",")
    if not comma:
        raise ValueError(f"expected {_FORM}, got 9 fields: {line!r:.80}")
    if script.strip() not in SCRIPTS:
        raise ValueError(f"the script {script!r:.40} is none of {', '.join(sorted(SCRIPTS))}")
    text = text.strip()
    return Label(polygon, text, ignore=text == IGNORED_TEXT)


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    lines = peek.fitting_lines(values["ground_truths"], ".txt", lambda line: _LINE.match(line) is not None)
    if not lines:
        return None
    return f"the text files have a script after the coordinates, as in {lines[0]!r:.60}"


READER = Reader(
    title="ICDAR 2017 MLT: 7,200 + 1,800 images of words in nine scripts (and 2019's 10,000, in ten)",
    source="get it from https://rrc.cvc.uab.es/?ch=8&com=downloads, task 1 (registration needed)",
    files="ch8_training_images_1 to _8 (or all in one folder), ch8_validation_images, and the two folders of gt_*.txt "
    "(ch8_{training,validation}_localization_transcription_gt_v2)",
    arguments=(IMAGE_FOLDERS, Argument("ground_truths", "folder", "folder of the gt_<name>.txt or <name>.txt files")),
    function=read_mlt2017,
    recognise=_recognise,
    splits={
        "train": Split(
            {
                "images": ("ch8_training_images*", "train_images", "train/images", "ImagesPart*"),
                "ground_truths": (
                    "ch8_training_localization_transcription_gt*",
                    "train_gts",
                    "train/gts",
                    "train_gt_t13",
                ),
            }
        ),
        "val": Split(
            {
                "images": ("ch8_validation_images*", "val_images", "val/images"),
                "ground_truths": ("ch8_validation_localization_transcription_gt*", "val_gts", "val/gts"),
            }
        ),
    },
)
