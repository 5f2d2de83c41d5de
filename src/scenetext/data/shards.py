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

import tarfile
from pathlib import PurePosixPath

import numpy as np

from scenetext.data.images import decode_image, read_image
from scenetext.errors import ImageError
from scenetext.structures import ImageRecord

_BLOCK = tarfile.BLOCKSIZE
_NAME_LENGTH = 100
"""Bytes for the name in a header."""


def read_record_image(record: ImageRecord) -> np.ndarray:
    """The image of a record, from its own file or from a shard: (H, W, 3) uint8, RGB.

    Raises:
        ImageError: it cannot be read; an image in a shard is named by shard and member.
    """
    return read_image(record.path) if record.span is None else decode_image(record_content(record), record.path)


def record_content(record: ImageRecord) -> bytes:
    """The bytes of a record's image file; in a shard, the member's header must be that of this image.

    Raises:
        ImageError: the file or the shard is missing, the shard is cut short, or another member lies there.
    """
    path = record.path
    try:
        if record.span is None:
            return path.read_bytes()
        start, length = record.span
        with path.parent.open("rb") as shard:
            shard.seek(start - _BLOCK)
            content = shard.read(_BLOCK + length)
    except (OSError, ValueError) as error:  # ValueError: a place before the start of the shard
        what = "image" if record.span is None else f"the shard {path.parent.name}"
        raise ImageError(f"{what} cannot be read ({getattr(error, 'strerror', None) or error})", path) from None
    if len(content) < _BLOCK + length:
        missing = _BLOCK + length - len(content)
        raise ImageError(f"the shard is cut short: {missing} of {length} bytes of the image are missing", path)
    if not _starts(content[:_BLOCK], path.name, length):
        raise ImageError(
            "is not where the records file says; make that anew from the shards: prepare_dataset.py tar-shards", path
        )
    return content[_BLOCK:]


def _starts(header: bytes, name: str, size: int) -> bool:
    """Whether this is the header of a member of that size and name (its folders do not count).

    Long names and those beyond ASCII may be elsewhere, with this header holding a substitute: then the size must do.
    """
    try:
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    is_here = name.isascii() and b"\0" in header[:_NAME_LENGTH]
    return member.size == size and (not is_here or PurePosixPath(member.name).name == name)
