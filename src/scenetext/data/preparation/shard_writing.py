"""Records with loose images to tar shards (see `shards.py`)."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scenetext.data.readers.files import IMAGE_SUFFIXES, UNREADABLE
from scenetext.data.readers.report import ReadReport
from scenetext.data.records.format import SHARD_SUFFIX, RecordError, format_record, write_records
from scenetext.data.records.images import size_of_content
from scenetext.data.records.shards import record_content
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord

RECORDS_NAME = "records.jsonl"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_STEM = 60
"""Of the image's own name; a tar header has room for 100 bytes."""


def write_shards(
    records: Sequence[ImageRecord], folder: Path, images_per_shard: int, seed: int, report: ReadReport
) -> int:
    """Writes `shard_000000.tar` ... and `records.jsonl`, all of it or nothing.

    Members are named by their number and what the image was called, as `00000017_sign_4.jpg`.
    Images are put in a random order, once, and copied as they are. Images that cannot be read, or have not the size
    that their record gives, are left out and counted.

    Args:
        folder: made if missing; must not hold shards or records.
        images_per_shard: the last shard has fewer.
        seed: of the order. The same records and seed give the same shards, byte by byte.

    Returns:
        Number of images written.

    Raises:
        DataError: the folder holds shards, the number is below 1, or no image can be read.
    """
    if images_per_shard < 1:
        raise DataError(f"a shard has at least 1 image, got {images_per_shard}")
    folder.mkdir(parents=True, exist_ok=True)
    present = sorted([*folder.glob(f"*{SHARD_SUFFIX}"), *folder.glob(RECORDS_NAME)])
    if present:
        raise DataError(f"holds {present[0].name} already; choose another folder, or empty this one", folder)
    try:
        count = write_records(folder / RECORDS_NAME, _write(records, folder, images_per_shard, seed, report))
        if not count:
            raise DataError(f"none of {len(records)} images can be read", folder)
    except BaseException:
        for path in [*folder.glob(f"shard_*{SHARD_SUFFIX}*"), *folder.glob(RECORDS_NAME)]:
            path.unlink()
        raise
    return count


def _write(
    records: Sequence[ImageRecord], folder: Path, images_per_shard: int, seed: int, report: ReadReport
) -> Iterator[ImageRecord]:
    order = iter(tqdm(np.random.default_rng(seed).permutation(len(records)), unit="image", delay=0.1, disable=None))
    readable = _readable(records, order, report)
    number = 0
    pair = next(readable, None)
    while pair is not None:
        path = folder / f"shard_{number // images_per_shard:06d}{SHARD_SUFFIX}"
        unfinished = path.with_name(path.name + ".unfinished")
        placed: list[ImageRecord] = []
        with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as shard:
            while pair is not None and len(placed) < images_per_shard:
                record, content = pair
                key = f"{number:08d}_{_UNSAFE.sub('_', record.path.stem)[:_LONGEST_STEM]}"
                name = key + record.path.suffix.lower()
                placed.append(replace(record, path=path / name, span=_add(shard, name, content)))
                _add(shard, f"{key}.json", _line(record, name))
                number += 1
                pair = next(readable, None)
        unfinished.replace(path)
        yield from placed


def _readable(
    records: Sequence[ImageRecord], order: Iterator[int], report: ReadReport
) -> Iterator[tuple[ImageRecord, bytes]]:
    """The records with the bytes of their images, in the given order."""
    for index in order:
        record = records[index]
        try:
            content = record_content(record)
            size = size_of_content(content, record.path)
            if size != (record.height, record.width):
                raise ImageError(f"image is {size[1]} x {size[0]} pixels, not as its record says", record.path)
            if record.path.suffix.lower() not in IMAGE_SUFFIXES:
                raise ImageError("has not the name of an image", record.path)
        except ImageError as error:
            report.leave_out(UNREADABLE, str(error))
            continue
        yield record, content


def _line(record: ImageRecord, name: str) -> bytes:
    """The record of an image as it is stored beside the image."""
    try:
        return format_record(replace(record, span=None), name).encode("utf-8")
    except RecordError as fault:
        raise DataError(str(fault), record.path) from None


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> tuple[int, int]:
    """Adds a member that depends on nothing but its name and content; returns where its content lies."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, BytesIO(content))
    padding = -len(content) % tarfile.BLOCKSIZE
    return shard.offset - padding - len(content), len(content)
