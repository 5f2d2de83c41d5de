"""Records to samples: an image in memory with its text, in which nothing has been transformed yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scenetext.data.records.shards import read_record_image
from scenetext.errors import ImageError
from scenetext.structures import ImageMeta, ImageRecord, Sample, TextInstance


def load_sample(record: ImageRecord) -> Sample:
    """The image of a record with its text, as stored.

    Raises:
        ImageError: the image cannot be read, or has not the size that the record gives (its polygons would not fit).
    """
    image = read_record_image(record)
    height, width = image.shape[:2]
    if (height, width) != (record.height, record.width):
        raise ImageError(
            f"image is {width} x {height} pixels (width x height), its record says {record.width} x {record.height}; "
            "prepare the dataset again from these images",
            record.path,
        )
    return whole_sample(image, record.path, record.instances)


def whole_sample(image: np.ndarray, path: Path, instances: Sequence[TextInstance]) -> Sample:
    """A sample in which nothing has been transformed yet: (H, W, 3) uint8 RGB, polygons in its pixels."""
    size = (image.shape[0], image.shape[1])
    return Sample(image, tuple(instances), ImageMeta(path, size, np.eye(3), size))
