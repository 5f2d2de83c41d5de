"""Where commands write: never over what they read, tried before the work, and without results of an earlier run."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenetext.commands import run_words
from scenetext.commands.command_line import EXIT_CODE_USER_ERROR, CommandParser, run_command
from scenetext.commands.detect import detect_all
from scenetext.commands.detection_journal import DetectionJournal
from scenetext.commands.outputs import check_writable, output_path, results_in
from scenetext.data.records.images import write_image
from scenetext.data.transforms.evaluation import EvaluationTransformSettings, describe_test_size
from scenetext.errors import ConfigError
from scenetext.structures import Detection
from small_runs import make_set


def arguments_of(*words: str) -> argparse.Namespace:
    parser = CommandParser()
    parser.add_argument("inputs", type=Path, nargs="+")
    parser.add_argument("--output", type=output_path)
    parser.add_argument("--other", type=output_path)
    return parser.read(words)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("SPLIT --output {0} --validation-output {1}/b.jsonl", "over what is read"),
        ("SPLIT --output {1}/b.jsonl --validation-output {1}/b.jsonl", "two outputs"),
        ("SPLIT --output {1}/x/../b.jsonl --validation-output {1}/b.jsonl", "two outp"),
        ("SPLIT --output {0}/b.jsonl --validation-output {1}/b.jsonl", "is no folder"),
        ("prepare characters {0} --characters-output {1}/link.jsonl", "over what is read"),
        ("convert backbone {0} {0}", "over what is read"),
        ("detect {0} {0} --output {0}", "over what is read"),
        ("plot {1} --output {0}/curves.png", "is no folder"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_the_work(command: str, message: str, tmp_path: Path) -> None:
    records = make_set(tmp_path, "a", 3)
    (tmp_path / "link.jsonl").symlink_to(records)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    command = command.replace("SPLIT", "prepare split {0} --validation-images 1")
    with pytest.raises(ConfigError, match=message):
        run_words(command.format(records, tmp_path).split())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="has no folder that even root cannot write to")
def test_a_folder_that_cannot_be_written_is_found_out_at_once() -> None:
    with pytest.raises(ConfigError, match=r"/proc/results: cannot be written \(.*\); choose another output"):
        check_writable(Path("/proc/results"))


def test_trying_leaves_nothing_and_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    for name in ("new/folder/file.json", "old.json"):
        check_writable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "{}"


def test_paths_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments = arguments_of("~/a", "--output=~/b")
    assert (arguments.inputs, arguments.output, arguments.other) == ([tmp_path / "a"], tmp_path / "b", None)


def test_a_full_disk_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise OSError(28, os.strerror(28), "data/records.jsonl")

    with pytest.raises(SystemExit) as ended:
        run_command(fail)
    assert ended.value.code == EXIT_CODE_USER_ERROR
    assert capsys.readouterr().err == "error: data/records.jsonl: cannot be read or written: No space left on device\n"


def write(folder: Path, names: Sequence[str]) -> None:
    folder.mkdir(exist_ok=True)
    with results_in(folder):
        for name in names:
            (folder / name).write_text(name)


def test_results_of_an_earlier_run_go_and_other_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    write(folder, ["a.jpg", "b.jpg", "c.jpg"])
    (folder / "mine.txt").write_text("of the user")
    (folder / "c.jpg").write_text("changed by the user")
    write(folder, ["b.jpg", "d.jpg"])
    assert {path.name for path in folder.iterdir() if path.suffix != ".json"} == {"b.jpg", "c.jpg", "d.jpg", "mine.txt"}


def test_a_run_that_goes_on_keeps_what_the_earlier_one_wrote(tmp_path: Path) -> None:
    write(tmp_path, ["a.jpg"])
    with results_in(tmp_path, goes_on=True):
        (tmp_path / "b.jpg").write_text("b")
    assert {path.name for path in tmp_path.glob("*.jpg")} == {"a.jpg", "b.jpg"}
    write(tmp_path, ["c.jpg"])
    assert {path.name for path in tmp_path.glob("*.jpg")} == {"c.jpg"}


def test_a_run_that_fails_removes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    write(folder, ["a.jpg"])
    with pytest.raises(FileNotFoundError):
        write(folder, ["b.jpg", "no/folder.jpg"])
    assert (folder / "a.jpg").exists()
    write(folder, ["c.jpg"])
    assert [path.name for path in folder.glob("*.jpg")] == ["c.jpg"], "what both left is known"


class Detector:
    """Finds one text in every image; fails at the third image that it sees."""

    def __init__(self, fails: bool) -> None:
        self.seen = 0
        self.fails = fails
        self.task = argparse.Namespace(evaluation_transform=EvaluationTransformSettings(long_side=64, short_side=64))

    def __call__(self, pixels: np.ndarray, orientation: int) -> list[Detection]:
        self.seen += 1
        if self.fails and self.seen == 3:
            raise RuntimeError
        return [Detection(np.array([[1, 1], [9, 1], [9, 9]], np.float32), 0.5 + 0.1 * float(pixels[0, 0, 0]))]


def test_detections_that_were_made_are_kept_and_not_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(images):
        write_image(path, np.full((16, 16, 3), number, np.uint8))
    journal = tmp_path / "out" / "partial.jsonl"
    make: Callable[[bool], Any] = Detector
    with pytest.raises(RuntimeError), DetectionJournal(journal, {"score": 0}) as kept:
        detect_all(make(True), images, 0, tmp_path / "out", kept)
    with journal.open("a") as stream:
        stream.write('{"path": "cut o')
    detector = make(False)
    with DetectionJournal(journal, {"score": 0}) as kept:
        found = detect_all(detector, images, 0, tmp_path / "out", kept)
    assert detector.seen == 2, "two were done"
    assert "2 images were done already" in capsys.readouterr().out
    assert [detections[0].score for detections in found.values()] == pytest.approx([0.5, 0.6, 0.7, 0.8])
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len(lines) == 5
    with DetectionJournal(journal, {"score": 0.1}) as kept:
        assert kept.done == {}, "made otherwise"


def test_the_test_size_is_said_and_far_too_small_ones_are_warned_of() -> None:
    settings = EvaluationTransformSettings(long_side=192, short_side=192)
    assert describe_test_size([200, 300], settings) == [
        "test size: every image is scaled to the bounds of evaluation_transform.long_side 192, short_side 192"
    ]
    assert "half of the images have a side of 4000 pixels or more" in describe_test_size([300, 4000], settings)[1]
