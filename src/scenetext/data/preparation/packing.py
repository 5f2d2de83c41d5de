"""Smaller copies of datasets: images of a limited size, as JPEG, in tar shards (see `shards.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from scenetext.data.preparation.shard_writing import RECORDS_NAME, refuse_used_folder, write_shards
from scenetext.data.preparation.shares import Share, finish_share, is_finished
from scenetext.data.readers.report import ReadReport
from scenetext.data.records.files import RecordFile, RecordView, write_records
from scenetext.data.records.images import IMAGE_SUFFIXES, encode_image
from scenetext.data.records.index import records_index
from scenetext.data.records.samples import load_sample
from scenetext.data.records.shards import record_content
from scenetext.data.transforms.resampling import resize_image
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

SMALLEST_SIDE = 32


@dataclass(frozen=True, slots=True)
class PackSettings:
    """How much of the images is kept.

    Attributes:
        longer_side: pixels; larger images are scaled down to it, smaller ones stay as large as they are.
        quality: of JPEG, from 1 to 100.

    Raises:
        DataError: a value out of range.
    """

    longer_side: int
    quality: int

    def __post_init__(self) -> None:
        if self.longer_side < SMALLEST_SIDE:
            raise DataError(f"the longer side must be at least {SMALLEST_SIDE} pixels, got {self.longer_side}")
        if not 1 <= self.quality <= 100:
            raise DataError(f"the JPEG quality must be from 1 to 100, got {self.quality}")


@dataclass(frozen=True, slots=True)
class PackedSet:
    """The result of packing one records file.

    Attributes:
        records: the new records file, beside its shards.
        images: how many are in it.
        size: bytes of the folder.
        report: what was dropped.
    """

    records: Path
    images: int
    size: int
    report: ReadReport


def packed_folders(paths: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Where each records file is packed to: `<output>/<its folder>_<its name>`.

    Raises:
        DataError: two would be packed to the same folder, or that folder is in use.
    """
    folders: dict[Path, Path] = {}
    for path in paths:
        absolute = path.resolve()
        folder = output / "_".join(part for part in (absolute.parent.name, absolute.stem) if part)
        for other, taken in folders.items():
            if folder == taken:
                raise DataError(f"would be packed to {folder}, as {other} is; pack one of them elsewhere", path)
        refuse_used_folder(folder)
        folders[path] = folder
    return folders


def pack_records(
    path: Path,
    folder: Path,
    settings: PackSettings,
    images_per_shard: int,
    workers: int,
    maximum_faulty_share: float,
) -> PackedSet:
    """Packs the images of one records file, all of them or none; the same file gives the same shards, byte by byte.

    Args:
        folder: made if missing; must not hold shards or records.
        images_per_shard: the last shard has fewer.
        workers: processes; 1 = this one.
        maximum_faulty_share: of the images, that may be dropped because they cannot be read.

    Raises:
        DataError: what `write_shards` raises, or a line of the file is broken.
    """
    return _pack(RecordFile(path), folder, settings, images_per_shard, workers, maximum_faulty_share)


def pack_share(
    path: Path,
    share: Share,
    folder: Path,
    settings: PackSettings,
    images_per_shard: int,
    workers: int,
    maximum_faulty_share: float,
) -> PackedSet | None:
    """Packs a share of the images of one records file, to a folder of its own in the folder of the whole.

    What an earlier attempt left unfinished is removed.

    Args:
        share: of the records, by their numbers.
        folder, settings, images_per_shard, workers, maximum_faulty_share: as of `pack_records`.

    Returns:
        None where this share is there already.

    Raises:
        DataError: as `pack_records`.
    """
    target = share.path(folder / RECORDS_NAME)
    index = records_index(path, None, lambda _: None)
    made = {"content": index.content, **asdict(settings)}
    if is_finished(target, made):
        return None
    for unfinished in [*target.parent.glob("shard_*"), *target.parent.glob(RECORDS_NAME)]:
        unfinished.unlink()
    records = RecordFile(path, index.starts)
    part = RecordView(records, share.of_numbers(len(records)))
    if part:
        done = _pack(part, target.parent, settings, images_per_shard, workers, maximum_faulty_share)
    else:
        done = PackedSet(target, write_records(target, ()), 0, ReadReport())
    finish_share(target, made)
    return done


def _pack(
    records: Sequence[ImageRecord],
    folder: Path,
    settings: PackSettings,
    images_per_shard: int,
    workers: int,
    maximum_faulty_share: float,
) -> PackedSet:
    report = ReadReport()
    image_of = partial(packed_image, settings)
    count = write_shards(records, folder, images_per_shard, 0, report, image_of, workers, maximum_faulty_share)
    size = sum(one.stat().st_size for one in folder.iterdir())
    return PackedSet(folder / RECORDS_NAME, count, size, report)


def packed_image(settings: PackSettings, record: ImageRecord) -> tuple[ImageRecord, bytes]:
    """A record and its image, scaled down together where the image is too large.

    An image that need not be scaled and is no larger a file than it would be as JPEG of that quality is copied. EXIF
    orientation is not applied, as everywhere (`images.py`), and is lost where an image is encoded again.

    Returns:
        The record, with the suffix that fits, and the content of the image file.

    Raises:
        ImageError: the image cannot be read, or has not the size that its record gives.
    """
    image = load_sample(record).image
    size = packed_size((record.height, record.width), settings.longer_side)
    smaller = scaled_record(record, size)
    content = encode_image(resize_image(image, size, "bicubic"), smaller.path, settings.quality)
    if size == image.shape[:2] and record.path.suffix.lower() in IMAGE_SUFFIXES:
        stored = record_content(record)
        if len(stored) <= len(content):
            return record, stored
    return smaller, content


def packed_size(size: tuple[int, int], longer_side: int) -> tuple[int, int]:
    """(height, width) whose longer side is at most `longer_side`, in the proportion of `size` up to whole pixels."""
    scale = min(1.0, longer_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def scaled_record(record: ImageRecord, size: tuple[int, int]) -> ImageRecord:
    """The record of the same image as JPEG of another size (height, width); polygons fill the same part of it."""
    height, width = size
    stretch = np.array([width / record.width, height / record.height])
    instances = tuple(one.moved(lambda points: points * stretch) for one in record.instances)
    return replace(record, path=record.path.with_suffix(".jpg"), width=width, height=height, instances=instances)
