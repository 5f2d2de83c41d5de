"""scripts/slurm_array.sh on a stand-in for Slurm: three shares of a collection, read, merged, and packed."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checkout import REPOSITORY
from ocr_engines import MadeUpEngine, write_grey_image
from scenetext.data.preparation.packing import PackSettings, pack_share
from scenetext.data.preparation.shares import Share, merge_shares
from scenetext.data.records.files import read_records
from scenetext.data.records.samples import load_sample
from scenetext.errors import DataError

SHARES = 3
SCONTROL = '#!/usr/bin/env bash\necho "$*" >> "$SLURM_SUBMIT_DIR/scontrol.log"\n'


class Array:
    """Starts jobs of an array in a folder, as Slurm would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scontrol = folder / "bin" / "scontrol"
        scontrol.parent.mkdir()
        scontrol.write_text(SCONTROL)
        scontrol.chmod(0o755)

    def start(self, number: int, *arguments: str) -> subprocess.Popen[str]:
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        slurm = {"SLURM_ARRAY_JOB_ID": "42", "SLURM_ARRAY_TASK_ID": str(number), "SLURM_SUBMIT_DIR": str(self.folder)}
        environment = {**os.environ, **slurm, "PATH": path, "PYTHONPATH": str(REPOSITORY / "src")}
        command = ["bash", str(REPOSITORY / "scripts" / "slurm_array.sh"), str(SHARES), *arguments]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder
        )


def test_three_shares_are_read_merged_packed_and_merged(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not on this machine")
    engine, array = MadeUpEngine(tmp_path, pause=0.1), Array(tmp_path)
    names = [f"images/{number % 3}/WORD{number}_99.png" for number in range(24)]
    for name in names:
        write_grey_image(tmp_path / name)
    output = tmp_path / "acquired" / "records.jsonl"
    reading = ["acquire", "images", "--output", "acquired/records.jsonl", "--workers", "1"]
    reading += ["--engine-command", shlex.join(engine.command)]

    jobs = [array.start(number, *reading) for number in (1, 3)]
    for job in jobs:
        said, _ = job.communicate(timeout=120)
        assert job.returncode == 0, said
    with pytest.raises(DataError, match=r"records\.jsonl: 1 of 3 shares are missing or not finished: 2"):
        merge_shares(output)
    assert not output.exists()

    read = len(engine.asked())
    job = array.start(2, *reading)
    limit = time.monotonic() + 60
    while len(engine.asked()) < read + 2 and time.monotonic() < limit and job.poll() is None:
        time.sleep(0.05)
    job.send_signal(signal.SIGUSR1)
    said, _ = job.communicate(timeout=60)
    assert job.returncode == 0, said
    assert (tmp_path / "scontrol.log").read_text() == "requeue 42_2\n", said
    with pytest.raises(DataError, match="missing or not finished: 2"):
        merge_shares(output)
    job = array.start(2, *reading)
    said, _ = job.communicate(timeout=120)
    assert job.returncode == 0, said
    assert len(engine.asked()) <= len(names) + 1, "what was in the journal was read again"

    counts = merge_shares(output)
    assert sum(counts.values()) == len(names)
    assert all(counts.values()), "a share that gets nothing of 24"
    merged = read_records(output)
    assert sorted(record.path for record in merged) == sorted(tmp_path / name for name in names)

    folder = tmp_path / "packed"
    for number in range(1, SHARES + 1):
        for attempt in range(2):
            done = pack_share(output, Share(number, SHARES), folder, PackSettings(64, 60), 5, 1, 0)
            assert (done is None) == (attempt == 1), "a share that is finished is not packed again"
    counts = merge_shares(folder / "records.jsonl")
    assert sum(counts.values()) == len(names)
    packed = read_records(folder / "records.jsonl")
    assert {one.instances[0].text for one in packed} == {one.instances[0].text for one in merged}
    assert all(load_sample(record) for record in packed)
