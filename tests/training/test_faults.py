"""A training that is killed again and again ends with the weights of one that nothing happened to."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch

from brightness import BrightnessTask, draw_records, make_trainer
from processes import forkserver
from scenetext.structures import Batch, ImageRecord
from scenetext.training.averaging import AveragingSettings
from scenetext.training.checkpoint import checkpoints_of, load_checkpoint

KILLS = 20
SETTINGS: dict[str, Any] = {
    "steps": 200,
    "checkpoint_every": 3,
    "evaluate_every": 7,
    "keep_checkpoints": 2,
    "accumulation": 2,
    "averaging": AveragingSettings(decay=0.9),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingTask(BrightnessTask):
    """Dies in a forward pass: of training, or of an evaluation."""

    def __init__(self, dies_at: int, in_training: bool) -> None:
        super().__init__()
        self.remaining, self.in_training = dies_at, in_training

    def predict(self, batch: Batch) -> torch.Tensor:
        self.remaining -= self.training == self.in_training
        if self.remaining == 0:
            die()
        return super().predict(batch)


def die_in_a_write(number: int, share: float) -> None:
    """From now on, the `number`-th file of weights is written only up to a share of its bytes."""
    remaining = number
    whole_write: Callable[..., None] = torch.save

    def write(content: object, stream: IO[bytes]) -> None:
        nonlocal remaining
        remaining -= 1
        if remaining > 0:
            whole_write(content, stream)
            return
        memory = io.BytesIO()
        whole_write(content, memory)
        stream.write(memory.getvalue()[: int(share * memory.tell())])
        stream.flush()
        die()

    torch.save = write


def die_later(seconds: float) -> None:
    def wait_and_die() -> None:
        time.sleep(seconds)
        die()

    threading.Thread(target=wait_and_die, daemon=True).start()


def train(records: Sequence[ImageRecord], folder: Path, fault: str, number: int, fraction: float) -> None:
    """Trains from the newest checkpoint on, until the fault or the end of the run."""
    torch.set_num_threads(1)
    dying = {"step": True, "evaluation": False}
    task = DyingTask(number, dying[fault]) if fault in dying else BrightnessTask()
    if fault == "write":
        die_in_a_write(number, fraction)
    if fault == "moment":
        die_later(0.2 * fraction)
    trainer = make_trainer(records, folder, task, **SETTINGS)
    if checkpoints_of(folder):
        trainer.resume()
    trainer.fit()


def in_a_process(*arguments: Any) -> int | None:
    process = forkserver().Process(target=train, args=arguments)
    process.start()
    process.join(120)
    return process.exitcode


@pytest.mark.slow
def test_killed_at_twenty_moments_the_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    records = draw_records(tmp_path / "images")
    assert in_a_process(records, tmp_path / "whole", "none", 0, 0.0) == 0
    generator = np.random.default_rng(2026)
    faults = generator.permutation(["step", "write", "moment", "evaluation"] * (KILLS // 4))
    deaths = []
    for fault in map(str, faults):
        ended = in_a_process(records, tmp_path / "killed", fault, int(generator.integers(1, 5)), generator.random())
        deaths.append(fault if ended == -signal.SIGKILL else "none")
        assert ended in (0, -signal.SIGKILL)
    assert {"step", "write", "evaluation"} <= set(deaths), "the faults did happen"
    assert in_a_process(records, tmp_path / "killed", "none", 0, 0.0) == 0
    whole, killed = (load_checkpoint(checkpoints_of(tmp_path / name)[-1]) for name in ("whole", "killed"))
    assert whole["step"] == killed["step"] == SETTINGS["steps"]
    for part in ("model", "average", "random"):
        assert same(whole[part], killed[part]), part
    assert same(whole["optimizer"]["state"], killed["optimizer"]["state"])
    assert same(*(load_checkpoint(tmp_path / name / "best.pt")["model"] for name in ("whole", "killed")))
    assert not list((tmp_path / "killed").rglob("*.partial"))


def same(one: Any, other: Any) -> bool:
    """Bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)
