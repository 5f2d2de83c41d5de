"""scripts/gpu.sh at tiny size on the CPU: every stage as on a GPU, and a second call that finds all done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from checkout import REPOSITORY

STAGES = ("tests", "scenes", "benchmark", "pretraining", "detector")


def call(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(REPOSITORY / "scripts" / "gpu.sh"), "--output", str(output), "--rehearse", *arguments],
        env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@pytest.mark.slow
def test_session_does_everything_once(tmp_path: Path) -> None:
    done = call(tmp_path, "--minutes", "25")  # under five where the machine does nothing else
    assert done.returncode == 0, done.stderr
    results = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in STAGES}
    assert {name: result["state"] for name, result in results.items()} == dict.fromkeys(STAGES, "done"), results
    page = (tmp_path / "report.md").read_text()
    assert page in done.stdout
    assert "passed" in results["tests"]["content"]["lines"][-1]
    assert "### The card" in page
    assert len(results["pretraining"]["content"]["evaluations"]) >= 2
    assert "encoder.weights=" in results["detector"]["content"]["command"]
    again = call(tmp_path, "--minutes", "25")
    assert "at most" not in again.stdout, "nothing is left to do"
    assert page in again.stdout


def test_session_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    done = call(tmp_path, "--only", "everything")
    assert done.returncode == 2
    assert "the stages are tests, scenes, benchmark, pretraining, detector" in done.stderr
    done = call(tmp_path, "--data", str(tmp_path / "gone.jsonl"))
    assert done.returncode == 2
    assert "--data and --validation belong together" in done.stderr
