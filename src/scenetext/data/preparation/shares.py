"""Work on a large collection in shares, such as the jobs of an array on a cluster, and merging what they made.

Share 3 of 64 of what would be `data/all.jsonl` is `data/share_3_of_64/all.jsonl`, with all that belongs to it (journal,
tar shards) beside it. When it is finished, it is described by a file that says how it was made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.data.loading.orders import hashed_numbers
from scenetext.data.records.files import RecordFile, write_records
from scenetext.errors import ConfigError, DataError
from scenetext.structures import ImageRecord

_FOLDER = re.compile(r"share_(\d+)_of_(\d+)")
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Share:
    """One of `count` shares of a collection, which a hash makes about equally large.

    Attributes:
        number: from 1 to `count`.
        count: of shares.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """Share 3 of 64 of "3/64".

        Raises:
            ConfigError: the text is something else.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(f"--share {text}: expected a share and how many there are, such as 1/64 to 64/64")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"share {self.number} of {self.count}"

    def of_names(self, names: Iterable[str]) -> list[str]:
        """Those of some names that are in this share, by the SHA-256 of each, whatever other names there are."""
        return [name for name in names if self._has(name)]

    def of_numbers(self, count: int) -> np.ndarray:
        """(n,) int64: those of 0 ... count - 1 that are in this share, by the hash of each."""
        return np.flatnonzero(hashed_numbers(count, 0) % np.uint64(self.count) == self.number - 1)

    def path(self, output: Path) -> Path:
        """Where the share of an output file is written."""
        return output.parent / f"share_{self.number}_of_{self.count}" / output.name

    def _has(self, name: str) -> bool:
        return int.from_bytes(sha256(name.encode("utf-8")).digest()[:8], "big") % self.count == self.number - 1


def finish_share(path: Path, made: Mapping[str, Any]) -> None:
    """Marks a share as finished.

    Args:
        path: of its records file.
        made: from what and how, as plain values; all shares that are merged must agree.
    """
    _description(path).write_text(json.dumps(made, sort_keys=True) + "\n", encoding="utf-8")


def is_finished(path: Path, made: Mapping[str, Any]) -> bool:
    """Whether a share is finished and was made like this."""
    return path.is_file() and _read_description(path) == json.loads(json.dumps(made))


def merge_shares(output: Path) -> dict[Path, int]:
    """Writes the records of all shares of a file to the file, in the order of the shares.

    Returns:
        The records files of the shares, and the number of images of each.

    Raises:
        DataError: there are no shares, one is missing or not finished, or they are not of one collection.
    """
    paths = _all_shares(output)
    made = {path: _read_description(path) for path in paths}
    for path, how in made.items():
        if how != made[paths[0]]:
            raise DataError(
                f"was made in another way than {paths[0]} ({_difference(made[paths[0]], how)}); make one of them again",
                path,
            )
    images = dict.fromkeys(paths, 0)

    def records() -> Iterator[ImageRecord]:
        for path in paths:
            for record in RecordFile(path):
                images[path] += 1
                yield record

    write_records(output, records())
    return images


def _all_shares(output: Path) -> list[Path]:
    """The records files of all shares, in order."""
    found: dict[int, dict[int, Path]] = {}
    for path in output.parent.glob(f"share_*_of_*/{output.name}"):
        if (match := _FOLDER.fullmatch(path.parent.name)) is not None:
            found.setdefault(int(match[2]), {})[int(match[1])] = path
    if not found:
        raise DataError("there are no shares of it: share_1_of_.../ and so on in its folder", output)
    if len(found) > 1:
        counts = " and ".join(map(str, sorted(found)))
        raise DataError(f"there are shares for {counts} shares in all; remove those of one", output)
    ((count, paths),) = found.items()
    numbers = range(1, count + 1)
    missing = [one for one in numbers if one not in paths or _read_description(paths[one]) is None]
    if missing:
        listed = ",".join(map(str, missing[:_LISTED])) + (",..." if len(missing) > _LISTED else "")
        raise DataError(f"{len(missing)} of {count} shares are missing or not finished: {listed}", output)
    return [paths[number] for number in numbers]


def _description(path: Path) -> Path:
    return path.with_name(f"{path.name}.share.json")


def _read_description(path: Path) -> dict[str, Any] | None:
    """How a share was made; None where it is not finished."""
    try:
        content = json.loads(_description(path).read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _difference(first: dict[str, Any] | None, second: dict[str, Any] | None) -> str:
    before, after = first or {}, second or {}
    keys = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    return ", ".join(f"{key}: {before.get(key)!r} there, {after.get(key)!r} here" for key in keys)
