"""tools/prepare_dataset.py as its user meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scenetext.data.images import write_image
from scenetext.data.records import read_records


def run_tool(repository: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, repository / "tools" / "prepare_dataset.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def dataset(tmp_path: Path) -> list[object]:
    for name in ("img_1", "img_2"):
        write_image(tmp_path / "images" / f"{name}.jpg", np.zeros((40, 60, 3), dtype=np.uint8))
        (tmp_path / f"gt_{name}.txt").write_text("1,2,30,2,30,12,1,12,A,B\r\n1,2,3,2,3,4,1,4,###\r\n", encoding="utf-8")
    return ["icdar2015", "--images", tmp_path / "images", "--ground-truths", tmp_path]


def test_records_are_written_and_summed_up(repository: Path, dataset: list[object], tmp_path: Path) -> None:
    done = run_tool(repository, *dataset, "--output", tmp_path / "out" / "train.jsonl")
    assert done.returncode == 0, done.stderr
    assert "2 images, 4 words" in done.stdout
    assert "ignored: 2" in done.stdout
    records = read_records(tmp_path / "out" / "train.jsonl")
    assert [i.text for record in records for i in record.instances] == ["A,B", None, "A,B", None]


def test_a_broken_line_is_one_message(repository: Path, dataset: list[object], tmp_path: Path) -> None:
    (tmp_path / "gt_img_2.txt").write_text("1,2,3\n", encoding="utf-8")
    done = run_tool(repository, *dataset, "--output", tmp_path / "train.jsonl")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'gt_img_2.txt'}:1: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "train.jsonl").exists()
