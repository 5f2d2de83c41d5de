"""What a reader of a public dataset says of itself, so that one command can offer them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scenetext.data.readers.report import ReadReport
from scenetext.errors import DataError
from scenetext.structures import ImageRecord


@dataclass(frozen=True, slots=True)
class Argument:
    """Something that a reader has to be told.

    Attributes:
        name: keyword of the reader's function; with dashes, the flag of the command.
        kind: what must be there: a folder, a file, or any text.
        meaning: what it is, for the help of the command.
        default: None = must be given.
    """

    name: str
    kind: Literal["folder", "file", "text"]
    meaning: str
    default: str | None = None

    @property
    def flag(self) -> str:
        """As typed on a command line."""
        return "--" + self.name.replace("_", "-")

    def is_there(self, value: object) -> bool:
        """Whether the file or folder exists."""
        path = Path(str(value))
        return self.kind == "text" or (path.is_dir() if self.kind == "folder" else path.is_file())


@dataclass(frozen=True, slots=True)
class Reader:
    """One dataset as its publisher hands it out.

    Attributes:
        title: what the dataset is, in a line.
        source: where a user gets it.
        files: which files are expected.
        arguments: what `function` has to be told.
        function: (arguments by name, report) -> records, one after the other. Lazy: faults of the data raise while the
            records are taken.
    """

    title: str
    source: str
    files: str
    arguments: tuple[Argument, ...]
    function: Callable[..., Iterator[ImageRecord]]

    def read(self, values: Mapping[str, Any], report: ReadReport) -> Iterator[ImageRecord]:
        """The records of the dataset at the given places.

        Args:
            values: by the names of `arguments`; folders and files as `Path`.
            report: is filled while the records are taken.

        Raises:
            DataError: a folder or file is not there: all missing ones are named, and what the dataset consists of. Or,
                while the records are taken, a fault in the data.
        """
        given = {argument.name: values[argument.name] for argument in self.arguments}
        missing = [
            f"  {argument.flag} {given[argument.name]}: no such {argument.kind}"
            for argument in self.arguments
            if not argument.is_there(given[argument.name])
        ]
        if missing:
            lines = [f"{self.title}: not all of it is there", *missing, f"expected: {self.files}", self.source]
            raise DataError("\n".join(lines))
        return self.function(**given, report=report)
