"""docTR's labels of text detection: a JSON object from the names of images to polygons, in pixels.

    {"img_1.png": {"img_dimensions": [900, 600], "img_hash": "...", "polygons": [[[x, y], ...], ...]}, ...}

`polygons` may be an object from classes to such lists. There are no transcriptions. docTR does not say in which order
`img_dimensions` are, so they are not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.instances import Label
from scenetext.data.readers.json_files import Node, read_json
from scenetext.data.readers.labelled import Labelled, indexed_records, unlabelled_images
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.structures import ImageRecord


def read_doctr(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads a file of labels, in its order; images that are missing are dropped and counted.

    Args:
        images: folder of the images.
        ground_truths: the JSON file, loaded whole.

    Raises:
        DataError: a fault of the labels (its position in the file is named), labels of docTR's text recognition, which
            have no polygons, or none of the images can be read.
    """
    references = ImageReferences([images], report)
    entries = []
    for name, entry in read_json(ground_truths).items():
        if type(entry.value) is str:
            entry.fail("polygons; a text alone labels the image of one word, for docTR's text recognition")
        with report.tolerating():
            entries.append(Labelled(entry.child(name, name).image(references), entry["polygons"]))
    entries += unlabelled_images(references, report)
    return indexed_records(entries, _labels, ground_truths, report)


def _labels(polygons: Node) -> list[Label]:
    lists = [polygons] if type(polygons.value) is list else [classed for _, classed in polygons.items()]
    return [Label(polygon.points()) for listed in lists for polygon in listed.elements()]


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    path = values["ground_truths"]
    content = peek.json(path)
    entries = list(content.values()) if isinstance(content, dict) else []
    if not entries or not all(isinstance(entry, dict) and "polygons" in entry for entry in entries):
        return None
    return f"{path.name} has polygons by the names of images, as docTR's labels have"


READER = Reader(
    title="data of your own in the form of docTR's text detection: polygons without transcriptions",
    source="the form is described at https://mindee.github.io/doctr (references/detection)",
    files="labels.json and images; or the same in a folder for each split, train and val, say",
    arguments=(IMAGES, Argument("ground_truths", "file", "the labels (labels.json)")),
    function=read_doctr,
    policy=OWN,
    recognise=_recognise,
    splits={
        **{
            name: Split({"images": (f"{name}/images",), "ground_truths": (f"{name}/labels.json",)}, expected=False)
            for name in ("train", "val", "test")
        },
        "all": Split({"images": ("images",), "ground_truths": ("labels.json",)}, fallback=True),
    },
)
