"""Detectors timed beside each other."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from checkout import REPOSITORY
from scenetext.benchmark.pace import Pace, drawn_batch, training_pace
from scenetext.runs.build import build_task
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.tasks.detection import DetectionTask

TINY = ("dbnet scenes tiny", "dbnet scenes fasttcm tiny")


def tasks() -> dict[str, DetectionTask]:
    built = {name: build_task(load_run([*name.split(), "encoder.width=4"], DetectionRun)) for name in TINY[:1]}
    return {name: task for name, task in built.items() if isinstance(task, DetectionTask)}


def test_drawn_batch_has_text_to_learn_from() -> None:
    (task,) = tasks().values()
    batch = drawn_batch(task, (96, 96), 2, torch.device("cpu"))
    assert batch.images.shape == (2, 3, 96, 96)
    region, _ = task.spec.text_region(batch.targets)
    assert 0.02 < region.float().mean() < 0.5


def test_training_is_timed_and_its_memory_counted() -> None:
    (pace,) = training_pace(tasks(), (64, 64), 1, 2, torch.device("cpu"))
    assert len(pace.seconds) == len(pace.ratios) == 2
    assert pace.ratios == (1.0, 1.0), "the first is compared with itself"
    assert pace.kept > 0.1
    assert pace.operations > 0.01
    assert pace.peak > 10


def test_ratio_is_the_median_over_the_rounds() -> None:
    pace = Pace("one", (1.0, 2.0, 4.0), (0.5, 0.9, 2.0), 1.0, 0.0, 1.0)
    assert (pace.speed, pace.ratio) == (0.5, 0.9)


@pytest.mark.slow
def test_command_prints_both_tables() -> None:
    call = [sys.executable, "tools/benchmark.py", "pace", *" vs ".join(TINY).split()]
    call += ["--set", "training.device=cpu", "--size", "96"]
    done = subprocess.run(
        [*call, "--repetitions", "2", "--training-repetitions", "1", "--images", "1"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in lines] == ["detector", *TINY] * 2
