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
