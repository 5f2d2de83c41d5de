"""Several processes that train one model: the rank of this one, and the few collectives that training needs.

`torchrun` starts the processes and sets their ranks as environment variables; without it there is one process and
every collective is the identity. Tensors that models exchange go through torch's default group (NCCL on GPUs, gloo on
the CPU); what the trainer exchanges about the run goes through `Processes`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from scenetext.errors import ScenetextError, TrainingError

Content = TypeVar("Content")

_BARRIER_SECONDS = 5.0
"""Timeout of the barrier that finds out which processes are missing."""
_CONNECTION_ERRORS = ("gloo", "nccl", "connection", "timed out", "timeout", "socket")


def is_launched() -> bool:
    """Whether torchrun, or another launcher that sets its variables, started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def local_rank() -> int:
    """Number of this process among those on this machine, which is also the number of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_restarted() -> bool:
    """Whether torchrun restarted this process after it, or another one of the run, was lost."""
    return restarts() > 0


def restarts() -> int:
    """How often torchrun has restarted the processes of this run."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def rank() -> int:
    """Number of this process in the default group; 0 where there is none."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Processes in the default group; 1 where there is none."""
    return dist.get_world_size() if dist.is_initialized() else 1


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: number of this one.
        count: of all.
        device: where tensors have to lie to be exchanged by the default group.
        control: a gloo group beside the default one, for exchanges that need no GPU; None in a single process.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    control: dist.ProcessGroup | None = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that logs and saves."""
        return self.rank == 0

    def sums(self, values: Sequence[float]) -> list[float]:
        """Element-wise sums over all processes, in float64; each must give equally many values.

        Raises:
            TrainingError: a process is gone or did not come within the timeout.
        """
        if self.count == 1:
            return list(values)
        with self.watched("the values of a step"):
            tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
            dist.all_reduce(tensor)
            return [float(value) for value in tensor.tolist()]

    def gather(self, content: Content) -> list[Content]:
        """What every process gives, by rank; anything that can be pickled (both ends are this program).

        Raises:
            TrainingError: as `sums`.
        """
        if self.count == 1:
            return [content]
        collected: list[Any] = [None] * self.count
        with self.watched("each other's results"):
            dist.all_gather_object(collected, content, group=self.control)
        return collected

    def once(self, action: Callable[[], Content]) -> Content:
        """What `action` gives, which the first process alone does while the others wait; anything that can be pickled.

        Raises:
            ScenetextError: the one that `action` raised, in all processes.
            TrainingError: as `sums`.
        """
        if self.count == 1:
            return action()
        outcome: Content | ScenetextError | None = None
        if self.is_main:
            try:
                outcome = action()
            except ScenetextError as error:
                outcome = error
        result: Any = self.gather(outcome)[0]
        if isinstance(result, ScenetextError):
            raise result
        return result

    def in_turn(self, action: Callable[[], Content]) -> Content:
        """What `action` gives in each process; the first one does it before the others, which find what it kept.

        Raises:
            ScenetextError: the one that `action` raised in the first process, in all processes.
            TrainingError: as `sums`.
        """
        results: list[Content] = []
        self.once(lambda: results.append(action()))
        return results[0] if results else action()

    def wait(self, purpose: str) -> None:
        """Returns when every process has come here.

        Raises:
            TrainingError: as `sums`.
        """
        if self.count > 1:
            with self.watched(purpose):
                dist.barrier(group=self.control)

    @contextmanager
    def watched(self, purpose: str) -> Iterator[None]:
        """Turns torch's errors about lost processes within into one that says which are missing.

        Raises:
            TrainingError: a process is gone or did not come within the timeout.
        """
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not any(sign in str(error).lower() for sign in _CONNECTION_ERRORS):
                raise
            raise TrainingError(
                f"process {self.rank} of {self.count} waited for {purpose} in vain: {self._missing_processes()}. "
                "Look above for the error of the process that failed first; --resume goes on from the last checkpoint"
            ) from error

    def _missing_processes(self) -> str:
        """Which processes do not answer any more, as far as this one can see."""
        try:
            dist.monitored_barrier(self.control, timedelta(seconds=_BARRIER_SECONDS), wait_all_ranks=True)
        except RuntimeError as error:
            return str(error).strip().splitlines()[0]
        return "every process still answers, one of them was too slow"


@contextmanager
def joined_processes(device: torch.device, timeout: float) -> Iterator[Processes]:
    """Joins the processes that torchrun started, and leaves them at the end; one process alone where it did not.

    A process that fails does not leave: leaving waits for exchanges that will never end. The others notice its end.

    Every start has a key prefix of its own: torchrun's store survives a restart, and a process that asks it too early
    would get the address of one that is gone.

    Args:
        device: of this process.
        timeout: seconds after which a process that waits for another gives up.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what asks for "the" GPU, such as pinned memory, means this one from here on
    if not is_launched():
        yield Processes()
        return
    limit = timedelta(seconds=timeout)
    store, rank, world_size = next(rendezvous("env://", timeout=limit))
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(f"start_{restarts()}", store),
        rank=rank,
        world_size=world_size,
        timeout=limit,
    )
    control = dist.new_group(backend="gloo", timeout=limit)
    if not isinstance(control, dist.ProcessGroup):
        raise TrainingError("this process is not part of the group of all processes")
    yield Processes(dist.get_rank(), dist.get_world_size(), device, control)
    dist.destroy_process_group()


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, (B, ...) to (W * B, ...) by rank, as if one process had made them.

    Gradients come back complete: each process's rows get the sum of their gradients over all processes. (The gather of
    the published oCLIP code passes none, so that its gradient is 1 / W of that of one process.)
    """
    return rows if world_size() == 1 else _GatherRows.apply(rows)


def total_over_ranks(values: Tensor) -> Tensor:
    """Element-wise sum over all processes; carries no gradient."""
    total = values.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def share_of_each(count: Tensor, elsewhere: Sequence[Tensor] = ()) -> Tensor:
    """What a micro-batch's sum over things is multiplied with, so that all things of a step weigh the same.

    Args:
        count: scalar, the things of this micro-batch.
        elsewhere: those of the other micro-batches of this process.

    Returns:
        Micro-batches of all processes over things of all of them (at least 1): the mean of such products over
        micro-batches and processes is the mean over the things of the step. Carries no gradient.
    """
    micro_batches = world_size() * (len(elsewhere) + 1)
    return micro_batches / total_over_ranks(torch.stack([count, *elsewhere]).sum()).clamp(min=1)


class _GatherRows(torch.autograd.Function):
    """All-gather, whose gradient is an all-reduce of which each process keeps its own rows.

    Torch's own (`torch.distributed.nn.functional.all_gather`) is deprecated, and its successor is newer than torch 2.6.
    """

    @staticmethod
    def forward(_context: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed.chunk(world_size())[rank()]
