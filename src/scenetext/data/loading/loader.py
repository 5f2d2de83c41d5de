"""The order of the images, and the processes that prepare them."""

from __future__ import annotations

import atexit
import multiprocessing.queues
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from multiprocessing.process import BaseProcess
from typing import Any

import cv2
import numpy as np
import torch
from pydantic import Field
from torch.utils.data import DataLoader, Dataset

from scenetext.config import Settings
from scenetext.data.loading.combination import Epochs
from scenetext.data.loading.dataset import LoadedSample, RecordDataset, collate_loaded
from scenetext.data.loading.limits import exhausted, limit_of, limit_of_exit
from scenetext.errors import ConfigError, LoaderError, ScenetextError
from scenetext.structures import Batch

_MOST_DEFAULT_WORKERS = 16
_LOST = re.compile(r"DataLoader worker \(pid.*(exited unexpectedly|is killed by signal)")
"""What a DataLoader says of a worker that is gone."""


class LoaderSettings(Settings):
    """How many images at a time, prepared by how many processes."""

    batch_size: int = Field(default=16, ge=1)
    """Images per training step, over all processes of a distributed training together."""
    evaluation_batch_size: int = Field(default=4, ge=1)
    """Most images per batch in evaluation; those of one batch are padded to the largest of them."""
    workers: int | None = Field(default=None, ge=0)
    """Processes that prepare images, per training process; 0: none, the training process does it. Default: one less
    than the cores that this process may use, at least 1, at most 16. The data do not depend on it."""


class StepSampler:
    """The images of every training step: a stream without end that depends on the seed alone.

    The stream is one epoch after the other; step k takes the positions k * batch_size to (k + 1) * batch_size of it,
    across the end of an epoch if needed. So training can go on from any step with nothing but its number.

    Args:
        epochs: the images of every epoch.
        batch_size: images per step over all ranks.
        first_step, last_step: the steps to give, `last_step` not included.
        rank, world_size: which equal slice of every step's images to give.

    Yields:
        For every step its keys (round, index), batch_size / world_size of them: see `Epochs.keys`.

    Raises:
        ConfigError: the batch cannot be divided evenly among the ranks.
    """

    def __init__(
        self,
        epochs: Epochs,
        batch_size: int,
        first_step: int,
        last_step: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size % world_size:
            raise ConfigError(
                f"loader.batch_size: {batch_size} images per step cannot be divided evenly among {world_size} processes"
            )
        self.epochs = epochs
        self.batch_size = batch_size
        self.first_step = first_step
        self.last_step = last_step
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return max(0, self.last_step - self.first_step)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        share = self.batch_size // self.world_size
        for step in range(self.first_step, self.last_step):
            start = step * self.batch_size + self.rank * share
            yield self._keys(start, start + share)

    def _keys(self, start: int, end: int) -> list[tuple[int, int]]:
        """The keys at positions of the stream, which may be of several epochs."""
        keys: list[tuple[int, int]] = []
        while start < end:
            epoch, first = divmod(start, len(self.epochs))
            last = min(first + end - start, len(self.epochs))
            keys += [(one, index) for one, index in self.epochs.keys(epoch, np.arange(first, last)).tolist()]
            start += last - first
        return keys


class BatchLoader:
    """The batches of a DataLoader, in order; iterate over it.

    An error of scenetext that happens in a loader process is raised here as it was, with its own message.

    Raises:
        LoaderError: while iterating: a loader process was lost (out of memory, killed), or the machine has too little
            memory, shared memory or open files for them.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        if self._loader.num_workers:
            _kill_loader_processes_at_exit()
        own: list[BaseProcess] = []
        try:
            batches = _started(self._loader, own)
            while True:
                batch = next(batches, None)
                if batch is None:
                    return
                if isinstance(batch, ScenetextError):
                    raise batch
                yield batch
        except (RuntimeError, OSError, MemoryError) as error:
            if (problem := _explained(error, own)) is None:
                raise
            raise LoaderError(f"{problem}; --resume goes on from the last checkpoint") from error


def _explained(error: Exception, processes: Sequence[BaseProcess]) -> str | None:
    """What a DataLoader's error means; None where it is no matter of its processes and of the machine.

    Args:
        processes: of the loader.
    """
    if not _LOST.match(str(error)):
        return exhausted(error)
    limits = [limit_of_exit(process.exitcode) for process in processes if process.exitcode]
    reason = next(
        (limit.explain() for limit in limits if limit), "look above for its own message, lower loader.workers"
    )
    return f"a loader process was lost ({str(error).splitlines()[0]}): {reason}"


def _started(loader: DataLoader[Any], processes: list[BaseProcess]) -> Iterator[Any]:
    """A DataLoader's iterator, without its handler of SIGCHLD.

    That handler raises at any point of the main process, in the middle of an update of weights for example. Without it,
    a lost process is noticed when the next batch is waited for.

    Args:
        processes: gets those that were started.
    """
    is_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGCHLD) if is_main_thread and hasattr(signal, "SIGCHLD") else None
    before = set(multiprocessing.active_children())
    batches = iter(loader)
    processes += set(multiprocessing.active_children()) - before
    if handler is not None:
        signal.signal(signal.SIGCHLD, handler)
    return batches


@cache
def _kill_loader_processes_at_exit() -> None:
    """Once, however this process ends: Python would send SIGTERM, which loader processes ignore, and wait for them.

    They are still there where an error's stack trace refers to the iterator, which would else have ended them.
    """
    atexit.register(_kill_daemons)


def _kill_daemons() -> None:
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()


def training_loader(
    dataset: RecordDataset,
    settings: LoaderSettings,
    seed: int,
    first_step: int,
    last_step: int,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
) -> BatchLoader:
    """The batches of the steps from `first_step` up to, not including, `last_step`: see `StepSampler`.

    Args:
        pin_memory: whether to put batches into page-locked memory, from where copies to a GPU overlap with its work.
            This takes memory of the GPU, so set it only if one is used.
    """
    steps = StepSampler(Epochs(dataset.parts, seed), settings.batch_size, first_step, last_step, rank, world_size)
    return _loader(dataset.__getitem__, steps, settings.workers, pin_memory)


def evaluation_loader(
    dataset: RecordDataset,
    batch_size: int,
    workers: int | None,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
) -> BatchLoader:
    """Every image exactly once over all ranks, from the narrowest for its height to the widest.

    So the images of a batch have nearly the same shape when they are scaled to the same bounds, and little of it is
    padding. Images of one aspect come in the order of the records.

    Args:
        batch_size: the largest; batches are as equal as can be, so that none of a single image remains at the end.
        workers: see `LoaderSettings`.
        rank, world_size: which of the batches to give; what is in a batch does not depend on them.
        pin_memory: see `training_loader`.
    """
    order = np.argsort([record.width / record.height for record in dataset.records], kind="stable")
    indices = np.array_split(order, -(-len(dataset) // batch_size))
    own = [part.tolist() for part in indices[rank::world_size]]
    return _loader(dataset.evaluation_item, own, workers, pin_memory)


def default_workers() -> int:
    """One process less than the cores that this process may use, from 1 to 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(cores - 1, 1), _MOST_DEFAULT_WORKERS)


