"""Images that a run both learns from and is measured on: one data set under two names, or two splits that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scenetext.config import Settings
from scenetext.data.records.results import Add, text_hash
from scenetext.errors import DataError
from scenetext.runs.usable import RecordSet
from scenetext.structures import ImageRecord

LOOKED_AT = 10_000
"""Images of a records file that are compared: a start must not read all records of a large collection."""


class SharedImages(Settings):
    """What two records files have in common.

    Attributes:
        looked_at: images of the validation file that were compared.
        shared: how many of them are among the compared training images.
        example: the name of one; "" = there is none.
    """

    looked_at: int
    shared: int
    example: str


def shared_images(training: Sequence[RecordSet], validation: Sequence[RecordSet]) -> list[str]:
    """A warning for every two files that have images in common.

    Images are known by their files, whatever leads to them. Of a file with more than `LOOKED_AT` images a random part
    is compared. No image is read, and what was found is kept in the index of the training file.
    """
    warnings = []
    for one in training:
        for other in validation:
            found = _compared(one, other)
            if found.shared:
                warnings.append(
                    f"warning: {found.shared} of {found.looked_at} images of {other.path}, such as {found.example}, "
                    f"are also learnt from, in {one.path}: values measured on them say nothing about other images"
                )
    return warnings


def refuse_shared_images(learnt: Sequence[RecordSet], validation: Sequence[RecordSet], key: str) -> None:
    """Refuses images of the validation among those that are learnt from beside the training images: nobody means it.

    Args:
        key: of the settings that names them.

    Raises:
        DataError: names one of them.
    """
    for one in learnt:
        for other in validation:
            found = _compared(one, other)
            if found.shared:
                raise DataError(
                    f"{key}: {found.shared} of its images, such as {found.example}, are also measured on, in "
                    f"{other.path}; leave them out",
                    one.path,
                )


def _compared(one: RecordSet, other: RecordSet) -> SharedImages:
    def make(_: Add) -> SharedImages:
        known, measured = _files(one.records), _files(other.records)
        shared = [measured[key] for key in measured if key in known]
        return SharedImages(looked_at=len(measured), shared=len(shared), example=shared[0] if shared else "")

    name = text_hash(f"{other.path.resolve()} {other.results.content}")
    found, _ = one.results.get(f"shared_with_{name}", SharedImages, make)
    return found


def _files(records: Sequence[ImageRecord]) -> dict[tuple[int, int] | Path, str]:
    """Names of images, by device and number of the files that are there, or by the places in shards."""
    count = len(records)
    generator = np.random.default_rng(0)
    chosen = range(count) if count <= LOOKED_AT else np.sort(generator.choice(count, LOOKED_AT, replace=False)).tolist()
    files: dict[tuple[int, int] | Path, str] = {}
    for index in chosen:
        path = records[index].path
        if records[index].span is not None:
            files[path] = path.name
            continue
        try:
            status = path.stat()
        except OSError:
            continue  # reported where the files are checked
        files[status.st_dev, status.st_ino] = path.name
    return files
