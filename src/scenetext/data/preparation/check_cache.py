"""Checks of records files that are kept with their indexes, so that the next training starts at once.

A result is used as long as the records file has the same content and place, and the images that were faulty still are:
those are looked at again, so that images which were missing once (a folder not mounted, a download not finished) are
not refused for ever. Of images that were changed or deleted since it says nothing: `scenetext prepare check` looks at
them again, and a training skips and counts them.
"""

from __future__ import annotations

from pathlib import Path

from scenetext.config import Settings
from scenetext.data.preparation.checks import RecordsCheck, check_records, has_same_faulty_images
from scenetext.data.records.files import RecordFile
from scenetext.data.records.index import RecordsIndex
from scenetext.data.records.results import Add

_VERSION = 3
"""Of what a check looks at; results of another version are made again."""


class _KeptCheck(Settings):
    version: int
    path: str
    """Absolute: relative paths of images lead elsewhere from another folder."""
    check: RecordsCheck


def checked_records(path: Path, index: RecordsIndex, again: bool = False) -> RecordsCheck:
    """The check of a records file: the kept one if neither the file nor its faulty images changed, else a new one.

    Args:
        index: of the file.
        again: check in any case, as after images have changed; the result is kept all the same.

    Raises:
        DataError: the records file cannot be read.
    """
    records = RecordFile(path, index.starts)
    place = str(path.resolve()).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def make(_: Add) -> _KeptCheck:
        return _KeptCheck(version=_VERSION, path=place, check=check_records(records))

    def holds(kept: _KeptCheck) -> bool:
        is_of_file = (kept.version, kept.path) == (_VERSION, place)
        return is_of_file and not again and has_same_faulty_images(records, kept.check)

    return index.results.get("check", _KeptCheck, make, holds)[0].check
