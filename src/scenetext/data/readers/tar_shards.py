"""Tar shards without their records file: scenetext's (see `shards.py`), or webdataset's with scenetext records."""

from __future__ import annotations

import tarfile
from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from scenetext.data.readers.files import natural_order
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.records.format import SHARD_SUFFIX, RecordError, is_encodable, parse_record
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

UNPAIRED = "members without their partner (an image and a .json belong together)"
NO_FILE = "members that are no files"
EMPTY = "members without content"
OTHER = "members that are neither an image nor a .json"
_END = bytes(2 * tarfile.BLOCKSIZE)
"""What a tar ends with."""
_LARGEST_JSON = 1 << 24


def read_tar_shards(shards: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """The records of shards, from the shards alone: for those that lost their records file, or come from elsewhere.

    Args:
        shards: folder of `*.tar`, in each an image and a record (`.json`) for every key. A key is a name up to its
            first dot, as webdataset has it.

    Raises:
        DataError: there are none, or one is damaged or cut short, or holds something odd: a name that leads out, two
            members of a name, a broken record. Shard and member are named.
    """
    paths = sorted(shards.glob(f"*{SHARD_SUFFIX}"), key=lambda path: natural_order(path.name))
    if not paths:
        raise DataError(f"holds no shards (*{SHARD_SUFFIX})", shards)
    for path in tqdm(paths, unit="shard", delay=0.1, disable=None):
        try:
            yield from _read_shard(path, report)
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as problem:
            raise DataError(f"is no tar, or damaged ({problem})", path) from None
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror or error})", path) from None


def _read_shard(path: Path, report: ReadReport) -> list[ImageRecord]:
    images: dict[str, tuple[str, tuple[int, int]]] = {}
    lines: dict[str, bytes] = {}
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as shard:
        for member in shard:
            if member.isdir():
                continue
            name = _checked_name(member, path)
            key, _, ending = name.partition(".")
            if not member.isreg() or member.issparse():
                report.drop(NO_FILE, f"{path.name}/{name}")
            elif not member.size:
                report.drop(EMPTY, f"{path.name}/{name}")
            elif ending == "json":
                lines[_new(key, lines, path)] = _json_content(shard, member, path)
            elif PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
                images[_new(key, images, path)] = (name, (member.offset_data, member.size))
            else:
                report.drop(OTHER, f"{path.name}/{name}")
        file.seek(shard.offset)
        if file.read(len(_END)) != _END:
            raise DataError(f"is cut short or damaged at byte {shard.offset}; copy it again", path)
    for key in sorted(images.keys() ^ lines.keys()):
        report.drop(UNPAIRED, f"{path.name}/{key}")
    return [_record_in_shard(path, key, name, span, lines[key]) for key, (name, span) in images.items() if key in lines]


def _checked_name(member: tarfile.TarInfo, path: Path) -> str:
    """A member's name without its folders, which do not count."""
    parts = PurePosixPath(member.name).parts
    if not parts or ".." in parts or member.name.startswith("/") or not is_encodable(member.name):
        raise DataError(f"the member {member.name!a:.100} has a name that no shard should have", path)
    return parts[-1]


def _new(key: str, known: Container[str], path: Path) -> str:
    if key in known:
        raise DataError(f"has two members of the key {key!r:.100}", path)
    return key


def _json_content(shard: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    file = shard.extractfile(member) if member.size <= _LARGEST_JSON else None
    if file is None:
        raise DataError(f"the member {member.name!r:.100} is too large for a record", path)
    return file.read()


def _record_in_shard(path: Path, key: str, name: str, span: tuple[int, int], line: bytes) -> ImageRecord:
    """The record in a shard, with the position of its image."""
    try:
        return replace(parse_record(line, path.parent), path=path / name, span=span)
    except RecordError as problem:
        raise DataError(f"the member {key!r:.100}.json: {problem}", path) from None


READER = Reader(
    title="tar shards that lack their records file, or were written by webdataset with scenetext records in them",
    source="shards are made by `scenetext prepare shards`, or by https://github.com/webdataset/webdataset",
    files="a folder of *.tar with an image and a .json of the same name for every image",
    arguments=(Argument("shards", "folder", "folder of the shards"),),
    function=read_tar_shards,
)
