"""LabelMe's annotations: a JSON file for each image, with shapes.

Polygons are kept, rectangles become quadrilaterals, other shapes are dropped. The transcription is a shape's
`description` where it has one, else its `label`, unless that is the name of a class ("text"): then it is unknown. A
shape is ignored where its text is `###`, or a flag `ignore`, `difficult` or `illegible` is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scenetext.data.readers.files import files_by_name, find_image, natural_order
from scenetext.data.readers.grouped import declared_size
from scenetext.data.readers.instances import IGNORED_TEXT, Label, box_points
from scenetext.data.readers.json_files import Node, read_json
from scenetext.data.readers.labelled import Labelled, indexed_records
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.structures import ImageRecord

OTHER_SHAPE = "shapes that are neither polygon nor rectangle"
RECTANGLES = "rectangles that became quadrilaterals"
_IGNORE_FLAGS = ("ignore", "difficult", "illegible")


def read_labelme(images: Path, ground_truths: Path, class_labels: str, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the annotations, in the order of the numbers in their names; images that are missing are counted.

    Args:
        images: folder of the images.
        ground_truths: folder of the JSON files, which may be the same.
        class_labels: labels that name a class instead of what is written, separated by commas.

    Raises:
        DataError: a fault of the annotations (file and location are named), or none of the images can be read.
    """
    classes = frozenset(name.strip() for name in class_labels.split(","))
    files = files_by_name(ground_truths, frozenset({".json"}))
    entries = []
    for name in sorted(files, key=natural_order):
        content = read_json(files[name])
        named = content["imagePath"]
        image = find_image(images, PurePosixPath(named.text().replace("\\", "/")).name)
        if image is None:
            named.fail("the name of an image")
        entries.append(Labelled(image, content["shapes"], declared_size(content, "imageHeight", "imageWidth")))

    def read_labels(shapes: Node) -> list[Label]:
        labels = (_label(shape, classes, report) for shape in shapes.elements())
        return [label for label in labels if label is not None]

    return indexed_records(entries, read_labels, ground_truths, report)


def _label(shape: Node, classes: frozenset[str], report: ReadReport) -> Label | None:
    kind = shape.get("shape_type")
    points = shape["points"]
    if kind is not None and kind.text() == "rectangle":
        corners = points.points()
        if len(corners) != 2:
            points.fail("two corners")
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        polygon = box_points(left, top, right, bottom)
        report.note(RECTANGLES, shape.path.name)
    elif kind is None or kind.text() == "polygon":
        polygon = points.points()
    else:
        report.drop(OTHER_SHAPE, f"{kind.text():.20} in {shape.path.name}")
        return None
    text = _text(shape, classes)
    flags = shape.get("flags")
    ignore = text == IGNORED_TEXT or (flags is not None and flags.is_set(*_IGNORE_FLAGS))
    return Label(polygon, text, ignore)


def _text(shape: Node, classes: frozenset[str]) -> str | None:
    described = shape.get("description")
    if described is not None and described.text().strip():
        return described.text().strip()
    label = shape["label"].text().strip()
    return None if label in classes else label


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
