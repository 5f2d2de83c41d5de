"""One exception family for everything that a user can cause: what went wrong, where, and what to try.

Tools print these without a stack trace, so a message must stand alone: what was read, what was expected, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path


class ScenetextError(Exception):
    """Base of all errors that a user's input can cause; tools print it as one message and exit with code 2."""


class ConfigError(ScenetextError):
    """A configuration file, key or value that cannot be used; the message names the file and the dotted key."""


class DataError(ScenetextError):
    """A dataset that cannot be used as it is.

    Args:
        problem: what is wrong and what to do about it.
        path: the file at fault, put in front of the message.
        line: 1-based line within `path`.
    """

    def __init__(self, problem: str, path: Path | str | None = None, line: int | None = None) -> None:
        position = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(position + problem)


class ImageError(DataError):
    """An image file that is missing, truncated or not an image. Loaders skip and count it; too many stop the run."""


class LoaderError(ScenetextError):
    """A process that prepares images is lost, or the machine has too little memory, shared memory or open files for a
    run; the message names the limit and what to try."""


class CharacterError(DataError):
    """A word with a character outside the dictionary; the message names the character, the word and the image."""


class CheckpointError(ScenetextError):
    """A weight file that is damaged, unsafe to read, or does not fit the model; the message lists what differs."""


class EngineError(ScenetextError):
    """An OCR engine that cannot be used, or that fails on an image; the message names the engine or the image."""


class DeviceError(ScenetextError):
    """A device or a precision that this machine or this build of torch does not offer."""


class TrainingError(ScenetextError):
    """A training that cannot go on (non-finite losses, nothing to learn from); the message says what to look at."""


def did_you_mean(name: str, known: Iterable[str], show: Callable[[str], str] = str) -> str:
    """The end of the sentence "NAME is unknown": "; did you mean NEAREST?", or "." where nothing known is near.

    Args:
        show: how the nearest name is written, such as `repr`.
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {show(near[0])}?" if near else "."


_STARTS = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"%PDF", "a PDF file"),
    (b"PK\x03\x04", "a zip archive, as checkpoints of torch are"),
    (b"\x80\x02", "a pickle, as old checkpoints of torch are"),
    (b"\x1f\x8b", "a gzip archive"),
)


def kind_of_file(path: Path) -> str:
    """What lies at a path, in words, for messages about a file of another kind: exchanged arguments, as a rule."""
    if path.is_dir():
        best = path / "best.pt"
        return f"a run folder; name its {best}" if best.is_file() else "a folder"
    try:
        with path.open("rb") as stream:
            start = stream.read(1024)
    except OSError as error:
        return f"a file that cannot be read ({error.strerror})"
    if not start:
        return "an empty file"
    for sign, kind in _STARTS:
        if start.startswith(sign):
            return kind
    if b"\0" in start:
        return "a binary file of an unknown kind"
    return "a JSON file" if start.lstrip()[:1] in (b"{", b"[") else "a text file"
