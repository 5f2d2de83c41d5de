"""Records to samples: an image in memory with its text, in which nothing has been transformed yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scenetext.data.records.orientation import turn_upright, upright_to_stored
from scenetext.data.records.shards import read_record_image
from scenetext.errors import ImageError
from scenetext.structures import ImageMeta, ImageRecord, Sample, TextInstance


def load_sample(record: ImageRecord, keep_alpha: bool = False) -> Sample:
    """The image of a record with its text, as stored.

    Args:
        keep_alpha: as a fourth channel, where the file has one, as glyph layers have.

    Raises:
        ImageError: the image cannot be read, or has not the size that the record gives (its polygons would not fit).
    """
    image = read_record_image(record, keep_alpha)
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


def upright_sample(image: np.ndarray, orientation: int, path: Path) -> Sample:
    """A sample without text that shows an image upright; what is found in it comes back in stored pixels.

    Args:
        image: (H, W, 3) uint8 RGB, the stored pixels.
        orientation: of EXIF, 1 to 8.
    """
    stored, upright = (image.shape[0], image.shape[1]), turn_upright(image, orientation)
    to_stored = upright_to_stored(stored, orientation)
    return Sample(upright, (), ImageMeta(path, stored, to_stored, (upright.shape[0], upright.shape[1])))
