"""Images in tar shards, for collections too large for loose files.

A shard is a plain tar in webdataset's layout: for every image two members, `<key>.<suffix>` with the image as it was
and `<key>.json` with its record. The records file beside the shards is the index: its lines say at which byte of which
shard an image lies. So an image is read with one seek, by any process, in any order: the order of training is that of
loose files (`loader.StepSampler`), fixed by seed and step alone, and going on from a step reads nothing before it. The
webdataset library, which reads shards from the start to the end, is not needed; it reads these shards too, and shards
that it wrote get their records file from the reader `tar-shards`.

Nothing is ever unpacked, so the name of a member is no more than a name.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np

from scenetext.data.records.images import decode_image, image_size, read_image, size_of_content
from scenetext.errors import ImageError
from scenetext.structures import ImageRecord

_BLOCK = tarfile.BLOCKSIZE
_NAME_LENGTH = 100
"""Bytes for the name in a header."""
_IMAGE_HEADER = 1 << 12
"""Bytes in which nearly every image says its size."""


def read_record_image(record: ImageRecord, keep_alpha: bool = False) -> np.ndarray:
    """The image of a record, from its own file or from a shard: (H, W, 3) uint8, RGB; alpha as in `decode_image`.

    Raises:
        ImageError: it cannot be read; an image in a shard is named by shard and member.
    """
    if record.span is None:
        return read_image(record.path, keep_alpha)
    return decode_image(record_content(record), record.path, keep_alpha)


def record_image_size(record: ImageRecord) -> tuple[int, int]:
    """(height, width) of a record's image in stored pixels, from its header alone; a truncated image may pass.

    Raises:
        ImageError: as `read_record_image`, or it is no image.
    """
    if record.span is None:
        return image_size(record.path)
    start = _member_content(record.path, record.span, _IMAGE_HEADER)
    try:
        return size_of_content(start, record.path)
    except ImageError:  # thumbnails and colour profiles come before the size, and may be long
        return size_of_content(record_content(record), record.path)


def record_content(record: ImageRecord) -> bytes:
    """The bytes of a record's image file; in a shard, the member's header must be that of this image.

    Raises:
        ImageError: the file or the shard is missing, the shard is cut short, or another member is at this position.
    """
    if record.span is not None:
        return _member_content(record.path, record.span, record.span[1])
    try:
        return record.path.read_bytes()
    except (OSError, ValueError) as error:
        raise ImageError(f"image cannot be read ({getattr(error, 'strerror', None) or error})", record.path) from None


def _member_content(path: Path, span: tuple[int, int], most: int) -> bytes:
    """The first bytes, at most so many, of an image in a shard that is all there."""
    start, length = span
    try:
        with path.parent.open("rb") as shard:
            missing = start + length - os.fstat(shard.fileno()).st_size
            shard.seek(start - _BLOCK)
            content = shard.read(_BLOCK + min(length, most))
    except (OSError, ValueError) as error:  # ValueError: a position before the start of the shard
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"the shard {path.parent.name} cannot be read ({reason})", path) from None
    if missing > 0:
        raise ImageError(
            f"the shard is cut short: {min(missing, length)} of {length} bytes of the image are missing", path
        )
    if not _starts(content[:_BLOCK], path.name, length):
        raise ImageError(
            "is not where the records file says; write that file again from the shards: scenetext prepare tar-shards",
            path,
        )
    return content[_BLOCK:]


def _starts(header: bytes, name: str, size: int) -> bool:
    """Whether this is the header of a member of that size and name (its folders do not count).

    Long names and those beyond ASCII may be in another header, and this one holds a substitute: then only the size is
    compared.
    """
    try:
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    is_here = name.isascii() and b"\0" in header[:_NAME_LENGTH]
    return member.size == size and (not is_here or PurePosixPath(member.name).name == name)