def _loader(load: Callable[[Any], LoadedSample], batches: Any, workers: int | None, pin_memory: bool) -> BatchLoader:
    """Batches of what `load` gives for the keys that `batches` lists for each."""
    count = default_workers() if workers is None else workers
    loader = DataLoader(
        _ItemsOrErrors(load),
        batch_sampler=batches,
        num_workers=min(count, len(batches)),
        collate_fn=_collate_or_error,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
        # A DataLoader draws a number whenever it starts. It gets a generator of its own: otherwise a resumed
        # training, which starts one more, would go on with other random numbers (dropout) than an uninterrupted one.
        generator=torch.Generator(),
    )
    return BatchLoader(loader)


class _ItemsOrErrors(Dataset[Any]):
    """Items of a dataset; a ScenetextError comes as an item, since a DataLoader would bury it in a stack trace."""

    def __init__(self, load: Callable[[Any], LoadedSample]) -> None:
        self.load = load

    def __getitem__(self, key: Any) -> LoadedSample | ScenetextError:
        try:
            return self.load(key)
        except ScenetextError as error:
            return error


def _collate_or_error(items: Sequence[LoadedSample | ScenetextError]) -> Batch | ScenetextError:
    loaded = []
    for item in items:
        if isinstance(item, ScenetextError):
            return item
        loaded.append(item)
    try:
        return collate_loaded(loaded)
    except ScenetextError as error:
        return error


def _start_worker(_worker: int) -> None:
    """One core per process, and no dying on signals meant for the training: the main process decides when to stop.

    Signals to the whole process group (Ctrl-C, a scheduler's SIGTERM) reach the workers too. They end when the main
    process closes them or is gone.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]


def _end_worker(error: Exception, _batch: object) -> None:
    """Ends a loader process that cannot pass a batch on. Python prints such an error, and the main process waits for
    the batch for ever."""
    sys.stderr.write(f"loader process: a batch cannot be passed on: {error}\n")
    sys.stderr.flush()
    limit = limit_of(error)
    os._exit(limit.exit_codes[0] if limit else 1)
