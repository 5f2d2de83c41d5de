"""scripts/slurm.sh with the real torchrun, on a stand-in for Slurm and a stand-in for the package."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checkout import REPOSITORY

SRUN = """#!/usr/bin/env bash
# One node: runs the command here and, as Slurm does, hands signals on to it alone.
while [[ $1 == --* ]]; do shift; done
"$@" & task=$!
trap 'again=1; kill -USR1 "$task"' USR1
while :; do again=""; code=0; wait "$task" || code=$?; [ -n "$again" ] || exit "$code"; done
"""
SCONTROL = """#!/usr/bin/env bash
if [ "$1" = show ]; then echo localhost; else echo "$*" >> "$SLURM_SUBMIT_DIR/scontrol.log"; fi
"""
VERB = """
import os, signal, sys, time
from pathlib import Path

folder = Path(sys.argv[sys.argv.index("--output") + 1])
checkpoints = folder / "checkpoints"
checkpoints.mkdir(parents=True, exist_ok=True)
rank = os.environ["RANK"]
with (folder / f"starts_{rank}.log").open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")

def leave(*_):
    time.sleep(0.5 * int(rank))  # one process is slower to save than the other
    (checkpoints / "step_00000001.pt").touch()
    sys.exit(75)

if "--resume" in sys.argv:
    sys.exit(0)
if "--crash" in sys.argv:
    (checkpoints / "step_00000001.pt").touch()
    time.sleep(1)
    sys.exit(1)
signal.signal(signal.SIGTERM, leave)
(folder / f"ready_{rank}").touch()
time.sleep(60)
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


class Cluster:
    """Starts jobs in a folder that looks like the repository, with two processes each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, content in (
            ("bin/srun", SRUN),
            ("bin/scontrol", SCONTROL),
            ("scenetext/__init__.py", ""),
            ("scenetext/__main__.py", VERB),
        ):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
            path.chmod(0o755)
        (folder / "scripts").mkdir()
        shutil.copy(REPOSITORY / "scripts" / "slurm.sh", folder / "scripts")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        slurm = {"SLURM_JOB_ID": "42", "SLURM_JOB_NODELIST": "localhost", "SLURM_NNODES": "1"}
        own = {"SCENETEXT_PROCESSES": "2", "SCENETEXT_PORT": str(free_port())}
        environment = {**os.environ, **slurm, **own, "PATH": path, "SLURM_SUBMIT_DIR": str(self.folder)}
        command = ["bash", str(self.folder / "scripts" / "slurm.sh"), "run", "train", "run.yaml", *arguments]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def starts(self, rank: int) -> list[str]:
        return (self.folder / "run" / f"starts_{rank}.log").read_text().splitlines()


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    for program in ("bash", "pkill"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on this machine")
    return Cluster(tmp_path)


def test_job_saves_at_the_warning_goes_back_into_the_queue_and_resumes(cluster: Cluster) -> None:
    job = cluster.start("training.seed=1")
    ready = [cluster.folder / "run" / f"ready_{rank}" for rank in (0, 1)]
    limit = time.monotonic() + 60
    while not all(path.exists() for path in ready) and time.monotonic() < limit and job.poll() is None:
        time.sleep(0.1)
    job.send_signal(signal.SIGUSR1)
    _, told = job.communicate(timeout=60)
    assert job.returncode == 0, told
    assert "back into the queue" in told
    assert (cluster.folder / "scontrol.log").read_text() == "requeue 42\n"
    assert cluster.starts(0) == cluster.starts(1) == ["train run.yaml training.seed=1 --output run"], (
        "not started again"
    )

    job = cluster.start("training.seed=1")
    _, told = job.communicate(timeout=60)
    assert job.returncode == 0, told
    assert cluster.starts(1)[1:] == ["train run.yaml training.seed=1 --output run --resume"]
    assert (cluster.folder / "scontrol.log").read_text() == "requeue 42\n", "a run that ended is not put back"


@pytest.mark.slow
def test_processes_that_die_start_again_from_the_checkpoint(cluster: Cluster) -> None:
    job = cluster.start("--crash")
    _, told = job.communicate(timeout=90)
    assert job.returncode == 0, told
    assert cluster.starts(0) == ["train run.yaml --crash --output run", "train run.yaml --crash --output run --resume"]
    assert not (cluster.folder / "scontrol.log").exists()
