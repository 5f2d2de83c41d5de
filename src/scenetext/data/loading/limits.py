"""Limits of a machine that loader processes meet: memory, shared memory, open files. Which one, how large, what to do.

torch's own sentences say neither how large a limit is nor which setting of a run meets it.
"""

from __future__ import annotations

import errno
import re
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass

_SHARED_MEMORY_FOLDER = "/dev/shm"  # noqa: S108 (looked at, never written to)
"""Where Linux has the memory through which processes pass batches on."""


@dataclass(frozen=True)
class Limit:
    """A limit of the machine.

    Attributes:
        signs: in messages of Python, torch and OpenCV.
        exit_codes: of a loader process that met it (negative: the signal that ended it).
        explain: what is full and what to do about it.
    """

    signs: re.Pattern[str]
    exit_codes: tuple[int, ...]
    explain: Callable[[], str]


def _files() -> str:
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    higher = "" if most in (allowed, resource.RLIM_INFINITY) else f" (here up to {most})"
    return (
        f"too many open files: a process may have {allowed} at once. Raise the limit in the shell that starts the run, "
        f"with ulimit -n{higher}, or lower loader.workers or loader.batch_size"
    )


def _shared_memory() -> str:
    try:
        sizes = shutil.disk_usage(_SHARED_MEMORY_FOLDER)
    except OSError:
        state = ""
    else:
        state = f": {_SHARED_MEMORY_FOLDER} has {sizes.total / 2**20:.0f} MiB, {sizes.free / 2**20:.0f} of them free"
    return (
        f"shared memory ran out, through which loader processes pass batches on{state}. Give a container more "
        "(docker run --shm-size=8g, or --ipc=host), or lower loader.workers or loader.batch_size; loader.workers=0 "
        "needs none"
    )


def _memory() -> str:
    return (
        "the memory of this machine was too small for a loader process: lower loader.workers (each of them holds "
        "images of its own) or loader.batch_size"
    )


_LIMITS = (
    Limit(re.compile("too many open files|items of ancdata", re.IGNORECASE), (errno.EMFILE,), _files),
    Limit(
        re.compile(r"/torch_\d|\bshm\b|shared memory|bus error", re.IGNORECASE),
        (errno.ENOSPC, -signal.SIGBUS),
        _shared_memory,
    ),
    Limit(
        re.compile("can(no|')t allocate memory|failed to allocate|insufficient memory", re.IGNORECASE),
        (errno.ENOMEM, -signal.SIGKILL),
        _memory,
    ),
)
"""The first whose sign is found: torch names its shared memory in each message about the two others."""


def exhausted(error: BaseException) -> str | None:
    """What is full and what to do, where an error says that a limit of the machine was met; else None."""
    found = limit_of(error)
    return None if found is None else found.explain()


def limit_of(error: BaseException) -> Limit | None:
    """The limit that an error is about."""
    text = "cannot allocate memory" if isinstance(error, MemoryError) else str(error)
    return next((limit for limit in _LIMITS if limit.signs.search(text)), None)


def limit_of_exit(code: int | None) -> Limit | None:
    """The limit that ended a loader process with this exit code."""
    return next((limit for limit in _LIMITS if code in limit.exit_codes), None)
