"""Records with loose images to tar shards (see `shards.py`)."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scenetext.data.preparation.processes import in_processes
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.report import ReadReport
from scenetext.data.records.files import write_records
from scenetext.data.records.format import SHARD_SUFFIX, RecordError, format_record
from scenetext.data.records.images import IMAGE_SUFFIXES, one_opencv_thread, size_of_content
from scenetext.data.records.shards import record_content
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord

RECORDS_NAME = "records.jsonl"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_STEM = 60
"""Of the image's own name; a tar header has room for 100 bytes."""
_CHUNK = 16
"""Images that a process gets at a time."""

ImageOf = Callable[[ImageRecord], tuple[ImageRecord, bytes]]
"""From a record to the record and the content of the image to write; picklable. Raises ImageError where it cannot."""


def stored_image(record: ImageRecord) -> tuple[ImageRecord, bytes]:
    """A record and the content of its image file, as they are.

    Raises:
        ImageError: the image cannot be read, has not the size that its record gives, or not the name of an image.
    """
    content = record_content(record)
    size = size_of_content(content, record.path)
    if size != (record.height, record.width):
        raise ImageError(f"image is {size[1]} x {size[0]} pixels, not as its record says", record.path)
    if record.path.suffix.lower() not in IMAGE_SUFFIXES:
        raise ImageError("has not the name of an image", record.path)
    return record, content


def write_shards(
    records: Sequence[ImageRecord],
    folder: Path,
    images_per_shard: int,
    seed: int,
    report: ReadReport,
    image_of: ImageOf = stored_image,
    workers: int = 1,
    maximum_faulty_share: float = 1,
) -> int:
    """Writes `shard_000000.tar` ... and `records.jsonl`, all of it or nothing.

    Members are named by their number and what the image was called, as `00000017_sign_4.jpg`.
    Images are put in a random order, once. Images that cannot be read, or have not the size that their record gives,
    are dropped and counted.

    Args:
        folder: made if missing; must not hold shards or records.
        images_per_shard: the last shard has fewer.
        seed: of the order. The same records and seed give the same shards, byte by byte, for any number of workers.
        image_of: what to write for a record.
        workers: processes that get the images; 1 = this one.
        maximum_faulty_share: of the images, that may be dropped.

    Returns:
        Number of images written.

    Raises:
        DataError: the folder holds shards, a number is below 1, or too many images or all of them cannot be read.
    """
    if images_per_shard < 1:
        raise DataError(f"a shard has at least 1 image, got {images_per_shard}")
    refuse_used_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(records))
    images = _readable(records, order, image_of, workers, maximum_faulty_share, report)
    try:
        with closing(images):  # ends the processes, also where an error keeps the generators alive
            count = write_records(folder / RECORDS_NAME, _write(images, folder, images_per_shard))
        if not count:
            raise DataError(f"none of {len(records)} images can be read", folder)
    except BaseException:
        for path in [*folder.glob(f"shard_*{SHARD_SUFFIX}*"), *folder.glob(RECORDS_NAME)]:
            path.unlink()
        raise
    return count


def refuse_used_folder(folder: Path) -> None:
    """Shards are never mixed with others.

    Raises:
        DataError: the folder holds shards or records.
    """
    present = sorted([*folder.glob(f"*{SHARD_SUFFIX}"), *folder.glob(RECORDS_NAME)])
    if present:
        raise DataError(f"holds {present[0].name} already; choose another folder, or empty this one", folder)


def _write(images: Iterator[tuple[ImageRecord, bytes]], folder: Path, images_per_shard: int) -> Iterator[ImageRecord]:
    number = 0
    pair = next(images, None)
    while pair is not None:
        path = folder / f"shard_{number // images_per_shard:06d}{SHARD_SUFFIX}"
        unfinished = path.with_name(path.name + ".unfinished")
        written: list[ImageRecord] = []
        with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as shard:
            while pair is not None and len(written) < images_per_shard:
                record, content = pair
                key = f"{number:08d}_{_UNSAFE.sub('_', record.path.stem)[:_LONGEST_STEM]}"
                name = key + record.path.suffix.lower()
                written.append(replace(record, path=path / name, span=_add(shard, name, content)))
                _add(shard, f"{key}.json", _line(record, name))
                number += 1
                pair = next(images, None)
        unfinished.replace(path)
        yield from written


def _readable(
    records: Sequence[ImageRecord],
    order: np.ndarray,
    image_of: ImageOf,
    workers: int,
    maximum_faulty_share: float,
    report: ReadReport,
) -> Generator[tuple[ImageRecord, bytes]]:
    """What to write for the records, in the given order."""
    chunks = ([records[i] for i in order[first : first + _CHUNK]] for first in range(0, len(order), _CHUNK))
    results = chain.from_iterable(in_processes(partial(_images_or_errors, image_of), chunks, workers))
    for result in tqdm(results, total=len(order), unit="image", delay=0.1, disable=None):
        if not isinstance(result, str):
            yield result
            continue
        report.drop(UNREADABLE, result)
        faults = report.dropped[UNREADABLE]
        if faults.count > maximum_faulty_share * len(order):
            raise DataError(
                f"of {len(order)} images, more cannot be read than maximum_faulty_share = {maximum_faulty_share:g} "
                f"allows: {faults}"
            )


def _images_or_errors(image_of: ImageOf, records: Sequence[ImageRecord]) -> list[tuple[ImageRecord, bytes] | str]:
    """What to write for each record, or what is wrong with its image."""
    results: list[tuple[ImageRecord, bytes] | str] = []
    with one_opencv_thread():  # the processes share the cores
        for record in records:
            try:
                results.append(image_of(record))
            except ImageError as error:
                results.append(str(error))
    return results


def _line(record: ImageRecord, name: str) -> bytes:
    """The record of an image as it is stored beside the image."""
    try:
        return format_record(replace(record, span=None), name).encode("utf-8")
    except RecordError as fault:
        raise DataError(str(fault), record.path) from None


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> tuple[int, int]:
    """Adds a member that depends on nothing but its name and content; returns the span of the content in bytes."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, BytesIO(content))
    padding = -len(content) % tarfile.BLOCKSIZE
    return shard.offset - padding - len(content), len(content)
