"""COCO's form of annotations, for data of one's own and for what MMOCR 0.x wrote.

`images` with `id` and `file_name`, `annotations` with `image_id` and an outline: `segmentation`, a list of polygons, of
which the largest counts; where none has an area (or there is a run-length mask), the `bbox` becomes a quadrilateral,
turned by the `rotation` that CVAT writes to its `attributes` (degrees, clockwise). A crowd (`iscrowd`) is ignored, and
so is what is marked with `ignore`, `difficult` or `illegible` in the annotation or its `attributes`. COCO has no
transcriptions; those under `transcription`, `text` or `utf8_string`, there too, are read, and without one the text is
unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.data.readers.grouped import bbox_quad, group_annotations
from scenetext.data.readers.instances import IGNORE_FLAGS, IGNORED_TEXT, Label, outline_or_box
from scenetext.data.readers.json_files import Node, read_json
from scenetext.data.readers.labelled import indexed_records, unlabelled_images
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.errors import DataError
from scenetext.geometry.polygon import rotated_box
from scenetext.structures import ImageRecord

TURNED = "boxes turned by the rotation of their annotation"
PARTS = "words with an outline in several parts, of which the largest is kept"
OTHER_CATEGORY = "annotations of other categories than those asked for"
_TEXT_KEYS = ("transcription", "text", "utf8_string")


def read_coco(
    images: Path, ground_truths: Path, report: ReadReport, categories: str | None = None
) -> Iterator[ImageRecord]:
    """Reads one file, in the order of its images; those that are missing are dropped and counted.

    Args:
        images: folder that the names of the images are relative to.
        ground_truths: the JSON file, loaded whole.
        categories: names of those that are text, separated by commas; None = all are.

    Raises:
        DataError: a fault of the annotations (its position in the file is named), a category that is not there, or none
            of the images can be read.
    """
    index = read_json(ground_truths)
    wanted = _category_numbers(index, categories)
    references = ImageReferences([images], report)
    entries: dict[str, tuple[Path, Node]] = {}
    for entry in index["images"].elements():
        with report.tolerating():
            name = entry["id"].identifier()
            if name in entries:
                entry["id"].fail("an id that no other image has")
            entries[name] = entry["file_name"].image(references), entry
    groups = group_annotations(entries, index["annotations"].elements(), report)

    def read_labels(annotations: list[Node]) -> list[Label]:
        chosen = [one for one in annotations if wanted is None or one["category_id"].identifier() in wanted]
        report.drop(OTHER_CATEGORY, count=len(annotations) - len(chosen))
        return [coco_label(annotation, report) for annotation in chosen]

    listed = [*groups.values(), *unlabelled_images(references, report)]
    return indexed_records(listed, read_labels, ground_truths, report)


def _category_numbers(index: Node, names: str | None) -> set[str] | None:
    if names is None:
        return None
    known = {entry["name"].text(): entry["id"].identifier() for entry in index["categories"].elements()}
    wanted = {name.strip() for name in names.split(",")}
    if unknown := wanted - known.keys():
        raise DataError(f"has no category {', '.join(sorted(unknown))}; there are {', '.join(known)}", index.path)
    return {known[name] for name in wanted}


def coco_label(annotation: Node, report: ReadReport) -> Label:
    """The word of an annotation in COCO's form."""
    attributes = annotation.get("attributes")
    text = _text(annotation, attributes)
    ignore = text == IGNORED_TEXT or annotation.is_set("iscrowd", *IGNORE_FLAGS)
    ignore = ignore or (attributes is not None and attributes.is_set(*IGNORE_FLAGS))
    return Label(_polygon(annotation, attributes, report), text, ignore)


def _text(annotation: Node, attributes: Node | None) -> str | None:
    found = annotation.get(*_TEXT_KEYS) or (attributes.get(*_TEXT_KEYS) if attributes else None)
    return found.text().strip() if found else None


def _polygon(annotation: Node, attributes: Node | None, report: ReadReport) -> np.ndarray:
    segmentation, box = annotation.get("segmentation"), annotation.get("bbox")
    is_mask = segmentation is not None and type(segmentation.value) is dict
    parts = [] if segmentation is None or is_mask else _parts(segmentation)
    report.note(PARTS, annotation.location, count=int(len(parts) > 1))
    if not parts and box is None:
        annotation.fail("the key 'bbox' (or a segmentation)")
    return outline_or_box(parts, None if box is None else _box(box, attributes, report), annotation.location, report)


def _parts(segmentation: Node) -> list[np.ndarray]:
    """The outlines [[x, y, ...], ...]; some files have that of a single one, [x, y, ...]."""
    parts = list(segmentation.elements())
    is_single = bool(parts) and all(type(part.value) in (int, float) for part in parts)
    return [segmentation.points()] if is_single else [part.points() for part in parts]


def _box(box: Node, attributes: Node | None, report: ReadReport) -> np.ndarray:
    rotation = attributes.get("rotation") if attributes else None
    degrees = 0.0 if rotation is None else rotation.number()
    if not degrees:
        return bbox_quad(box)
    report.note(TURNED, box.location)
    left, top, width, height = box.corners()
    return rotated_box((left + width / 2, top + height / 2), width, height, math.radians(degrees))


def _split(name: str, *others: str) -> Split:
    names = (name, *others)
    truths = [f"{folder}{one}.json" for folder in ("annotations/", "") for one in (f"instances_{name}*", *names)]
    return Split(
        {
            "images": (*(f"images/{one}" for one in names), f"{name}2017", *names, "images", "imgs", "."),
            "ground_truths": (*truths, f"{name}/_annotations.coco.json"),
        },
        expected=False,
    )


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    path = values["ground_truths"]
    if not {"images", "annotations"} <= peek.keys(path) or "bezier_pts" in peek.first(path, "annotations"):
        return None
    return f"{path.name} has images and annotations, as files in COCO's form have"


READER = Reader(
    title="data of your own in COCO's form: polygons, or boxes, which become quadrilaterals",
    source="the form is described at https://cocodataset.org/#format-data",
    files="annotations/instances_<split>.json (or <split>.json) and images/<split>; or, without splits, "
    "annotations/instances_default.json, annotations.json or instances.json, and images",
    arguments=(
        IMAGES,
        Argument("ground_truths", "file", "the JSON file"),
        Argument(
            "categories",
            "text",
            "names of the categories that are text, between commas; default: all",
            optional=True,
        ),
    ),
    function=read_coco,
    policy=OWN,
    recognise=_recognise,
    splits={
        "train": _split("train", "training"),
        "val": _split("val", "validation", "valid"),
        "test": _split("test"),
        "all": Split(
            {
                "images": ("images", "imgs", "."),
                "ground_truths": (
                    "annotations/instances_default.json",
                    "annotations.json",
                    "instances.json",
                    "result.json",
                    "*.json",
                    "annotations/*.json",
                ),
            },
            fallback=True,
        ),
    },
)
