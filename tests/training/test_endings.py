"""A training that fails ends: within seconds, with its exit code and its message, whatever failed and wherever."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from brightness import BrightnessTask, draw_records, make_trainer
from command_process import run_function
from scenetext.commands.command_line import run_program
from scenetext.data.loading import dataset
from scenetext.data.loading.loader import LoaderSettings
from scenetext.distributed import joined_processes
from scenetext.structures import Batch, ImageRecord, PreparedSample, Sample

SECONDS = 30
"""An upper bound that a busy machine keeps too; without a fault such a run takes one or two."""


class FailingTask(BrightnessTask):
    """Calls `fail` at a stage: "prepare" (of one image), "evaluation", "pictures", or the number of a step."""

    def __init__(self, stage: str | int, fail: Callable[[], object]) -> None:
        super().__init__()
        self.stage, self.fail = stage, fail

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        if self.stage == "prepare" and sample.meta.path.stem > "3":
            self.fail()
        return super().prepare_training(sample, generator)

    def forward(self, batch: Batch, others: Sequence[None] = ()) -> dict[str, Tensor]:
        if self.stage == self.calls:
            self.fail()
        return super().forward(batch, others)

    def predict(self, batch: Batch) -> Tensor:
        if self.stage == "evaluation" and not self.training:
            self.fail()
        return super().predict(batch)

    def pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        if self.stage == "pictures":
            self.fail()
        return super().pictures(batch)


def raises(error: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def few_files() -> None:
    """Leaves this process no file to open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, most))


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
TORCHS_SHARED_MEMORY = RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)")
CUDA_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
LOWER = r"memory of cpu ran out: .*training\.accumulation.*activation_checkpointing.*loader\.batch_size"
SHARED = r"error: .*shared memory .*/dev/shm.*--shm-size.*loader\.workers"
FILES = r"error: .*too many open files.*ulimit -n"
HOST = r"error: .*memory .*loader\.workers"
STAGES: dict[str, tuple[str | int, Callable[[], object], tuple[int, ...], int, str]] = {
    "first batch": ("prepare", raises(ValueError("a fault")), (0, 1, 2), 1, "ValueError: .*a fault"),
    "mid-step": (2, raises(RuntimeError("a fault")), (0, 2), 1, "RuntimeError: a fault"),
    "stuck loader": ("stuck", raises(RuntimeError("a fault")), (2,), 1, "RuntimeError: a fault"),
    "optimiser": ("optimiser", raises(RuntimeError("a fault")), (0, 2), 1, "RuntimeError: a fault"),
    "evaluation": ("evaluation", raises(KeyError("a fault")), (0, 2), 1, "KeyError: 'a fault'"),
    "pictures": ("pictures", raises(CUDA_MEMORY), (2,), 2, "memory of cpu ran out"),
    "checkpoint": ("save", raises(FULL), (2,), 2, "cannot be written.*No space left"),
    "checkpoint, a fault": ("save", raises(TypeError("a fault")), (0, 2), 1, "TypeError: a fault"),
    "memory of the device": (2, raises(CUDA_MEMORY), (0, 2), 2, LOWER),
    "memory of the machine": (2, raises(MemoryError()), (0, 2), 2, LOWER),
    "memory of a loader": ("prepare", raises(MemoryError()), (0, 1), 2, r"error: .*memory .*loader\.batch_size"),
    "killed loader": ("prepare", lambda: os.kill(os.getpid(), signal.SIGKILL), (2,), 2, HOST),
    "images gone": ("gone", lambda: None, (0, 2), 2, "error: none of 10 images in a row could be read"),
    "shared memory": ("collate", raises(TORCHS_SHARED_MEMORY), (1, 2), 2, SHARED),
    "shared memory, a signal": ("prepare", lambda: os.kill(os.getpid(), signal.SIGBUS), (1,), 2, SHARED),
    "open files of a loader": ("prepare", few_files, (1, 2), 2, FILES),
    "open files": (2, few_files, (0, 1), 2, FILES),
}
"""Name: where it fails, how, with how many loader processes each, the exit code, and what the message has."""


