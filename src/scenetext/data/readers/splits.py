"""The splits of a dataset, and finding them in the folder that its archives were unpacked to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from scenetext.errors import DataError

Kind = Literal["folder", "folders", "file", "text"]
_WILDCARDS = "*?"


@dataclass(frozen=True, slots=True)
class Split:
    """The paths of one split of a dataset.

    Attributes:
        paths: by the name of an argument, patterns relative to the dataset's folder, as in `ch4_training_images` or
            `ch8_training_images*`; the first that is there counts. "*" stands for any part of one name; upper and
            lower case are the same; "." is the folder itself, and `*.gt/..` is a folder that holds such a file.
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
    """

    splits: Mapping[str, dict[str, Any]]
    missing: Mapping[str, Sequence[str]]


def find_path(folder: Path, patterns: Sequence[str], kind: Kind) -> Path | tuple[Path, ...] | None:
    """The file, folder or folders that the first pattern with a match means; None where none matches.

    Raises:
        DataError: a pattern for a single path matches several, or a folder cannot be listed.
    """
    for pattern in patterns:
        paths = dict.fromkeys(_matches(folder, pattern.split("/")))
        matches = [path for path in paths if path.is_dir() == (kind != "file")]
        if kind == "folders" and matches:
            return tuple(matches)
        if len(matches) > 1:
            raise DataError(f"{matches[0].name} and {matches[1].name} are both possible; name one by its flag", folder)
        if matches:
            return matches[0]
    return None


def with_wrapper(source: Path) -> tuple[Path, ...]:
    """The folders to look in: the given one and, where archives unpacked to a folder of their own, its only subfolder.

    Raises:
        DataError: it is no folder, or cannot be listed.
    """
    if not source.is_dir():
        raise DataError("is not a folder; --source is what the archives of the dataset were unpacked to", source)
    inner = [path for path in _listing(source) if path.is_dir() and not path.name.startswith((".", "__MACOSX"))]
    return (source, *inner) if len(inner) == 1 else (source,)


def _matches(folder: Path, parts: Sequence[str]) -> list[Path]:
    if not parts:
        return [folder]
    name, rest = parts[0], parts[1:]
    if name == "..":
        return _matches(folder.parent, rest)
    if (folder / name).exists() and not any(sign in name for sign in _WILDCARDS):
        return _matches(folder / name, rest)
    if not folder.is_dir():
        return []
    alike = [path for path in _listing(folder) if fnmatchcase(path.name.lower(), name.lower())]
    return [match for path in alike if path.name[0] != "." for match in _matches(path, rest)]


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot be listed ({error.strerror})", folder) from None
