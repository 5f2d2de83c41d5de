"""The splits of a dataset, and finding them in the folder that its archives were unpacked to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import Any, Literal

from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.errors import DataError

Kind = Literal["folder", "folders", "file", "text"]
_WILDCARDS = "*?"
_SPLIT_NAMES = (
    ("train", "training"),
    ("val", "valid", "validation", "dev", "development", "eval"),
    ("test", "testing"),
)
"""Names that mean the same split; each stands for all of its row."""
_SPLIT_NAME = re.compile(rf"(?<![a-z])(?:{'|'.join(name for row in _SPLIT_NAMES for name in row)})(?![a-z])", re.I)
_DATA_SUFFIXES = IMAGE_SUFFIXES | {".json", ".txt", ".xml", ".gt", ".mat"}


@dataclass(frozen=True, slots=True)
class Split:
    """The paths of one split of a dataset.

    Attributes:
        paths: by the name of an argument, patterns relative to the dataset's folder, as in `ch4_training_images` or
            `ch8_training_images*`; the first that is there counts. "*" stands for any part of one name; upper and
            lower case are the same, and so are names of one split, as val, valid, validation and dev; "." is the folder
            itself, and `*.gt/..` is a folder that holds such a file.
        values: arguments that this split fixes, such as which part of a file it is.
        expected: belongs to the dataset, so that its absence is reported; others are optional.
        fallback: counts only where no other split is there, as a folder without subfolders for splits does.
    """

    paths: Mapping[str, tuple[str, ...]]
    values: Mapping[str, str] = field(default_factory=dict)
    expected: bool = True
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class FoundSplits:
    """The splits of a dataset that are in a folder.

    Attributes:
        splits: by name, the arguments of `Reader.read`.
        missing: by name of the expected splits that are not there, what was looked for, a path a line.
        unread: what lies beside the paths of the splits, looks like data and belongs to none of them.
    """

    splits: Mapping[str, dict[str, Any]]
    missing: Mapping[str, Sequence[str]]
    unread: Sequence[Path] = ()


class Listings:
    """Folders, each of which is listed once: a folder of images may have many files, and many patterns are tried."""

    def __init__(self) -> None:
        self._entries: dict[Path, dict[str, list[Path]]] = {}
        self._folders: dict[Path, list[Path]] = {}

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder, sorted.

        Raises:
            DataError: it cannot be listed.
        """
        if folder not in self._folders:
            paths = [path for alike in self._of(folder).values() for path in alike]
            self._folders[folder] = sorted(path for path in paths if path.is_dir())
        return self._folders[folder]

    def matching(self, folder: Path, pattern: str) -> list[Path]:
        """What has a name in a folder, in any case unless one is exact, or has one like a pattern and is not hidden.

        Raises:
            DataError: the folder cannot be listed.
        """
        entries = self._of(folder)
        if any(sign in pattern for sign in _WILDCARDS):
            is_like = re.compile(translate(pattern.lower())).match
            found = [path for name, paths in entries.items() if is_like(name) for path in paths]
        else:
            found = entries.get(pattern.lower(), [])
            if exact := [path for path in found if path.name == pattern]:
                return exact
        return [path for path in found if path.name[0] != "."]

    def _of(self, folder: Path) -> dict[str, list[Path]]:
        """By names in lower case, sorted; empty where there is no such folder."""
        if folder not in self._entries:
            entries = self._entries[folder] = {}
            for path in _listing(folder) if folder.is_dir() else []:
                entries.setdefault(path.name.lower(), []).append(path)
        return self._entries[folder]


def find_path(
    folder: Path, patterns: Sequence[str], kind: Kind, listings: Listings | None = None
) -> Path | tuple[Path, ...] | None:
    """The file, folder or folders that the first pattern with a match means; None where none matches.

    Args:
        listings: of a search for several things.

    Raises:
        DataError: a pattern for a single path matches several, or a folder cannot be listed.
    """
    listings = listings or Listings()
    for pattern in patterns:
        spellings = [_matches(folder, spelling.split("/"), listings) for spelling in _split_spellings(pattern)]
        found = [[path for path in paths if path.is_dir() == (kind != "file")] for paths in spellings]
        if kind == "folders" and (matches := next(filter(None, found), None)):
            return tuple(dict.fromkeys(matches))
        matches = list(dict.fromkeys(path for paths in found for path in paths))
        if len(matches) > 1:
            one, other = (path.relative_to(folder) for path in matches[:2])
            raise DataError(f"{one} and {other} are both possible; name one by its flag", folder)
        if matches:
            return matches[0]
    return None


def unread_beside(source: Path, used: Iterable[Path]) -> list[Path]:
    """What lies beside the paths of splits in a dataset's folder and is none of them: folders with data, and files with
    the suffix of a used one; another split, say, whose name no reader knows.

    Raises:
        DataError: a folder cannot be listed.
    """
    paths = {Path(os.path.normpath(path)) for path in used}
    above = {folder for path in paths for folder in path.parents}
    folders = [path for path in paths if path.is_dir()]
    unread = []
    for parent in sorted(folder for folder in above if folder.is_relative_to(source)):
        suffixes = {path.suffix for path in paths if path.parent == parent and path not in folders}
        is_read = any(parent.is_relative_to(folder) for folder in folders)
        others = [path for path in _listing(parent) if path not in paths | above and path.name[0] != "."]
        unread += [path for path in others if path.suffix in suffixes or (not is_read and _holds_data(path))]
    return unread


def _holds_data(folder: Path) -> bool:
    """Whether this is a folder with images or annotations."""
    return any(Path(name).suffix.lower() in _DATA_SUFFIXES for _, _, names in os.walk(folder) for name in names)


def with_wrapper(source: Path, listings: Listings) -> tuple[Path, ...]:
    """The folders to look in: the given one and, where archives unpacked to a folder of their own, its only subfolder.

    Raises:
        DataError: it is no folder, or cannot be listed.
    """
    if not source.is_dir():
        raise DataError("is not a folder; --source is what the archives of the dataset were unpacked to", source)
    inner = [path for path in listings.folders(source) if not path.name.startswith((".", "__MACOSX"))]
    return (source, *inner) if len(inner) == 1 else (source,)


def _split_spellings(pattern: str) -> list[str]:
    """The pattern itself, and with every other name of the split that it names."""
    named = {name.lower() for name in _SPLIT_NAME.findall(pattern)}
    rows = [row for row in _SPLIT_NAMES if named.intersection(row)]
    others = [_SPLIT_NAME.sub(name, pattern) for row in rows for name in row] if len(rows) == 1 else []
    return list(dict.fromkeys([pattern, *others]))


def _matches(folder: Path, parts: Sequence[str], listings: Listings) -> list[Path]:
    if not parts:
        return [folder]
    name, rest = parts[0], parts[1:]
    if name == ".":
        return _matches(folder, rest, listings)
    if name == "..":
        return _matches(folder.parent, rest, listings)
    return [match for path in listings.matching(folder, name) for match in _matches(path, rest, listings)]


def _listing(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder))]  # noqa: PTH208 (many times faster than of paths)
    except OSError as error:
        raise DataError(f"cannot be listed ({error.strerror})", folder) from None
