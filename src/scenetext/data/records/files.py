"""Records files: writing them, and reading records that stay on disk until they are needed.

A list of records grows with the dataset: 5 KB an image of SynthText, several GB in all, of which every loader process
ends up with a copy. In `RecordFiles` an image costs some 30 bytes, and a record is parsed when it is needed, in a
hundredth of the time that its image takes to decode.
"""

from __future__ import annotations

import mmap
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from scenetext.data.records.format import RecordError, format_record, parse_record
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

_PIECE = 1 << 26
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_BLANK = 40
"""Characters of a line below which it may be blank; the shortest record has more."""


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
            return RecordView(self, np.arange(len(self))[index])
        return self._record(range(len(self))[index])

    @abstractmethod
    def _record(self, index: int) -> ImageRecord:
        """The record at an index, 0 <= index < length."""


class RecordFiles(LazyRecords):
    """The records of several files, one after the other; blank lines are skipped.

    Cheap to send to other processes, which read the files themselves; the files must stay as they are.

    Args:
        paths: records files (JSON lines).

    Raises:
        DataError: a file cannot be read. While records are taken: a line is broken, named by file and number.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._maps: dict[int, mmap.mmap] = {}
        indices = [self._index(number) for number in range(len(self.paths))]
        self._lines = np.concatenate(indices) if indices else np.empty((0, 3), dtype=np.int64)
        self._firsts = np.cumsum([0, *map(len, indices)])

    def __len__(self) -> int:
        return len(self._lines)

    def _record(self, index: int) -> ImageRecord:
        number = _sequence_of(index, self._firsts)
        start, end, line = self._lines[index].tolist()
        path = self.paths[number]
        try:
            return parse_record(self._content(number)[start:end], path.parent)
        except RecordError as fault:
            raise DataError(str(fault), path, line) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    def _content(self, number: int) -> mmap.mmap:
        if number not in self._maps:
            path = self.paths[number]
            try:
                with path.open("rb") as file:
                    self._maps[number] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise DataError(f"records file cannot be read ({reason})", path) from None
        return self._maps[number]

    def _index(self, number: int) -> np.ndarray:
        """(lines, 3) int64: first byte, last byte + 1 and 1-based number of every line that is not blank."""
        path = self.paths[number]
        if path.is_file() and not path.stat().st_size:
            return np.empty((0, 3), dtype=np.int64)
        content = self._content(number)
        ends = np.append(_line_ends(content), len(content))
        starts = np.concatenate([[0], ends[:-1] + 1])
        if content[:3] == _BYTE_ORDER_MARK:
            starts[0] = 3
        lines = np.stack([starts, ends, np.arange(1, len(ends) + 1)], axis=1)
        short = np.flatnonzero(ends - starts < _LONGEST_BLANK)
        blank = [line for line in short if not content[starts[line] : ends[line]].strip()]
        return np.delete(lines, blank, axis=0)


class RecordView(LazyRecords):
    """Some of the records of another sequence, in any order, changed when they are asked for.

    Args:
        records: where they are.
        indices: (n,) int64, which of them.
        change: what to do with each; must be picklable.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        indices: np.ndarray,
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
        number = _sequence_of(index, self._firsts)
        return self._sequences[number][index - int(self._firsts[number])]


def _stored_name(path: Path, folder: str) -> str:
    """The path that is written for an image; `folder` is absolute and ends with a separator."""
    absolute = os.path.abspath(path)  # noqa: PTH100 (text: many times faster per record)
    name = absolute[len(folder) :] if absolute.startswith(folder) else absolute
    return name.replace(os.sep, "/")


def _sequence_of(index: int, firsts: np.ndarray) -> int:
    """Which of several sequences, one after the other, holds an index; `firsts` are where they start, and the end."""
    return int(np.searchsorted(firsts, index, side="right")) - 1


def _line_ends(content: mmap.mmap) -> np.ndarray:
    """Positions of the line feeds; the file is searched a piece at a time."""
    positions = [
        np.flatnonzero(np.frombuffer(content[start : start + _PIECE], dtype=np.uint8) == ord("\n")) + start
        for start in range(0, len(content), _PIECE)
    ]
    return np.concatenate(positions)
