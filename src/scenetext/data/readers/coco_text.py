"""COCO-Text 2.0 (Veit et al., 2016): images of COCO's 2014 training set with outlines of words.

A JSON object with `imgs` (each says in `set` to which split it belongs), `anns` and `cats`. An annotation has its
outline in `mask`, a flat list; where that is no polygon, the `bbox` becomes a quadrilateral. Illegible words are
ignored, and those that are legible but have no `utf8_string` have an unknown text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.grouped import bbox_quad, group_annotations
from scenetext.data.readers.instances import Label
from scenetext.data.readers.json_files import Node, read_json
from scenetext.data.readers.labelled import Labelled, indexed_records
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

BOXES = "words whose box became a quadrilateral, since they have no outline"
_LEGIBILITY = ("legible", "illegible")
_PARTS = ("train", "val")
_FEWEST_NUMBERS = 6


def read_coco_text(images: Path, ground_truths: Path, part: str, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads one split, in the order of its images; those that are missing are dropped and counted.

    Args:
        images: folder of the images (train2014).
        ground_truths: `cocotext.v2.json`, loaded whole.
        part: "train" or "val".

    Raises:
        DataError: a fault of the annotations (its position in the file is named), or none of the images can be read.
    """
    if part not in _PARTS:
        raise DataError(f"--part {part!r}: there are {', '.join(_PARTS)}")
    index = read_json(ground_truths)
    references = ImageReferences([images], report)
    listed = {name: (entry["file_name"].image(references), entry) for name, entry in index["imgs"].items()}
    groups = group_annotations(listed, (annotation for _, annotation in index["anns"].items()), report)
    entries: list[Labelled[list[Node]]] = [
        groups[name] for name, (_, entry) in listed.items() if entry["set"].text() == part
    ]

    def read_labels(annotations: list[Node]) -> list[Label]:
        return [_label(annotation, report) for annotation in annotations]

    return indexed_records(entries, read_labels, ground_truths, report)


def _label(annotation: Node, report: ReadReport) -> Label:
    mask, text = annotation.get("mask"), annotation.get("utf8_string")
    if mask is not None and type(mask.value) is list and len(mask.value) >= _FEWEST_NUMBERS:
        polygon = mask.points()
    else:
        polygon = bbox_quad(annotation["bbox"])
        report.note(BOXES, annotation.location)
    legibility = annotation["legibility"]
    if legibility.text() not in _LEGIBILITY:
        legibility.fail(" or ".join(_LEGIBILITY))
    return Label(polygon, "" if text is None else text.text().strip(), ignore=legibility.value == "illegible")


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    path = values["ground_truths"]
    return f"{path.name} has imgs and anns, as published" if {"imgs", "anns"} <= peek.keys(path) else None


READER = Reader(
    title="COCO-Text 2.0: 43,686 + 10,000 images of COCO with outlines of words and transcriptions",
    source="get the annotations from https://bgshih.github.io/cocotext/, the images from https://cocodataset.org/#download",
    files="cocotext.v2.json, and train2014 with COCO's images",
    arguments=(
        Argument("images", "folder", "COCO's train2014"),
        Argument("ground_truths", "file", "cocotext.v2.json"),
        Argument("part", "text", "train or val", default="train"),
    ),
    function=read_coco_text,
    recognise=_recognise,
    splits={
        part: Split(
            {
                "images": ("train2014", "images/train2014", "images"),
                "ground_truths": ("cocotext.v2.json", "annotations/cocotext.v2.json", "cocotext*.json"),
            },
            {"part": part},
        )
        for part in _PARTS
    },
)
