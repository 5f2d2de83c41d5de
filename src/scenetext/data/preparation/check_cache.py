"""A cache of the checks of records files, so that the next training starts at once.

A result is kept with the path of the records file, its size, time of change and SHA-256, and is used only where all
of them are the same and the images that were faulty still are: those are looked at again, so that images which were
missing once (a folder not mounted, a download not finished) are not refused for ever. Of images that were changed or
deleted since it says nothing: `scenetext prepare check` looks at them again, and a training skips and counts them.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from scenetext.config import Settings
from scenetext.data.preparation.checks import RecordsCheck, check_records, has_same_faulty_images
from scenetext.errors import DataError

_VERSION = 3
"""Of what a check looks at; results of another version are made again."""
_PIECE = 1 << 24


class FileIdentity(Settings):
    """What must be the same for a result to hold."""

    version: int = _VERSION
    path: str
    """Absolute: relative paths of images lead elsewhere from another folder."""
    size: int
    """Bytes."""
    changed: int
    """Time of the last change, nanoseconds."""
    sha256: str
    """Of the content, in hexadecimal digits."""


class _KeptCheck(Settings):
    """The content of a result file."""

    file: FileIdentity
    check: RecordsCheck


def checked_records(
    path: Path, folder: Path | None, report: Callable[[str], None], again: bool = False
) -> RecordsCheck:
    """The check of a records file: the cached one if neither the file nor its faulty images changed, else a new one.

    Args:
        folder: where results are kept; None = beside the records files.
        report: gets a message if a result cannot be kept.
        again: check in any case, as after images have changed; the result is kept all the same.

    Raises:
        DataError: the records file cannot be read.
    """
    identity = identify(path)
    kept = kept_path(path, folder)
    check = None if again else _read(kept, identity)
    if check is None or not has_same_faulty_images(path, check):
        check = check_records(path)
        if identify(path) == identity:
            _keep(kept, _KeptCheck(file=identity, check=check), report)
    return check


def kept_path(path: Path, folder: Path | None) -> Path:
    """Where the result of a records file is kept."""
    if folder is None:
        return path.with_name(f".{path.name}.check.json")
    path_hash = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return folder / f"{path.stem}_{path_hash}.check.json"


def identify(path: Path) -> FileIdentity:
    """What distinguishes this records file from another one, or from an earlier version of it.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    for start in range(0, len(content), _PIECE):
                        digest.update(content[start : start + _PIECE])
    except (OSError, ValueError) as error:
        raise DataError(f"records file cannot be read ({getattr(error, 'strerror', None) or error})", path) from None
    absolute = str(path.resolve()).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return FileIdentity(path=absolute, size=status.st_size, changed=status.st_mtime_ns, sha256=digest.hexdigest())


def _read(kept: Path, identity: FileIdentity) -> RecordsCheck | None:
    """The result, where there is one of this very file."""
    try:
        content = _KeptCheck.model_validate_json(kept.read_bytes())
    except (OSError, ValidationError):  # none yet, or of another version: made again
        return None
    return content.check if content.file == identity else None


def _keep(kept: Path, content: _KeptCheck, report: Callable[[str], None]) -> None:
    """Writes the result, whole or not at all."""
    temporary = kept.with_name(f"{kept.name}.{os.getpid()}.tmp")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(content.model_dump_json(), encoding="utf-8")
        temporary.replace(kept)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        report(
            f"{kept}: the result of the check cannot be kept ({error.strerror}); data.check_folder names another folder"
        )
