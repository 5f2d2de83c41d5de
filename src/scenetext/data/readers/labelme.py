"""LabelMe's annotations: a JSON file for each image, with shapes.

Polygons are kept, rectangles (of two corners or of four, upright or turned, as LabelMe and X-AnyLabeling write them)
become quadrilaterals, other shapes are dropped. The transcription is a shape's `description` where it has one, else its
`label`, unless that is the name of a class ("text"): then it is unknown. A shape is ignored where its text is `###`, or
`ignore`, `difficult` or `illegible` is set, among its flags or its attributes or beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.data.readers.files import annotation_files, natural_order
from scenetext.data.readers.grouped import declared_size
from scenetext.data.readers.instances import IGNORE_FLAGS, IGNORED_TEXT, Label, corners_box
from scenetext.data.readers.json_files import Node, read_json
from scenetext.data.readers.labelled import Labelled, indexed_records, unlabelled_images
from scenetext.data.readers.peek import Peek, files_with
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.structures import ImageRecord

OTHER_SHAPE = "shapes that are neither polygon nor rectangle"
RECTANGLES = "rectangles that became quadrilaterals"
_RECTANGLES = ("rectangle", "oriented_rectangle", "rotation", "quadrilateral")


def read_labelme(images: Path, ground_truths: Path, class_labels: str, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the annotations, in the order of the numbers in their names; images that are missing are counted.

    Args:
        images: folder of the images.
        ground_truths: folder of the JSON files, in itself or in subfolders, which may be the same.
        class_labels: labels that name a class instead of what is written, separated by commas.

    Raises:
        DataError: a fault of the annotations (file and location are named), or none of the images can be read.
    """
    classes = frozenset(name.strip() for name in class_labels.split(","))
    files = sorted(annotation_files(ground_truths, ".json"), key=lambda path: natural_order(str(path)))
    references = ImageReferences([images], report)
    entries: list[Labelled[Node]] = []
    for file in files:
        folder = "/".join(file.parent.relative_to(ground_truths).parts)
        read = len(entries)
        with report.tolerating():
            content = read_json(file)
            image = content["imagePath"].image(references, folder or None)
            size = declared_size(content, "imageHeight", "imageWidth")
            entries.append(Labelled(image, content["shapes"], size, is_upright=True))
        if len(entries) == read:
            references.exclude(f"{folder}/{file.stem}")
    entries += unlabelled_images(references, report)

    def read_labels(shapes: Node) -> list[Label]:
        labels = (_label(shape, classes, report) for shape in shapes.elements())
        return [label for label in labels if label is not None]

    return indexed_records(entries, read_labels, ground_truths, report)


def _label(shape: Node, classes: frozenset[str], report: ReadReport) -> Label | None:
    kind = shape.get("shape_type")
    kind_name = "polygon" if kind is None else kind.text()
    if kind_name in _RECTANGLES:
        polygon = _rectangle(shape["points"])
        report.note(RECTANGLES, shape.path.name)
    elif kind_name == "polygon":
        polygon = shape["points"].points()
    else:
        report.drop(OTHER_SHAPE, f"{kind_name:.20} in {shape.path.name}")
        return None
    text = _text(shape, classes)
    flagged = (shape, shape.get("flags"), shape.get("attributes"))
    return Label(polygon, text, text == IGNORED_TEXT or any(one and one.is_set(*IGNORE_FLAGS) for one in flagged))


def _rectangle(points: Node) -> np.ndarray:
    corners = points.points()
    if len(corners) == 4:
        return corners
    if len(corners) != 2:
        points.fail("two corners, or four")
    return corners_box(corners)


def _text(shape: Node, classes: frozenset[str]) -> str | None:
    described = shape.get("description")
    if described is not None and described.text().strip():
        return described.text().strip()
    label = shape["label"].text().strip()
    return None if label in classes else label


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    files = files_with(values["ground_truths"], ".json")
    if not files or not {"shapes", "imagePath"} <= peek.keys(files[0]):
        return None
    return f"{files[0].name} has shapes on one image, as LabelMe's files have"


READER = Reader(
    title="data of your own, annotated with LabelMe: polygons or rectangles with labels",
    source="LabelMe is at https://github.com/wkentaro/labelme",
    files="<name>.json beside the images; or annotations and images; or a folder of either sort for each split",
    arguments=(
        IMAGES,
        Argument("ground_truths", "folder", "folder of the JSON files"),
        Argument(
            "class_labels", "text", "labels that name a class, not what is written, between commas", default="text"
        ),
    ),
    function=read_labelme,
    policy=OWN,
    recognise=_recognise,
    splits={
        **{
            name: Split(
                {
                    "images": (f"{name}/images", f"images/{name}", name),
                    "ground_truths": (f"{name}/annotations", f"annotations/{name}", name),
                },
                expected=False,
            )
            for name in ("train", "val", "test")
        },
        "all": Split(
            {"images": ("images", "imgs", "."), "ground_truths": ("annotations", "labels", "*.json/..")}, fallback=True
        ),
    },
)
