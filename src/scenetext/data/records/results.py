"""What was found out about a records file, kept beside it so that the next start need not read the file.

A result is a file: whole numbers (int64, little-endian), then facts as JSON, then the number of bytes of the JSON and
the mark of the format, 8 bytes each. The numbers are memory-mapped, so all processes of a machine share them. Nothing
in the file can be executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from scenetext.config import Settings
from scenetext.errors import DataError

Facts = TypeVar("Facts", bound=Settings)
Add = Callable[[np.ndarray], object]
"""Takes the next whole numbers of a result, (n,) int64."""

_MARK = b"scntxt\x00\x01"
"""The last byte is the version of the format."""
_NUMBER = np.dtype("<i8")


class Rows(Protocol):
    """Whole numbers, (n,) int64, in memory or on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class StoredRows(Sequence[int]):
    """The whole numbers of a result, memory-mapped; other processes get the name of the file and map it themselves."""

    def __init__(self, path: Path, count: int) -> None:
        self._path = path
        self._count = count
        self._map: np.ndarray | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if self._map is None:
            self._map = self._mapped()
        return self._map[index]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}

    def _mapped(self) -> np.ndarray:
        if not self._count:
            return np.empty(0, dtype=_NUMBER)
        try:
            return np.memmap(self._path, dtype=_NUMBER, mode="r", shape=(self._count,))
        except (OSError, ValueError) as error:
            raise DataError(f"cannot be read any more ({error}); start again", self._path) from None


class Results:
    """The results about some records: made once, then read.

    Args:
        folder: where they are kept.
        content: hash of the records file; results of another content are made again.
        report: gets a message where a result cannot be kept.
        part: which of the file's records they are about, for the names of results; "" = all.
    """

    def __init__(self, folder: Path, content: str, report: Callable[[str], None], part: str = "") -> None:
        self.folder = folder
        self.content = content
        self._report = report
        self._part = part

    def of_part(self, part: str) -> Results:
        """The results about some of the file's records, which `part` names."""
        return Results(self.folder, self.content, self._report, f"{self._part}_{part}")

    def get(
        self,
        name: str,
        kind: type[Facts],
        make: Callable[[Add], Facts],
        holds: Callable[[Facts], bool] = lambda _: True,
    ) -> tuple[Facts, Rows]:
        """A result: the kept one, else a new one, which is kept.

        Args:
            name: of the result; with all that it depends on besides the records.
            kind: of its facts.
            make: makes the result: gives its whole numbers to its argument, in order, and returns the facts.
            holds: whether a kept result is still right.
        """
        path, key = self.folder / f"{name}{self._part}", self.content
        kept = read_result(path, kind, key)
        if kept is not None and holds(kept[0]):
            return kept
        try:
            write_result(path, key, make)
        except OSError as error:
            self._report(
                f"{self.folder}: what was found out about the records cannot be kept ({error.strerror}); "
                "data.check_folder names another folder"
            )
        else:
            kept = read_result(path, kind, key)
            if kept is not None:
                return kept
        return in_memory(make)


def in_memory(make: Callable[[Add], Facts]) -> tuple[Facts, Rows]:
    """A result that is not kept; `make` as in `Results.get`."""
    pieces = [np.empty(0, dtype=_NUMBER)]
    facts = make(pieces.append)
    return facts, np.concatenate(pieces)


def results_folder(path: Path, folder: Path | None) -> Path:
    """Where the results about a records file are kept: beside it, or in a folder of its own in `folder`."""
    if folder is None:
        return path.with_name(f".{path.name}.index")
    return folder / f"{path.stem}_{text_hash(str(path.resolve()))}.index"


def text_hash(text: str) -> str:
    """16 hexadecimal digits that stand for a text in the name of a file."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def write_result(path: Path, key: str, make: Callable[[Add], Settings]) -> None:
    """Writes a result, whole or not at all; its folder is made.

    Args:
        key: what `read_result` must be given to get it.
        make: as in `Results.get`.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            facts = make(lambda rows: file.write(rows.astype(_NUMBER).tobytes()))
            content = json.dumps({"key": key, "facts": facts.model_dump(mode="json")}).encode("ascii")
            file.write(content + len(content).to_bytes(_NUMBER.itemsize, "little") + _MARK)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_result(path: Path, kind: type[Facts], key: str) -> tuple[Facts, StoredRows] | None:
    """A kept result; None where there is none, it has another key, or is damaged.

    Args:
        kind: of its facts.
    """
    ending = _NUMBER.itemsize + len(_MARK)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(size - ending)
            length, mark = file.read(_NUMBER.itemsize), file.read()
            end = size - ending - int.from_bytes(length, "little")
            file.seek(end)
            content = json.loads(file.read(size - ending - end))
        if mark != _MARK or end % _NUMBER.itemsize or content["key"] != key:
            return None
        return kind.model_validate(content["facts"]), StoredRows(path, end // _NUMBER.itemsize)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):  # pydantic's errors are ValueErrors
        return None
