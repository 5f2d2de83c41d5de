"""Records files: writing them, and reading records that stay on disk until they are needed.

A list of records grows with the dataset: 5 KB an image of SynthText, several GB in all, of which every loader process
ends up with a copy. In a `RecordFile` an image costs 8 bytes, or none where an index is kept (`index.py`), and a record
is parsed when it is needed, in a hundredth of the time that its image takes to decode.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from scenetext.data.records.format import RecordError, format_record, parse_record
from scenetext.data.records.index import line_number, line_starts
from scenetext.data.records.open_file import OpenFile
from scenetext.data.records.results import Rows
from scenetext.errors import DataError
from scenetext.structures import ImageRecord


def write_records(path: Path, records: Iterable[ImageRecord]) -> int:
    """Writes a records file, whole or not at all (a temporary file beside it is renamed at the end).

    Image paths inside the folder of `path` are stored relative to it, so that the folder can be moved; others are
    stored absolute.

    Args:
        path: the file to write or replace; missing folders are made.
        records: may be a generator; nothing is kept in memory.

    Returns:
        Number of records written.

    Raises:
        DataError: a record that `read_records` would refuse; an existing file is then left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    folder = os.path.join(os.path.abspath(path.parent), "")  # noqa: PTH100, PTH118 (text: many times faster per record)
    count = 0
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for count, record in enumerate(records, start=1):
                try:
                    file.write(format_record(record, _stored_name(record.path, folder)))
                except RecordError as fault:
                    raise DataError(f"record {count} ({str(record.path)!a}): {fault}", path) from None
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def read_records(path: Path) -> list[ImageRecord]:
    """All records of a file, every line of it checked; for small files.

    Raises:
        DataError: names the file, the line and what is wrong with it.
    """
    return list(RecordFiles([path]))


class LazyRecords(Sequence[ImageRecord]):
    """Records made when they are asked for; a slice is a view. A subclass says how many there are and makes one."""

    @overload
    def __getitem__(self, index: int) -> ImageRecord: ...

    @overload
    def __getitem__(self, index: slice) -> RecordView: ...

    def __getitem__(self, index: int | slice) -> ImageRecord | RecordView:
        """A record, or a view of several."""
        if isinstance(index, slice):
            return RecordView(self, range(len(self))[index])
        return self._record(range(len(self))[index])

    @abstractmethod
    def _record(self, index: int) -> ImageRecord:
        """The record at an index, 0 <= index < length."""


class RecordFile(LazyRecords):
    """The records of a file; blank lines are skipped.

    Cheap to send to other processes, which read the file themselves; it must stay as it is.

    Args:
        path: records file (JSON lines).
        starts: first bytes of its lines, where an index was made; else one beside the file is looked for, and without
            one the file is read.

    Raises:
        DataError: the file cannot be read. While records are taken: a line is broken, named by file and number.
    """

    def __init__(self, path: Path, starts: Rows | None = None) -> None:
        self.path = path
        self._file: OpenFile | None = OpenFile(path)
        self._size = self._file.status().st_size
        self._starts = line_starts(self._file, path) if starts is None else starts

    def __len__(self) -> int:
        return len(self._starts)

    def _record(self, index: int) -> ImageRecord:
        start = int(self._starts[index])
        end = int(self._starts[index + 1]) if index + 1 < len(self._starts) else self._size
        if self._file is None:
            self._file = OpenFile(self.path)
        try:
            return parse_record(self._file.read(start, end - start), self.path.parent)
        except RecordError as fault:
            raise DataError(str(fault), self.path, line_number(self._file, start)) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


class RecordView(LazyRecords):
    """Some of the records of another sequence, in any order, changed when they are asked for.

    Args:
        records: where they are.
        indices: which of them, as whole numbers.
        change: what to do with each; must be picklable.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        indices: Rows,
        change: Callable[[ImageRecord], ImageRecord] | None = None,
    ) -> None:
        self._records = records
        self._indices = indices
        self._change = change

    def __len__(self) -> int:
        return len(self._indices)

    def _record(self, index: int) -> ImageRecord:
        record = self._records[int(self._indices[index])]
        return record if self._change is None else self._change(record)


class JoinedRecords(LazyRecords):
    """The records of several sequences, one after the other."""

    def __init__(self, sequences: Sequence[Sequence[ImageRecord]]) -> None:
        self._sequences = tuple(sequences)
        self._firsts = np.cumsum([0, *map(len, self._sequences)])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def _record(self, index: int) -> ImageRecord:
        number = int(np.searchsorted(self._firsts, index, side="right")) - 1
        return self._sequences[number][index - int(self._firsts[number])]


class RecordFiles(JoinedRecords):
    """The records of several files, one after the other: see `RecordFile`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__([RecordFile(path) for path in paths])


def _stored_name(path: Path, folder: str) -> str:
    """The path that is written for an image; `folder` is absolute and ends with a separator."""
    absolute = os.path.abspath(path)  # noqa: PTH100 (text: many times faster per record)
    name = absolute[len(folder) :] if absolute.startswith(folder) else absolute
    return name.replace(os.sep, "/")
