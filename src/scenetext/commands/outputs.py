"""Where commands write: tried before the work starts, never over what they read, without results of an earlier run."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scenetext.errors import ConfigError

_MANIFEST = ".scenetext-results.json"
"""In a folder of results: what the last run wrote there."""

State = tuple[int, int]
"""Of a file: bytes, and when it was last written, in nanoseconds."""


def output_path(text: str) -> Path:
    """The type of flags that name what a command writes; `CommandParser.read` checks them."""
    return Path(text)


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Makes sure, before the work, that outputs can be written and are neither inputs nor each other.

    Raises:
        ConfigError: one of them cannot be used.
    """
    read = {path.resolve(): path for path in inputs if path.is_file()}
    written: dict[Path, Path] = {}
    for path in outputs:
        place = path.resolve()
        if place in read:
            raise ConfigError(f"{path}: would be written over what is read; choose another output")
        if place in written:
            raise ConfigError(f"{path}: two outputs would be written to one file; choose another name for one of them")
        written[place] = path
        check_writable(path)


def check_writable(path: Path) -> None:
    """Tries to write where a file or folder is to be, and leaves nothing there.

    Raises:
        ConfigError: it is not possible; the message says why.
    """
    existing = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    try:
        if existing == path and path.is_file():
            path.open("ab").close()
        else:
            with tempfile.TemporaryFile(dir=existing) as probe:
                probe.write(b"\0" * 4096)
    except OSError as error:
        reason = f"{existing} is no folder" if existing.is_file() else error.strerror
        raise ConfigError(f"{path}: cannot be written ({reason}); choose another output, or make room") from None


@contextmanager
def results_in(folder: Path, goes_on: bool = False) -> Iterator[None]:
    """Around the writing of results into a folder: those of an earlier run that are not written again are removed.

    Only files that a run wrote here, and that nobody changed since, are removed, and only where this run succeeds.

    Args:
        goes_on: this run continues the earlier one, whose results stay.
    """
    before, earlier = _states(folder), _earlier(folder)
    done = False
    try:
        yield
        done = True
    finally:
        after = _states(folder)
        written = {name for name, state in after.items() if before.get(name) != state}
        left = {name for name, state in earlier.items() if after.get(name) == state} - written
        stale = left if done and not goes_on else set()
        for name in stale:
            (folder / name).unlink(missing_ok=True)
        own = written | (left - stale)
        if own:
            (folder / _MANIFEST).write_text(json.dumps({name: after[name] for name in sorted(own)}, indent=1))


def _states(folder: Path) -> dict[str, State]:
    states = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != _MANIFEST:
            status = path.stat()
            states[path.relative_to(folder).as_posix()] = (status.st_size, status.st_mtime_ns)
    return states


def _earlier(folder: Path) -> dict[str, State]:
    """What the last run wrote; nothing where that is not known."""
    try:
        content = json.loads((folder / _MANIFEST).read_text())
        return {str(name): (int(size), int(time)) for name, (size, time) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
