"""The label files of PPOCRLabel and PaddleOCR: a line for each image, its name, a tab and a JSON list.

    photos/img_1.jpg<TAB>[{"transcription": "WORD", "points": [[x, y], ...], "difficult": false}]

What is `difficult`, or transcribed `###` or `*`, is ignored; `待识别`, which PPOCRLabel writes until somebody types the
text, means an unknown text. Names start with the folder that was annotated, which may have been moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.instances import IGNORE_FLAGS, IGNORED_TEXT, Label
from scenetext.data.readers.json_files import Node, parse_json
from scenetext.data.readers.labelled import Labelled, indexed_records, unlabelled_images
from scenetext.data.readers.lines import read_text
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

_IGNORED_TEXTS = (IGNORED_TEXT, "*")
_LIST_AFTER_TAB = re.compile(r"\t\s*\[")
_TO_BE_TYPED = "待识别"


def read_ppocrlabel(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads a label file, in its order; images that are missing are dropped and counted.

    Args:
        images: folder that the names of the images are relative to, or that lies in that folder, or holds the images.
        ground_truths: the label file.

    Raises:
        DataError: a line is broken (file and line are named), or none of the images can be read.
    """
    references = ImageReferences([images], report)
    entries = []
    for number, line in enumerate(read_text(ground_truths).split("\n"), start=1):
        if not line.strip():
            continue
        with report.tolerating():
            entries.append(_entry(line, ground_truths, number, references))
    entries += unlabelled_images(references, report)
    return indexed_records(entries, _labels, ground_truths, report)


def _entry(line: str, path: Path, number: int, references: ImageReferences) -> Labelled[Node]:
    name, tab, labels = line.partition("\t")
    if not tab:
        raise DataError(f"expected the name of an image, a tab and a list, got {line!r:.80}", path, number)
    image = Node(name.strip(), path, number).image(references)
    return Labelled(image, parse_json(labels, path, number))


def _labels(node: Node) -> list[Label]:
    return [_label(item) for item in node.elements()]


def _label(item: Node) -> Label:
    text = item["transcription"].text().strip()
    ignore = text in _IGNORED_TEXTS or item.is_set(*IGNORE_FLAGS)
    return Label(item["points"].points(), "" if text == _TO_BE_TYPED else text, ignore)


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    path = values["ground_truths"]
    if not all(_LIST_AFTER_TAB.search(line) for line in peek.lines(path) or [""]):
        return None
    return f"{path.name} has names of images and lists of words, as PPOCRLabel's files have"


READER = Reader(
    title="data of your own, annotated with PPOCRLabel, or in the label files of PaddleOCR",
    source="PPOCRLabel is at https://github.com/PFCCLab/PPOCRLabel",
    files="Label.txt beside the images; or train.txt, val.txt and test.txt, in det/ or not, as its own script has them",
    arguments=(IMAGES, Argument("ground_truths", "file", "the label file")),
    function=read_ppocrlabel,
    policy=OWN,
    recognise=_recognise,
    splits={
        **{
            name: Split(
                {
                    "images": (f"det/{name}", name, "."),
                    "ground_truths": (f"det/{name}.txt", f"{name}.txt", f"{name}_*label.txt"),
                },
                expected=False,
            )
            for name in ("train", "val", "test")
        },
        "all": Split({"images": (".",), "ground_truths": ("Label.txt",)}, fallback=True),
    },
)
