"""Test images turned by one angle, for figures of robustness: rotated ICDAR 2013 (Mask TextSpotter v3, section 4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.data.records.samples import load_sample
from scenetext.data.transforms.warp import warp_sample
from scenetext.errors import DataError
from scenetext.structures import ImageRecord, Sample

RECORDS_NAME = "records.jsonl"
_WHOLE = 1e-6
"""Pixels by which a canvas may be too small for its image: rounding of sines."""


def turned(sample: Sample, degrees: float) -> Sample:
    """A sample turned clockwise about its centre on a canvas that grows with it, so that no text is cut.

    Polygons and characters turn with it and still begin at the text's own first corner; new corners are black.
    """
    angle = np.deg2rad(degrees)
    matrix = np.eye(3)
    matrix[:2, :2] = [(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))]
    size = np.array(sample.image.shape[1::-1], float)
    canvas = np.ceil(np.abs(matrix[:2, :2]) @ size - _WHOLE)
    matrix[:2, 2] = canvas / 2 - matrix[:2, :2] @ (size / 2)
    width, height = canvas.astype(int).tolist()
    return warp_sample(sample, matrix, (height, width), (height, width))


def write_turned(records: Sequence[ImageRecord], folder: Path, degrees: float) -> int:
    """Writes the images of records, turned, as PNG beside their records file; the number of images.

    The same images give the same files: nothing is drawn at random.

    Raises:
        DataError: two images have the same name.
        ImageError: an image cannot be read, or has not the size that its record says.
    """
    names: dict[str, Path] = {}
    for record in records:
        if (other := names.setdefault(record.path.stem, record.path)) != record.path:
            raise DataError(f"is named like {other}; turn them apart from each other", record.path)

    def written() -> Iterator[ImageRecord]:
        for record in records:
            sample = turned(load_sample(record), degrees)
            path = folder / "images" / f"{record.path.stem}.png"
            write_image(path, sample.image)
            yield ImageRecord(path, sample.image.shape[1], sample.image.shape[0], sample.instances)

    return write_records(folder / RECORDS_NAME, written())
