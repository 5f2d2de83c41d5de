"""A look into the files of a folder, for readers that say whether these are theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from scenetext.data.readers.json_files import read_json
from scenetext.data.readers.lines import text_lines
from scenetext.errors import DataError

_FILES = 5
_LINES = 20


class Peek:
    """What is in files, each of which is read once however many readers ask; nothing in one that cannot be read."""

    def __init__(self) -> None:
        self._json: dict[Path, Any] = {}
        self._lines: dict[Path, list[str]] = {}

    def json(self, path: Path) -> Any:
        """The content of a JSON file; None where it is none."""
        if path not in self._json:
            try:
                self._json[path] = read_json(path).value
            except DataError:
                self._json[path] = None
        return self._json[path]

    def keys(self, path: Path) -> frozenset[str]:
        """The keys of the object in a JSON file; none where it is no object."""
        content = self.json(path)
        return frozenset(content) if isinstance(content, Mapping) else frozenset()

    def first(self, path: Path, key: str) -> Mapping[str, Any]:
        """The first object in a list that an object in a JSON file has under a key; empty where there is none."""
        content = self.json(path)
        listed = content.get(key) if isinstance(content, Mapping) else None
        return listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], Mapping) else {}

    def lines(self, path: Path) -> list[str]:
        """The first lines of a text file that are not blank; none where it is no text."""
        if path not in self._lines:
            try:
                self._lines[path] = [line for _, line in islice(text_lines(path), _LINES)]
            except DataError:
                self._lines[path] = []
        return self._lines[path]

    def fitting_lines(self, folder: Path, suffix: str, fits: Callable[[str], bool]) -> list[str]:
        """As `lines_of`, of those files alone whose lines all fit; none where these are less than half of the files:
        some files of a set may be broken.
        """
        files = [lines for path in files_with(folder, suffix)[:_FILES] if (lines := self.lines(path))]
        fitting = [lines for lines in files if all(map(fits, lines))]
        return [line for lines in fitting for line in lines] if 2 * len(fitting) >= len(files) else []

    def lines_of(self, folder: Path, suffix: str) -> list[str]:
        """The first lines of the first files with a suffix in a folder."""
        return [line for path in files_with(folder, suffix)[:_FILES] for line in self.lines(path)]


def files_with(folder: Path, *suffixes: str) -> list[Path]:
    """The files with one of some suffixes, in lower case, in a folder itself, sorted; hidden ones are excluded."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )
