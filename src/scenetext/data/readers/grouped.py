"""Annotations that name their images by an identifier: COCO, COCO-Text, TextOCR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from scenetext.data.readers.instances import box_points
from scenetext.data.readers.json_files import Node
from scenetext.data.readers.labelled import Labelled
from scenetext.data.readers.report import ReadReport

UNLISTED_IMAGE = "annotations of images that the file does not list"


def declared_size(image: Node, height_key: str = "height", width_key: str = "width") -> tuple[int, int] | None:
    """(height, width) pixels as an image's entry says; None where it does not."""
    height, width = image.get(height_key), image.get(width_key)
    return None if height is None or width is None else (height.whole_number(), width.whole_number())


def group_annotations(
    images: Mapping[str, tuple[Path, Node]], annotations: Iterable[Node], report: ReadReport
) -> dict[str, Labelled[list[Node]]]:
    """Every image with its annotations, in the order of the images.

    Args:
        images: by identifier, the file and the entry.
        annotations: each with an `image_id`. A file's own lists of annotations for each image are not read.
    """
    truths: dict[str, list[Node]] = {name: [] for name in images}
    for annotation in annotations:
        with report.tolerating():
            name = annotation["image_id"].identifier()
            if name in truths:
                truths[name].append(annotation)
            else:
                report.drop(UNLISTED_IMAGE, f"image_id {name}")
    return {name: Labelled(path, truths[name], declared_size(entry)) for name, (path, entry) in images.items()}


def bbox_quad(node: Node) -> np.ndarray:
    """(4, 2) float32 of a box [x, y, width, height]."""
    left, top, width, height = node.corners()
    return box_points(left, top, left + width, top + height)
