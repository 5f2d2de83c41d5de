"""A records file that is open for reading."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from scenetext.data.records.images import FOREIGN_SUFFIXES, IMAGE_SUFFIXES
from scenetext.errors import DataError


class OpenFile:
    """Reads a records file at any position, in any process.

    There is no position of its own that forked processes would share, and no mapping: the pages of a file that is read
    in random order would count as memory of the process, up to the size of the file.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.suffix.lower() in IMAGE_SUFFIXES | FOREIGN_SUFFIXES:
            raise DataError(
                "is an image, where a records file (.jsonl) is expected; scenetext prepare makes one of images and "
                "their annotations",
                path,
            )
        try:
            self._number = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._number)
            os.pread(self._number, 1, 0)
        except (OSError, ValueError) as error:  # ValueError: a zero in the name
            raise self._error(error) from None

    def read(self, start: int, length: int) -> bytes:
        """So many bytes, fewer at the end of the file.

        Raises:
            DataError: as above.
        """
        try:
            return os.pread(self._number, length, start)
        except OSError as error:
            raise self._error(error) from None

    def status(self) -> os.stat_result:
        """Size and times."""
        return os.fstat(self._number)

    def _error(self, error: Exception) -> DataError:
        reason = str(getattr(error, "strerror", None) or error)
        if isinstance(error, FileNotFoundError) and not self._path.is_absolute():
            reason += f"; looked for in {Path.cwd()}"
        return DataError(f"records file cannot be read ({reason})", self._path)
