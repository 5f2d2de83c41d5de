"""Training under torchrun, as on a node with several GPUs: a lost worker, a signal, and the same bits in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_commands import pretraining_config, scenes  # noqa: F401 (a fixture)

from checkout import REPOSITORY

STEPS = 24
SETTINGS = (
    f"training.steps={STEPS}",
    "training.evaluate_every=12",
    "training.checkpoint_every=5",
    "training.log_every=1",
    "loader.batch_size=4",
    "loader.workers=0",
)


TOOL = ("tools/pretrain.py",)
VERB = ("-m", "scenetext", "pretrain")


def torchrun(
    config: Path, *arguments: str | Path, restarts: int = 0, program: tuple[str, ...] = TOOL
) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [
        *launcher,
        f"--max-restarts={restarts}",
        *program,
        str(config),
        *SETTINGS,
        *map(str, arguments),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    return output


def wait_for_step(log: Path, step: int) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.is_file() else []
        if any(json.loads(line)["step"] >= step for line in lines if line.endswith("}")):
            return
        time.sleep(0.05)
    raise AssertionError(f"no step {step} in {log}")


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, command in commands.items() if b"tools/pretrain.py" in command]


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    content = torch.load(folder / "checkpoints" / f"step_{STEPS:08d}.pt", weights_only=True)
    return {**content["model"], **{f"state {k}": v["exp_avg"] for k, v in content["optimizer"]["state"].items()}}


@pytest.fixture(scope="module")
def whole(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:  # noqa: F811
    """The config, and the run folder of two processes that nothing happened to; started in the other of both ways."""
    folder = tmp_path_factory.mktemp("torchrun")
    config = pretraining_config(folder, scenes / "records.jsonl")
    process = torchrun(config, "--output", folder / "whole", program=VERB)
    output = finish(process)
    assert process.returncode == 0, output
    assert output.count("run folder:") == 1, "one process reports"
    assert "in each of 2 processes" in output
    return config, folder / "whole"


def same_weights(one: Path, other: Path) -> None:
    expected, found = final_weights(one), final_weights(other)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_killed_worker_is_replaced_and_the_run_ends_with_the_same_bits(
    whole: tuple[Path, Path], tmp_path: Path
) -> None:
    config, expected = whole
    process = torchrun(config, "--output", tmp_path / "run", restarts=1)
    wait_for_step(tmp_path / "run" / "log.jsonl", 7)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    output = finish(process)
    assert process.returncode == 0, output
    assert "resumed after step" in output
    same_weights(expected, tmp_path / "run")


@pytest.mark.slow
def test_a_whole_run_killed_and_resumed_ends_with_the_same_bits(whole: tuple[Path, Path], tmp_path: Path) -> None:
    config, expected = whole
    process = torchrun(config, "--output", tmp_path / "run")
    wait_for_step(tmp_path / "run" / "log.jsonl", 13)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    resumed = torchrun(config, "--output", tmp_path / "run", "--resume")
    output = finish(resumed)
    assert resumed.returncode == 0, output
    same_weights(expected, tmp_path / "run")


@pytest.mark.slow
def test_a_users_mistake_is_one_clear_message_per_process(whole: tuple[Path, Path], tmp_path: Path) -> None:
    process = torchrun(whole[0], "--output", tmp_path / "run", "loader.batch_size=3")
    output = finish(process)
    assert process.returncode != 0
    assert "error (process 0): loader.batch_size: 3 images per step cannot be divided evenly among 2" in output
