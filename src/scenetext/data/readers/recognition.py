"""What lies in a folder: the readers that find their files there and know their content by a look.

Each reader says itself whether files are its own (`Reader.recognise`); formats that no reader reads: `foreign.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scenetext.data.readers.files import files_below
from scenetext.data.readers.foreign import foreign_advice
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import Reader
from scenetext.data.readers.splits import FoundSplits, Listings
from scenetext.errors import DataError, did_you_mean


@dataclass(frozen=True, slots=True)
class Recognised:
    """What lies in a folder.

    Attributes:
        name: of the reader.
        reason: what it was known by.
        found: the splits.
    """

    name: str
    reason: str
    found: FoundSplits


def recognise(folder: Path, readers: Mapping[str, Reader]) -> Recognised:
    """The one reader whose files lie in a folder.

    Args:
        readers: by name; those that cannot recognise their files are never it.

    Raises:
        DataError: it is no folder, no reader knows what is there, or several do: then all are named with reasons.
    """
    if not folder.is_dir():
        hint = did_you_mean(folder.name, readers)
        raise DataError(f"is neither a folder nor a dataset{hint} `scenetext prepare --help` lists these", folder)
    peek, listings = Peek(), Listings()
    fits = (_fit(folder, name, reader, peek, listings) for name, reader in readers.items())
    fitting = [fit for fit in fits if fit is not None]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        choices = [f"  {fit.name}: {fit.reason}" for fit in fitting]
        lines = ["could be read in several ways:", *choices, "name one, as in", _command(fitting[0].name, folder)]
        raise DataError("\n".join(lines), folder)
    advice = foreign_advice(folder) or [
        f"nothing that is there was recognised ({_contents(folder)}); `scenetext prepare --help` lists what is read, "
        "`scenetext prepare NAME --help` says which files are expected, and the name `images` takes images alone"
    ]
    raise DataError("\n".join(advice), folder)


def _contents(folder: Path) -> str:
    """How many files of which suffix are in a folder and its subfolders."""
    suffixes = Counter(path.suffix.lower() or "without suffix" for path in files_below(folder))
    return ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common()) or "no files"


def _fit(folder: Path, name: str, reader: Reader, peek: Peek, listings: Listings) -> Recognised | None:
    if reader.recognise is None:
        return None
    try:
        found = reader.find(folder, listings)
    except DataError:
        return None
    reasons = [reader.recognise(values, peek) for values in found.splits.values()]
    reason = next((one for one in reasons if one is not None), None)
    return None if reason is None else Recognised(name, reason, found)


def _command(name: str, folder: Path) -> str:
    return f"  scenetext prepare {name} --source {folder} --output data/{folder.resolve().name}"
