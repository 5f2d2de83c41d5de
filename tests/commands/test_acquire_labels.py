"""`tools/acquire.py` as a person runs it, with a made-up engine, and with RapidOCR where it is installed."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from checkout import REPOSITORY
from ocr_engines import MadeUpEngine, write_grey_image
from scenetext.data.records.files import read_records, write_records
from scenetext.data.records.images import write_image
from scenetext.evaluation.files import read_predictions
from scenetext.structures import ImageRecord, TextInstance

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def command_line(*arguments: str | Path) -> list[str]:
    return [sys.executable, "tools/acquire.py", *map(str, arguments)]


def acquire(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_line(*arguments),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        env=ENVIRONMENT,
        check=False,
    )


def engine_option(made_up: MadeUpEngine) -> tuple[str, str]:
    return "--engine-command", shlex.join(made_up.command)


def words_of(path: Path) -> dict[str, list[str | None]]:
    return {record.path.name: [instance.text for instance in record.instances] for record in read_records(path)}


def test_images_become_weak_records_with_a_report(tmp_path: Path) -> None:
    folder, output, made_up = tmp_path / "my photos", tmp_path / "out" / "records.jsonl", MadeUpEngine(tmp_path)
    for name in ("OPEN+DAILY_95-EXIT_80.png", "a/CAFE_99-B_99.png", "nothing.png", "refuse.png"):
        write_grey_image(folder / name)
    (folder / "notes.txt").write_text("no image")
    truth = [TextInstance(None, "open"), TextInstance(None, "EXIT"), TextInstance(None, "lost")]
    write_records(tmp_path / "true.jsonl", [ImageRecord(folder / "OPEN+DAILY_95-EXIT_80.png", 20, 12, tuple(truth))])

    options = ("--output", output, "--maximum-failed-share", "0.5", "--workers", "2", *engine_option(made_up))
    done = acquire(folder, *options, "--ground-truths", tmp_path / "true.jsonl")
    assert done.returncode == 0, done.stderr
    assert words_of(output) == {"OPEN+DAILY_95-EXIT_80.png": ["OPEN", "DAILY"], "CAFE_99-B_99.png": ["CAFE"]}
    assert "4 images, 2 with text" in done.stdout
    assert "5 words found, 3 kept at a confidence of 0.9, 60.0 %" in done.stdout
    assert "images that could not be used: 1 (refuse.png)" in done.stdout
    assert "other files in the folder: 1" in done.stdout
    assert "refuse.png: the engine says: too dark" in done.stderr
    assert "agreement with the true words of 1 images (3 have none)" in done.stdout
    assert "| 0 | 0 | 3 | 33.3 | 33.3 | 66.7 | 66.7 |" in done.stdout
    assert "| 0.9 | 0 | 2 | 0.0 | 0.0 | 50.0 | 33.3 |" in done.stdout

    asked = len(made_up.asked())
    done = acquire(folder, *options, "--minimum-confidence", "0.5", "--minimum-length", "1")
    assert done.returncode == 0, done.stderr
    assert words_of(output)["CAFE_99-B_99.png"] == ["CAFE", "B"]
    assert words_of(output)["OPEN+DAILY_95-EXIT_80.png"] == ["OPEN", "DAILY", "EXIT"]
    assert len(made_up.asked()) == asked, "other rules need no engine"


def test_what_was_read_can_be_scored_as_detections(tmp_path: Path) -> None:
    folder, made_up = tmp_path / "placed", MadeUpEngine(tmp_path)
    names = ["EXIT_90-CAFE_20.png", "nothing.png", "refuse.png"]
    paths = [write_grey_image(folder / name) for name in names if name != "nothing.png"]
    paths.insert(1, write_grey_image(folder / "a" / "nothing.png"))
    options = ("--output", tmp_path / "records.jsonl", "--maximum-failed-share", "1", *engine_option(made_up))
    done = acquire(folder, *options, "--predictions", tmp_path / "predictions.json")
    assert done.returncode == 0, done.stderr
    assert "predictions.json: 1 detections in 3 images; 1 texts have no polygon" in done.stdout
    predictions = read_predictions(tmp_path / "predictions.json")
    found = {Path(name): [(d.text, d.score, d.polygon.tolist()) for d in list_] for name, list_ in predictions.items()}
    assert found == {paths[0]: [("EXIT", 0.9, [[1, 2], [9, 2], [9, 8.5], [1, 8]])], paths[1]: [], paths[2]: []}


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_run_that_was_stopped_goes_on_to_the_same_records(tmp_path: Path, name: str) -> None:
    folder, whole, stopped = tmp_path / "photos", tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    for index in range(24):
        write_grey_image(folder / f"WORD{index}_9{index % 10}.png")
    (tmp_path / "slow").mkdir()
    fast, slow = MadeUpEngine(tmp_path), MadeUpEngine(tmp_path / "slow", pause=0.1)
    assert acquire(folder, "--output", whole, *engine_option(fast)).returncode == 0

    options = (folder, "--output", stopped, "--workers", "2", *engine_option(slow))
    process = subprocess.Popen(
        command_line(*options), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    journal = tmp_path / "stopped.jsonl.journal"
    deadline = time.monotonic() + 60
    while not (journal.is_file() and journal.read_bytes().count(b"\n") >= 4) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if name == "SIGKILL" else 130), errors
    assert b"Traceback" not in errors
    assert not stopped.exists(), "records are written whole or not at all"
    assert wait_for_end(slow.processes()), "engines end with the run"
    remembered = journal.read_bytes().rpartition(b"\n")[0].count(b"\n")
    assert 3 <= remembered < 24

    before = len(slow.asked())
    done = acquire(*options)
    assert done.returncode == 0, done.stderr
    assert stopped.read_bytes() == whole.read_bytes()
    assert len(slow.asked()) - before == 24 - remembered, "nothing is read twice"


def wait_for_end(processes: list[str]) -> bool:
    """Whether all of the processes end within seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(is_running(int(process)) for process in set(processes)):
            return True
        time.sleep(0.02)
    return False


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not (stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def fails_with(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


def test_an_engine_that_prints_something_else_is_quoted(tmp_path: Path) -> None:
    made_up = MadeUpEngine(tmp_path)
    write_grey_image(tmp_path / "photos" / "garbage.png")
    options = (tmp_path / "photos", "--output", tmp_path / "records.jsonl")
    done = acquire(*options, *engine_option(made_up))
    fails_with(done, "garbage.png", "line 1 of its output is not valid JSON", "Loading the model", "--retry-failed")
    assert not (tmp_path / "records.jsonl").exists()
    fails_with(acquire(*options, "--engine-command", "another engine"), "is the journal of the engine")


def test_mistakes_are_reported_before_anything_is_read(tmp_path: Path) -> None:
    made_up = MadeUpEngine(tmp_path)
    write_grey_image(tmp_path / "photos" / "EXIT_90.png")
    good = (tmp_path / "photos", "--output", tmp_path / "records.jsonl")
    fails_with(acquire(*good, "--engine-command", "no-such-ocr"), "there is no program 'no-such-ocr'")
    fails_with(acquire(*good, *engine_option(made_up), "--minimum-confidence", "90"), "minimum_confidence")
    fails_with(acquire(tmp_path / "none", *good[1:], *engine_option(made_up)), "none: is not a folder")
    assert made_up.asked() == []
    if find_spec("rapidocr") is None:
        fails_with(acquire(*good), "rapidocr is not installed", "pip install scenetext[acquisition]")


@pytest.mark.skipif(find_spec("rapidocr") is None, reason="needs rapidocr: pip install scenetext[acquisition]")
@pytest.mark.parametrize("options", [(), ("--word-boxes",)])
def test_rapidocr_reads_a_plain_word(tmp_path: Path, options: tuple[str, ...]) -> None:
    image = np.full((120, 400, 3), 255, dtype=np.uint8)
    cv2.putText(image, "OPEN DAILY", (20, 75), cv2.FONT_HERSHEY_SIMPLEX, 1.8, (0, 0, 0), 4, cv2.LINE_AA)
    write_image(tmp_path / "photos" / "sign.png", image)
    write_image(tmp_path / "photos" / "wall.png", np.full((120, 400, 3), 128, dtype=np.uint8))
    done = acquire(tmp_path / "photos", "--output", tmp_path / "records.jsonl", "--workers", "1", *options)
    assert done.returncode == 0, done.stderr
    assert words_of(tmp_path / "records.jsonl") == {"sign.png": ["OPEN", "DAILY"]}
    lines = (tmp_path / "records.jsonl.journal").read_text().splitlines()
    texts = next(line["texts"] for line in map(json.loads, lines[1:]) if line["path"] == "sign.png")
    assert not options or [text["text"] for text in texts] == ["OPEN", "DAILY"]
    polygon = np.array(texts[0]["polygon"])
    assert polygon.min(axis=0) == pytest.approx([20, 35], abs=15), "in pixels of the image"
    assert polygon[:, 1].max() == pytest.approx(80, abs=15)
