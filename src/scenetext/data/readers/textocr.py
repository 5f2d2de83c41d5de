"""TextOCR (Singh et al., CVPR 2021): 24,902 images of Open Images with polygons around words.

A JSON object with `imgs` and `anns`, both by identifiers that are strings (`imgToAnns`, which some documents call
`img2Anns`, is not needed). `points` is a flat list; the transcription `.` means illegible, which is ignored. Images are
named `train/<id>.jpg` in it and lie in `train_images/`, those of the validation split too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.grouped import group_annotations
from scenetext.data.readers.instances import Label
from scenetext.data.readers.json_files import Node, read_json
from scenetext.data.readers.labelled import indexed_records
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.structures import ImageRecord

IGNORED_TEXT = "."


def read_textocr(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads one split, in the order of its images; those that are missing are dropped and counted.

    Args:
        images: folder of the images.
        ground_truths: the JSON file, loaded whole.

    Raises:
        DataError: a fault of the annotations (its position in the file is named), or none of the images can be read.
    """
    index = read_json(ground_truths)
    references = ImageReferences([images], report)
    entries = {name: (entry["file_name"].image(references), entry) for name, entry in index["imgs"].items()}
    groups = group_annotations(entries, (annotation for _, annotation in index["anns"].items()), report)
    return indexed_records(list(groups.values()), _labels, ground_truths, report)


def _labels(annotations: list[Node]) -> list[Label]:
    return [_label(annotation) for annotation in annotations]


def _label(annotation: Node) -> Label:
    text = annotation["utf8_string"].text().strip()
    return Label(annotation["points"].points(), text, ignore=text == IGNORED_TEXT)


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    path = values["ground_truths"]
    return f"{path.name} has imgs and anns, as published" if {"imgs", "anns"} <= peek.keys(path) else None


READER = Reader(
    title="TextOCR: 21,778 + 3,124 images of Open Images with polygons around words and transcriptions",
    source="get it from https://textvqa.org/textocr/dataset/",
    files="train_images/<id>.jpg (of both splits), TextOCR_0.1_train.json and TextOCR_0.1_val.json",
    arguments=(IMAGES, Argument("ground_truths", "file", "TextOCR_0.1_train.json or TextOCR_0.1_val.json")),
    function=read_textocr,
    recognise=_recognise,
    splits={
        name: Split(
            {"images": ("train_images", "train_val_images/train_images"), "ground_truths": (f"TextOCR*_{name}.json",)}
        )
        for name in ("train", "val")
    },
)
