"""A sheet of some images of a dataset with their ground truth, to see whether the polygons lie on the text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from scenetext.data.records.images import write_image
from scenetext.data.records.samples import load_sample
from scenetext.drawing.detections import draw_instances, instances_legend
from scenetext.drawing.sheets import add_legend, sheet
from scenetext.errors import ImageError
from scenetext.structures import ImageRecord, Sample, TextInstance

COLUMNS = 3
TILE_WIDTH = 480
"""Pixels."""
_WORDS_IN_TITLE = 5


def write_sample_sheet(path: Path, records: Sequence[ImageRecord], count: int = 12, seed: int = 0) -> list[ImageError]:
    """Draws images picked at random, the same ones every time, in the order of the dataset.

    Texts are written beside their polygons where they are ASCII; those without polygon stand in the title.

    Args:
        path: the picture to write (.jpg or .png); it is not written where no image can be shown.
        records: of a dataset; only those that are drawn are taken.
        count: images on the sheet, at most.

    Returns:
        What is wrong with those that cannot be decoded, which are not on the sheet.
    """
    tiles, titles, errors = [], [], []
    shown: list[TextInstance] = []
    for index in sorted(random.Random(seed).sample(range(len(records)), min(count, len(records)))):  # noqa: S311
        try:
            sample = load_sample(records[index])
        except ImageError as error:
            errors.append(error)
            continue
        tiles.append(_tile(sample))
        titles.append(_title(records[index]))
        shown += sample.instances
    if tiles:
        write_image(path, add_legend(sheet(tiles, titles, COLUMNS, TILE_WIDTH), instances_legend(shown)))
    return errors


def _tile(sample: Sample) -> np.ndarray:
    """The image at the size of its tile, with the ground truth: drawn after scaling, so that letters can be read."""
    height, width = sample.image.shape[:2]
    scale = min(TILE_WIDTH / width, 1.5 * TILE_WIDTH / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    stretch = np.array([size[0] / width, size[1] / height], dtype=np.float32)
    return draw_instances(image, [_scaled(instance, stretch) for instance in sample.instances])


def _scaled(instance: TextInstance, stretch: np.ndarray) -> TextInstance:
    text = instance.text if instance.text is not None and instance.text.isascii() else None
    return replace(instance.moved(lambda points: points * stretch), text=text)


def _title(record: ImageRecord) -> str:
    without_polygon = [instance.text for instance in record.instances if instance.polygon is None and instance.text]
    if without_polygon:
        return f"{record.path.name}: {' '.join(without_polygon[:_WORDS_IN_TITLE])}"
    ignored = sum(instance.ignore for instance in record.instances)
    return f"{record.path.name}: {len(record.instances)} words, {ignored} ignored"
