"""What MMOCR writes: 0.x COCO's form without transcriptions (see `coco.py`), 1.x a form of its own.

0.x also has it in lines, an image each; where key information is extracted, a `box` of eight numbers is the outline:

{"file_name": "...", "height": 720, "width": 1280, "annotations": [{"bbox": ..., "segmentation": ..., "iscrowd": 0}]}

And 1.x:

{"metainfo": {...}, "data_list": [{"img_path": "...", "height": 720, "width": 1280, "instances":
 [{"polygon": [x, y, ...], "bbox": [x1, y1, x2, y2], "text": "...", "ignore": false, "bbox_label": 0}]}]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.coco import coco_label, read_coco
from scenetext.data.readers.grouped import declared_size
from scenetext.data.readers.instances import IGNORED_TEXT, Label, box_points, outline_or_box
from scenetext.data.readers.json_files import Node, parse_json, read_json
from scenetext.data.readers.labelled import Labelled, indexed_records, unlabelled_images
from scenetext.data.readers.lines import text_lines
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.structures import ImageRecord


def read_mmocr0(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads a file of MMOCR 0.x, in its order; images that are missing are dropped and counted.

    Args:
        images: folder that the names of the images are relative to.
        ground_truths: the file: .json in COCO's form, .txt (or any other suffix) with an image a line.

    Raises:
        DataError: a fault of the annotations (its position in the file is named), or none of the images can be read.
    """
    if ground_truths.suffix.lower() == ".json":
        return read_coco(images, ground_truths, report)
    references = ImageReferences([images], report)
    entries = []
    for number, line in text_lines(ground_truths):
        with report.tolerating():
            entry = parse_json(line, ground_truths, number)
            image = entry["file_name"].image(references)
            entries.append(Labelled(image, entry["annotations"], declared_size(entry)))
    entries += unlabelled_images(references, report)

    def read_labels(annotations: Node) -> list[Label]:
        return [_line_label(annotation, report) for annotation in annotations.elements()]

    return indexed_records(entries, read_labels, ground_truths, report)


def _line_label(annotation: Node, report: ReadReport) -> Label:
    box = annotation.get("box")
    if box is None:
        return coco_label(annotation, report)
    text = annotation["text"].text().strip()
    return Label(box.points(), text, ignore=text == IGNORED_TEXT)


def read_mmocr1(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads a file of MMOCR 1.x, in its order; images that are missing are dropped and counted.

    Args:
        images: folder that the names of the images are relative to (`data_root`).
        ground_truths: the JSON file, loaded whole.

    Raises:
        DataError: a fault of the annotations (its position in the file is named), or none of the images can be read.
    """
    references = ImageReferences([images], report)
    entries = []
    for entry in read_json(ground_truths)["data_list"].elements():
        with report.tolerating():
            entries.append(Labelled(entry["img_path"].image(references), entry["instances"], declared_size(entry)))
    entries += unlabelled_images(references, report)

    def read_labels(instances: Node) -> list[Label]:
        return [_label(instance, report) for instance in instances.elements()]

    return indexed_records(entries, read_labels, ground_truths, report)


def _label(instance: Node, report: ReadReport) -> Label:
    text, polygon, bbox = instance.get("text"), instance.get("polygon"), instance.get("bbox")
    transcription = None if text is None else text.text().strip()
    if polygon is None and bbox is None:
        instance.fail("the key 'polygon' or 'bbox'")
    box = None if bbox is None else box_points(*bbox.corners())
    points = outline_or_box([polygon.points()] if polygon else [], box, instance.location, report)
    return Label(points, transcription, ignore=transcription == IGNORED_TEXT or instance.is_set("ignore"))


_SOURCE = "see https://github.com/open-mmlab/mmocr (its prepare.py and converters write them)"
_ARGUMENTS = (
    Argument("images", "folder", "folder that the names of the images are relative to"),
    Argument("ground_truths", "file", "the JSON file"),
)


def _splits(file_names: tuple[str, ...], folders: tuple[str, ...], names: dict[str, str]) -> dict[str, Split]:
    return {
        split: Split(
            {"images": folders, "ground_truths": tuple(one.format(name) for one in file_names)}, expected=False
        )
        for split, name in names.items()
    }


def _recognise_lines(values: Mapping[str, Any], peek: Peek) -> str | None:
    path = values["ground_truths"]
    if path.suffix.lower() == ".json" or not all('"annotations"' in line for line in peek.lines(path) or [""]):
        return None  # in COCO's form, which `coco` reads
    return f"{path.name} has an image with annotations a line, as MMOCR 0.x wrote them"


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    path = values["ground_truths"]
    return f"{path.name} has a data_list, as files of MMOCR 1.x have" if "data_list" in peek.keys(path) else None


MMOCR_0X = Reader(
    title="annotations for text detection as MMOCR 0.x wrote them, in COCO's form or in lines",
    source=_SOURCE,
    files="instances_training.json, instances_val.json or instances_test.json (or .txt, an image a line), and the "
    "images in imgs",
    arguments=_ARGUMENTS,
    function=read_mmocr0,
    policy=OWN,
    recognise=_recognise_lines,
    splits=_splits(
        ("instances_{}.json", "annotations/instances_{}.json", "instances_{}.txt", "annotations/instances_{}.txt"),
        ("imgs", "images", "."),
        {"train": "training", "val": "val", "test": "test"},
    ),
)

MMOCR_1X = Reader(
    title="annotations for text detection or spotting as MMOCR 1.x writes them",
    source=_SOURCE,
    files="textdet_<split>.json (or textspotting_<split>.json, instances_<split>.json), and the images it names",
    arguments=_ARGUMENTS,
    function=read_mmocr1,
    policy=OWN,
    recognise=_recognise,
    splits=_splits(
        ("textspotting_{}.json", "textdet_{}.json", "instances_{}.json"),
        (".",),
        {"train": "train", "val": "val", "test": "test"},
    ),
)
