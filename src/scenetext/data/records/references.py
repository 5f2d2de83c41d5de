"""Which image a file of annotations or predictions means by a name: one answer for all readers and for predictions.

A name may come from another machine, with its folders, its separators (`/` or `\\`) and its drive; tools rename images
or put them in a folder of their own; an image may have been converted, so that its suffix is another. So of the images
whose bare names are alike, the one that shares most folders with the name counts, and among those the one whose bare
name needs the fewest changes. Every change has a name (`WAYS`), so that it can be counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scenetext.data.records.images import FOREIGN_SUFFIXES, IMAGE_SUFFIXES

OTHER_FOLDERS = "images found by the end of their path, which starts with folders that are not here"
SUBFOLDER = "images found in a subfolder that their path does not name"
UNICODE = "images found under the same name in another Unicode form (é as one character or as two)"
CASE = "images found under the same name in other letter case"
SUFFIX = "images found under the same name with another suffix"
ZEROS = "images found under the same name with other zeros in front of a number"
_CHANGES = (None, UNICODE, CASE, SUFFIX, ZEROS)
"""What the bare name needs, the least first; a later change may come with the earlier ones."""
_SUFFIXES = IMAGE_SUFFIXES | FOREIGN_SUFFIXES
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_DRIVE = re.compile(r"^[A-Za-z]:(?=[\\/])")


class UnclearNameError(Exception):
    """A name by which no image can be chosen; becomes a DataError where the file and the line are known."""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """The image that a name means.

    Attributes:
        path: as it was given to `ImageNames`.
        change: what the bare name needed: one of the constants of this module; None = nothing.
    """

    path: Path
    change: str | None


class ImageNames:
    """Images by their names; a look-up takes the time of a few look-ups in dictionaries, however many images there are.

    Args:
        paths: of the images.
        roots: folders whose own images count before those of subfolders, where nothing else decides.
    """

    def __init__(self, paths: Iterable[Path], roots: Collection[Path] = ()) -> None:
        self._roots = frozenset(roots)
        self._images: dict[tuple[str, ...], list[Path]] = {}
        for path in paths:
            name = _loosest(path.name)
            self._images.setdefault((name,), []).append(path)
            self._images.setdefault((_folded(path.parent.name), name), []).append(path)

    def find(self, name: str) -> FoundImage | None:
        """The image that a name means; None where there is none, or where several are equally unlike it.

        Raises:
            UnclearNameError: several images have this very name, and agree with its folders equally well.
        """
        parts = name_parts(name)
        if not parts:
            return None
        loosest = _loosest(parts[-1])
        nearby = self._images.get((_folded(parts[-2]), loosest)) if len(parts) > 1 else None
        candidates = nearby or self._images.get((loosest,)) or []
        ranked = [(self._rank(parts, path), path) for path in candidates]
        best = max((rank for rank, _ in ranked), default=None)
        if best is None:
            return None
        chosen = [path for rank, path in ranked if rank == best]
        if len(chosen) == 1:
            return FoundImage(chosen[0], _CHANGES[-best[1]])
        if best[1] == 0:
            raise UnclearNameError(f"the name {name} may mean {chosen[0]} or {chosen[1]}; write more of its path")
        return None

    def _rank(self, parts: Sequence[str], path: Path) -> tuple[int, int, bool]:
        """(folders shared, changes of the bare name as a negative number, is in a root): the greatest counts."""
        shared = 0
        for one, other in zip(reversed(parts[:-1]), reversed(path.parts[:-1]), strict=False):
            if one != other and _folded(one) != _folded(other):
                break
            shared += 1
        return shared, -_needed_change(parts[-1], path.name), path.parent in self._roots


def is_name(name: str) -> bool:
    """Whether this could be the name of a file."""
    return bool(name_parts(name)) and "\0" not in name


def is_absolute(name: str) -> bool:
    """Whether this is a path from a root or a drive, of any system."""
    return name.startswith(("/", "\\")) or _DRIVE.match(name) is not None


def name_parts(name: str) -> tuple[str, ...]:
    """Folders and file that a name goes through, without drive and root; `..` leads back, but not above the first."""
    parts: list[str] = []
    for part in _DRIVE.sub("", name, count=1).replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def _needed_change(name: str, file: str) -> int:
    """Which of `_CHANGES` makes a name that of a file; a name without the suffix of an image is that of any suffix."""
    has_suffix = _stem(name) != name
    for change, form in enumerate(_FORMS):
        one, other = form(name), form(file)
        if one == other or (not has_suffix and one == _stem(other)):
            return change
    return 3 if _stem(_folded(name)) == _stem(_folded(file)) else 4


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


@lru_cache(1 << 12)
def _folded(name: str) -> str:
    """In one Unicode form and letter case."""
    return _composed(_composed(name).casefold())


_FORMS: tuple[Callable[[str], str], ...] = (str, _composed, _folded)
"""In which names are compared, by the number of the change."""


def _stem(name: str) -> str:
    """Without the suffix of an image, if it has one."""
    start, dot, suffix = name.rpartition(".")
    return start if start and f"{dot}{suffix}".lower() in _SUFFIXES else name


def _loosest(name: str) -> str:
    """What all names have in common that may mean the same file."""
    return _LEADING_ZEROS.sub("", _stem(_folded(name)))
