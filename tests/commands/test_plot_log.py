"""tools/plot.py as a person runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import pytest

from command_process import run_tool


def plot(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_tool("plot", *arguments)


def write_run(folder: Path, bend: float, ending: str = "") -> Path:
    """A log of 60 training lines and 6 evaluations."""
    folder.mkdir()
    lines = []
    for step in range(10, 610, 10):
        lines.append({"kind": "train", "step": step, "loss": bend / step + 0.1 * (step % 40) / 40, "images": 9.0})
        if step % 100 == 0:
            lines.append({"kind": "evaluation", "step": step, "hmean": 1 - bend / (10 * step)})
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + ending)
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    return write_run(tmp_path / "scratch", 50.0), write_run(tmp_path / "pretrained", 20.0, '{"kind": "train", "st')


def test_two_runs_in_one_picture(runs: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="curves are drawn with: pip install scenetext[plot]")
    output = tmp_path / "pictures" / "curves.png"
    done = plot(*runs, "--metrics", "loss", "hmean", "--smooth", "5", "--output", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"picture: {output}\n"
    assert "pretrained/log.jsonl:67: passed over" in done.stderr
    picture = cv2.imread(str(output))
    two_panels = picture.shape
    assert len({tuple(pixel) for pixel in picture.reshape(-1, 3)[::7]}) > 10, "there are coloured lines"

    done = plot(*runs, "--output", output)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(output)).shape[1] > two_panels[1], "three panels: all metrics that the runs share"


def test_mistakes_are_reported(runs: tuple[Path, Path], tmp_path: Path) -> None:
    done = plot(tmp_path)
    assert done.returncode == 2
    assert f"error: {tmp_path}: is not a run folder: log.jsonl cannot be read" in done.stderr
    done = plot(*runs, "--metrics", "hmaen")
    assert done.returncode == 2
    assert "no run has 'hmaen'; did you mean hmean?" in done.stderr
    done = plot(*runs, "--output", tmp_path / "curves.bmp")
    assert done.returncode == 2
    assert ".png, .svg, .pdf" in done.stderr
