"""SynthText150k, or CurvSynText (Liu et al., ABCNet, CVPR 2020): drawn words, many curved, as AdelaiDet has them.

Two parts in COCO's form, whose annotations have more keys. The outline is the first that is there of `bezier_pts` (16
numbers: the four control points of the upper border, then those of the lower one, backwards), `polys` (a polygon) and
`segmentation`. `rec` spells the word in indices of AdelaiDet's 95 characters, moved by a constant in SwinTextSpotter's
files (`character_indices.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.data.readers.character_indices import Spelling, find_spelling
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

POINTS_ON_BORDER = 8
"""Points that a Bezier curve is followed by, its ends included."""
SHIFTED = "words spelled in indices that are moved by {}, as those of SwinTextSpotter's files are"
FOREIGN = "words kept with an unknown text, since it has characters outside AdelaiDet's"


def read_synthtext150k(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads one part, in the order of its images; those that are missing are dropped and counted.

    Args:
        images: folder of the images.
        ground_truths: the JSON file, loaded whole.

    Raises:
        DataError: a fault of the annotations (its position in the file is named), or none of the images can be read.
    """
    index = read_json(ground_truths)
    references = ImageReferences([images], report)
    entries = {
        entry["id"].identifier(): (entry["file_name"].image(references), entry) for entry in index["images"].elements()
    }
    groups = group_annotations(entries, index["annotations"].elements(), report)

    spelling = find_spelling(
        [index for index in annotation.value["rec"] if type(index) is int]
        for annotation in index["annotations"].elements()
        if type(annotation.mapping().get("rec")) is list
    )

    def read_labels(annotations: list[Node]) -> list[Label]:
        return [Label(_outline(one), _word(one, spelling, report), one.is_set("iscrowd")) for one in annotations]

    return indexed_records(list(groups.values()), read_labels, ground_truths, report)


def bezier_polygon(control: np.ndarray) -> np.ndarray:
    """The outline between two cubic Bezier curves.

    Args:
        control: (8, 2) points: four of the upper border from left to right, four of the lower one from right to left.

    Returns:
        (2 * POINTS_ON_BORDER, 2) float32, in the same direction.
    """
    t = np.linspace(0.0, 1.0, POINTS_ON_BORDER)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    return np.concatenate([weights @ control[:4], weights @ control[4:]]).astype(np.float32)


def _outline(annotation: Node) -> np.ndarray:
    if (bezier := annotation.get("bezier_pts")) is not None:
        return bezier_polygon(np.array(bezier.corners(16)).reshape(8, 2))
    if (polygon := annotation.get("polys")) is not None:
        return polygon.points()
    segmentation = annotation["segmentation"]
    parts = list(segmentation.elements())
    if len(parts) != 1:
        segmentation.fail("one polygon")
    return parts[0].points()


def _word(annotation: Node, spelling: Spelling, report: ReadReport) -> str | None:
    listed = annotation.get("rec")
    if listed is None:
        return None
    indices = []
    for node in listed.elements():
        index = node.whole_number()
        if not 0 <= index <= spelling.largest:
            node.fail(f"an index from 0 to {spelling.largest}")
        indices.append(index)
    word = spelling.word(indices)
    report.note(FOREIGN, annotation.location, count=int(word is None))
    report.note(SHIFTED.format(spelling.shift), annotation.location, count=int(spelling.shift != 0))
    return word


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    path = values["ground_truths"]
    if not {"bezier_pts", "polys", "rec"} & peek.first(path, "annotations").keys():
        return None
    return f"{path.name} has COCO's form with Bezier curves or spelled words, as AdelaiDet's files have"


READER = Reader(
    title="SynthText150k (CurvSynText): 94,723 + 54,327 images with straight and curved words drawn into them",
    source="get it from https://github.com/aim-uofa/AdelaiDet/tree/master/datasets (syntext1.zip, syntext2.zip and the "
    "annotations)",
    files="syntext1/images and syntext1/annotations/*.json (or syntext1/train.json); syntext2 likewise",
    arguments=(IMAGES, Argument("ground_truths", "file", "the JSON file of the part")),
    function=read_synthtext150k,
    recognise=_recognise,
    splits={
        part: Split(
            {
                "images": (f"{part}/images", f"{part}/*_images"),
                "ground_truths": (f"{part}/train.json", f"{part}/annotations/train.json", f"{part}/annotations/*.json"),
            }
        )
        for part in ("syntext1", "syntext2")
    },
)
