"""Work on many images, spread over several processes."""

from __future__ import annotations

import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from scenetext.errors import DataError

_AHEAD = 4
"""Items per process that are given out before their results are taken: enough to keep all busy, little to hold."""

_RANGE = 4096
_RANGES_PER_PROCESS = 4
"""Below which starting a process takes longer than what it does."""
_LARGEST_FUNCTION = 1 << 16
"""Bytes of a function, with what it refers to, that is sent along with every range."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """The results of a function for each item, in order; items are taken as processes become free.

    Args:
        function: picklable, as are items and results.
        workers: processes; 1 = this one. More are started from scratch ("spawn"), so a script that calls this with
            more than one needs the usual `if __name__ == "__main__":`.

    Raises:
        DataError: workers below 1, or one of them was ended from outside.
    """
    if workers < 1:
        raise DataError(f"the number of workers must be at least 1, got {workers}")
    if workers == 1:
        yield from map(function, items)
        return
    # "spawn", since a forked child of a process with threads (OpenCV's, torch's) can hang.
    executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_parent)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > _AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            f"one of {workers} processes was ended from outside, most often because memory ran out; use fewer workers"
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def in_ranges(function: Callable[[range], Result], count: int) -> Iterator[Result]:
    """The results of a function for ranges of 4,096 numbers that follow each other from 0 to `count` - 1, in order.

    As many processes work as there are cores for this one, where there are enough ranges and the function is small; a
    script that calls this on many needs the guard that `in_processes` names.

    Args:
        function: picklable, as are its results.
    """
    ranges = [range(first, min(first + _RANGE, count)) for first in range(0, count, _RANGE)]
    workers = max(1, min(available_cores(), len(ranges) // _RANGES_PER_PROCESS))
    if workers > 1 and len(pickle.dumps(function)) > _LARGEST_FUNCTION:
        workers = 1
    return in_processes(function, ranges, workers)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
