"""How a reader of a dataset describes itself, so that one command can offer them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scenetext.data.readers.peek import Peek
from scenetext.data.readers.policy import PUBLISHED, Policy
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import FoundSplits, Kind, Listings, Split, find_path, unread_beside, with_wrapper
from scenetext.errors import DataError
from scenetext.structures import ImageRecord


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a reader.

    Attributes:
        name: keyword of the reader's function; with dashes, the flag of the command.
        kind: what must be there: a folder, folders (as many as the publisher has archives), a file, or any text.
        meaning: what it is, for the help of the command.
        default: None = must be given, or found in the dataset's folder.
        optional: need not be given; the function then gets None.
    """

    name: str
    kind: Kind
    meaning: str
    default: str | None = None
    optional: bool = False

    @property
    def flag(self) -> str:
        """As typed on a command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def default_value(self) -> Path | str | None:
        """The default as the reader's function takes it."""
        return self.default if self.kind == "text" or self.default is None else Path(self.default)

    @property
    def is_required(self) -> bool:
        """Whether it has no default and is not optional."""
        return self.default is None and not self.optional

    def missing(self, value: Any) -> list[str]:
        """The files or folders of a value that do not exist."""
        if self.kind == "text" or (value is None and self.optional):
            return []
        paths = [Path(path) for path in (value if self.kind == "folders" else [value])]
        return [str(path) for path in paths if not (path.is_file() if self.kind == "file" else path.is_dir())]


IMAGES = Argument("images", "folder", "folder of the images")
IMAGE_FOLDERS = Argument("images", "folders", "folders of the images, as many as there are archives")


@dataclass(frozen=True, slots=True)
class Reader:
    """One dataset as published, or one format of annotations.

    Attributes:
        title: what the dataset is, in a line.
        source: where a user gets it.
        files: which files are expected.
        arguments: the arguments of `function`.
        function: (arguments by name, report) -> records, one after the other. Lazy: faults of the data raise while the
            records are taken.
        splits: by name, their paths in the dataset's folder; none = the arguments must be given.
        policy: what to do with what cannot be used, unless a user says otherwise.
        recognise: (arguments of a split as `find` gives them, a look into files) -> what shows that they are of this
            reader, as in "Label.txt has names and lists of words"; None = nothing does. A reader without it is never
            chosen for a folder.
    """

    title: str
    source: str
    files: str
    arguments: tuple[Argument, ...]
    function: Callable[..., Iterator[ImageRecord]]
    splits: Mapping[str, Split] = field(default_factory=dict)
    policy: Policy = PUBLISHED

    @property
    def is_own(self) -> bool:
        """Whether this is a format of anyone's data, not a published dataset."""
        return self.policy != PUBLISHED

    recognise: Callable[[Mapping[str, Any], Peek], str | None] | None = None

    def find(self, source: Path, listings: Listings | None = None) -> FoundSplits:
        """Looks for the splits of the dataset in a folder.

        Args:
            source: what the publisher's archives were unpacked to, or the folder that holds that folder alone.
            listings: of a search by several readers.

        Raises:
            DataError: none of the splits is there; every path that was looked for is named.
        """
        listings = listings or Listings()
        folders = with_wrapper(source, listings)
        found: dict[str, dict[str, Any]] = {}
        missing: dict[str, list[str]] = {}
        for name, split in sorted(self.splits.items(), key=lambda item: item[1].fallback):
            if split.fallback and found:
                break
            tries = [self._find_split(folder, split, listings) for folder in folders]
            if complete := next((values for values, lacking in tries if not lacking), None):
                found[name] = complete
            else:
                missing[name] = min((lacking for _, lacking in tries), key=len)
        if not found:
            lines = [f"{self.title}: no split of it is in {source}"]
            lines += [f"  {name}: {path}" for name, paths in missing.items() for path in paths]
            raise DataError("\n".join([*lines, f"expected: {self.files}", self.source]))
        used = [path for values in found.values() for path in self._paths(values)]
        is_whole = any(self.splits[name].fallback for name in found)
        expected = {} if is_whole else {name: paths for name, paths in missing.items() if self.splits[name].expected}
        return FoundSplits(found, expected, unread_beside(source, used))

    def read(self, values: Mapping[str, Any], report: ReadReport) -> Iterator[ImageRecord]:
        """The records of the dataset at the given paths.

        Args:
            values: by the names of `arguments`; folders and files as `Path`. Such as `find` gives them.
            report: is filled while the records are taken.

        Raises:
            DataError: a folder or file is not there: all missing ones are named, and what the dataset consists of. Or,
                while the records are taken, a fault in the data.
        """
        given = {argument.name: values[argument.name] for argument in self.arguments}
        missing = [
            f"  {argument.flag} {path}: no such {argument.kind.removesuffix('s')}"
            for argument in self.arguments
            for path in argument.missing(given[argument.name])
        ]
        if missing:
            lines = [f"{self.title}: not all of it is there", *missing, f"expected: {self.files}", self.source]
            raise DataError("\n".join(lines))
        return self.function(**given, report=report)

    def _paths(self, values: Mapping[str, Any]) -> Iterator[Path]:
        """The files and folders among the arguments."""
        for argument in self.arguments:
            if argument.kind != "text" and values[argument.name] is not None:
                yield from values[argument.name] if argument.kind == "folders" else (values[argument.name],)

    def _find_split(self, folder: Path, split: Split, listings: Listings) -> tuple[dict[str, Any], list[str]]:
        """The arguments of a split, and what of it is missing."""
        values: dict[str, Any] = {}
        missing = []
        for argument in self.arguments:
            values[argument.name] = split.values.get(argument.name, argument.default_value)
            if patterns := split.paths.get(argument.name):
                values[argument.name] = find_path(folder, patterns, argument.kind, listings)
                if values[argument.name] is None:
                    missing.append(f"{argument.flag}: no {argument.kind} {' or '.join(patterns)}")
        return values, missing