def train(records: Sequence[ImageRecord], folder: Path, name: str, workers: int) -> None:
    """A run of 12 steps with the fault of that name."""
    torch.set_num_threads(1)
    _MultiProcessingDataLoaderIter._try_get_data.__defaults__ = (0.5,)  # how often it looks for lost processes: 5 s
    stage, fail, _, _, _ = STAGES[name]
    task = FailingTask(stage, fail)
    trainer = make_trainer(records, folder, task)
    trainer.loader = LoaderSettings(batch_size=4, workers=workers)
    if stage == "stuck":
        trainer.training_data.prepare = _stuck_after(folder / "stuck", task)
        task.stage, task.fail = 2, lambda: ((folder / "stuck").touch(), time.sleep(0.3), fail())
    if stage == "optimiser":
        trainer.learner.optimizer.step = fail  # type: ignore[method-assign, assignment]
    if stage == "save":
        torch.save = lambda *_: fail()  # type: ignore[assignment]
    if stage == "collate":
        dataset.default_collate = lambda _: fail()
    if stage == "gone":
        for record in records:
            record.path.unlink()
    run_program(lambda: trainer.fit() and None)


def _stuck_after(flag: Path, task: BrightnessTask) -> Callable[[Sample, np.random.Generator], PreparedSample]:
    """Never comes back from an image, as on a network's disk that is gone, once there is a file."""

    def prepare(sample: Sample, generator: np.random.Generator) -> PreparedSample:
        time.sleep(1000 if flag.exists() else 0)
        return task.prepare_training(sample, generator)

    return prepare


def train_beside(rank: int, port: int, images: Path, folder: Path, name: str) -> None:
    """One of two processes as torchrun starts them; the second fails."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(port))
    torch.set_num_threads(1)
    stage, fail, _, _, _ = STAGES[name]
    task = FailingTask(stage, fail) if rank == 1 else BrightnessTask()

    def run() -> None:
        with joined_processes(torch.device("cpu"), timeout=20) as processes:
            trainer = make_trainer(draw_records(images / str(rank)), folder, task, processes)
            trainer.loader = LoaderSettings(batch_size=4, workers=1)
            trainer.fit()

    run_program(run)


@pytest.mark.parametrize(
    ("name", "workers"), [(name, workers) for name, stage in STAGES.items() for workers in stage[2]]
)
def test_a_training_that_fails_ends_with_its_code_and_message(name: str, workers: int, tmp_path: Path) -> None:
    _, _, _, code, message = STAGES[name]
    records = draw_records(tmp_path / "images")
    done = run_function(train, records, tmp_path / "run", name, workers, timeout=SECONDS)
    assert done.returncode == code, done.stderr
    assert re.search(message, done.stderr), done.stderr


@pytest.mark.parametrize("name", ["mid-step", "evaluation", "killed loader"])
def test_where_one_process_fails_the_others_end_too(name: str, tmp_path: Path) -> None:
    _, _, _, code, message = STAGES[name]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ThreadPoolExecutor(2) as pool:
        images, run = tmp_path / "images", tmp_path / "run"
        ended = [
            pool.submit(run_function, train_beside, rank, port, images, run, name, timeout=SECONDS) for rank in range(2)
        ]
        other, failed = (each.result() for each in ended)
    assert failed.returncode == code, failed.stderr
    assert re.search(message, failed.stderr.replace("error (process 1)", "error")), failed.stderr
    assert other.returncode == 2, other.stderr
    assert "error (process 0): process 0 of 2 waited for" in other.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mid-step", "first batch"])
def test_torchrun_ends_where_one_process_fails(name: str, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, __file__, str(tmp_path / "images"), str(tmp_path / "run"), name],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "a fault" in done.stderr
    assert "rank      : 1" in done.stderr, "torchrun names the process that failed first"


if __name__ == "__main__":
    train_beside(int(os.environ["RANK"]), 0, Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
