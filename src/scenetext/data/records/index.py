"""The index of a records file: where its lines start, and what its content is, kept so that a start reads neither.

An index holds as long as its file has the size, the time of modification and the time of change that it had. The system
sets the time of change (`st_ctime`) at every write, and no program can set it back, so nothing else need be read. Where
it differs, which also a copy or a new link makes it do, the index is made again; results about the records hold as
long as the content has the same hash. File systems date changes in steps, some of two seconds; so an index that was
made within two seconds of the last change is made again, too.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scenetext.config import Settings
from scenetext.data.records.open_file import OpenFile
from scenetext.data.records.results import Add, Results, Rows, read_result, results_folder

_LINES = "lines"
_PIECE = 1 << 24
_THREADS = 8
_LONGEST_BLANK = 40
"""Characters of a line below which it may be blank; the shortest record has more."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STEP_OF_TIMES = 2_000_000_000
"""Nanoseconds."""


class FileStamp(Settings):
    """What tells a file from an earlier version of itself without reading it."""

    size: int
    """Bytes."""
    modified: int
    """Time of the last modification, nanoseconds."""
    changed: int
    """Time of the last change of content, name or owner, nanoseconds."""


class Lines(Settings):
    """The facts of an index."""

    file: FileStamp
    content: str
    """Hash of the file: SHA-256 of the SHA-256s of its pieces of 16 MiB, in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class RecordsIndex:
    """An index.

    Attributes:
        starts: first byte of every line that is not blank.
        content: hash of the file.
        results: the results about its records.
    """

    starts: Rows
    content: str
    results: Results


def records_index(path: Path, folder: Path | None, report: Callable[[str], None]) -> RecordsIndex:
    """The index of a records file: the kept one where it holds, else a new one, which is kept.

    Args:
        folder: where indexes are kept; None = beside the records files.
        report: gets a message, once, if the index or a result about the records cannot be kept.

    Raises:
        DataError: the records file cannot be read.
    """
    file, kept_in, report = OpenFile(path), results_folder(path, folder), cache(report)  # the same message once
    make, holds = partial(_make, file, path.name), partial(_holds, file, kept_in)
    lines, starts = Results(kept_in, "", report).get(_LINES, Lines, make, holds)
    return RecordsIndex(starts, lines.content, Results(kept_in, lines.content, report))


def line_starts(file: OpenFile, path: Path) -> Rows:
    """First byte of every line of a records file that is not blank, from an index beside the file or the file itself.

    Raises:
        DataError: the file cannot be read.
    """
    kept_in = results_folder(path, None)
    kept = read_result(kept_in / _LINES, Lines, "")
    if kept is not None and _holds(file, kept_in, kept[0]):
        return kept[1]
    pieces = (_starts_in(_read_piece(file, first), first) for first in _pieces(file.status().st_size))
    return np.concatenate([np.empty(0, dtype=np.int64), *pieces])


def line_number(file: OpenFile, start: int) -> int:
    """1-based number of the line that starts at a byte."""
    lengths = ((first, min(_PIECE, start - first)) for first in _pieces(start))
    return 1 + sum(file.read(first, length).count(b"\n") for first, length in lengths)


def _holds(file: OpenFile, kept_in: Path, lines: Lines) -> bool:
    stamp = _stamp(file)
    try:
        made = (kept_in / _LINES).stat().st_mtime_ns
    except OSError:
        return False
    return lines.file == stamp and made - stamp.changed > _STEP_OF_TIMES


def _stamp(file: OpenFile) -> FileStamp:
    status = file.status()
    return FileStamp(size=status.st_size, modified=status.st_mtime_ns, changed=status.st_ctime_ns)


def _make(file: OpenFile, name: str, add: Add) -> Lines:
    """Reads the file once, in several threads."""
    stamp = _stamp(file)  # before anything is read: where the file changes meanwhile, the index does not hold
    content = sha256()
    with (
        ThreadPoolExecutor(_THREADS) as threads,
        tqdm(total=stamp.size, desc=f"indexing {name}", unit="B", unit_scale=True, delay=1, disable=None) as progress,
    ):
        for starts, digest in threads.map(partial(_look_through, file), _pieces(stamp.size)):
            add(starts)
            content.update(digest)
            progress.update(min(_PIECE, stamp.size - progress.n))
    return Lines(file=stamp, content=content.hexdigest())


def _pieces(size: int) -> range:
    """The first bytes of the pieces of a file."""
    return range(0, size, _PIECE)


def _read_piece(file: OpenFile, first: int) -> bytes:
    """A piece, and enough of the next one to see whether a line that starts there is blank."""
    return file.read(first, _PIECE + 1 + _LONGEST_BLANK)


def _look_through(file: OpenFile, first: int) -> tuple[np.ndarray, bytes]:
    """Where lines start after the ends of lines in a piece, and the hash of the piece."""
    content = _read_piece(file, first)
    return _starts_in(content, first), sha256(memoryview(content)[:_PIECE]).digest()


def _starts_in(content: bytes, first: int) -> np.ndarray:
    """(n,) int64: first byte of every line that is not blank, of those that follow a line's end in a piece.

    Args:
        content: of `_read_piece`.
        first: byte of the file that the piece starts with.
    """
    feeds = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))
    starts = feeds[feeds < _PIECE] + 1
    if first == 0:
        starts = np.append(len(_BYTE_ORDER_MARK) if content.startswith(_BYTE_ORDER_MARK) else 0, starts)
    ends = np.append(feeds, len(content))[np.searchsorted(feeds, starts)]
    short = np.flatnonzero(ends - starts < _LONGEST_BLANK)
    blank = [one for one in short if not content[starts[one] : ends[one]].strip()]
    return np.delete(starts, blank) + first
