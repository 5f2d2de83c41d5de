"""The stages of some minutes with a GPU: what is run, stopped, gone on with and reported."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from checkout import REPOSITORY
from scenetext.benchmark import gpu_session
from scenetext.benchmark.gpu_session import Session, evaluations, run_command
from scenetext.benchmark.stages import OutOfTimeError, Result
from scenetext.errors import ConfigError, TrainingError
from scenetext.runs.settings import load_run

SAVES = """
import pathlib, signal, sys, time
def leave(*_):
    pathlib.Path("saved").touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
"""
WAITS = "time.sleep(60)"
BEGUN = f"pathlib.Path('begun').touch(); {WAITS}"
STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("child").write_text(str(child.pid))
time.sleep(60)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_command_gives_its_code_and_leaves_its_output(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert run_command(python("print('said'); raise SystemExit(3)"), tmp_path, log, 60) == 3
    assert log.read_text().splitlines()[0].startswith("$ ")
    assert log.read_text().splitlines()[-1] == "said"


def test_command_is_asked_to_stop_and_may_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_session, "SAVING_SECONDS", 20.0)
    with pytest.raises(OutOfTimeError):
        run_command(python(SAVES + WAITS), tmp_path, tmp_path / "log.txt", 6)
    assert (tmp_path / "saved").exists()


def test_command_that_does_not_listen_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_session, "SAVING_SECONDS", 0.2)
    with pytest.raises(OutOfTimeError):
        run_command(python(STUBBORN), tmp_path, tmp_path / "log.txt", 6)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20
    while _is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(child)


def test_command_is_ended_with_the_session(tmp_path: Path) -> None:
    """The session's own process gets SIGTERM, as from a scheduler, while a command runs."""
    code = (
        "import signal, sys; from pathlib import Path; from scenetext.benchmark.gpu_session import run_command\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"run_command([sys.executable, '-c', {SAVES + BEGUN!r}], Path(), Path('log.txt'), 100)"
    )
    process = subprocess.Popen(python(code), cwd=tmp_path)
    while not (tmp_path / "begun").exists():
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) == 143
    assert (tmp_path / "saved").exists()


def _is_running(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    try:
        return status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def write_run(folder: Path, metric: str, values: list[float]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("loader: {batch_size: 16}\n")
    lines = [{"kind": "train", "step": 1, "loss": 1.0}]
    lines += [{"kind": "evaluation", "step": 10 * n, metric: value} for n, value in enumerate(values, start=1)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_evaluations_are_reported_by_the_images_seen(tmp_path: Path) -> None:
    assert evaluations(tmp_path / "none") == []
    write_run(tmp_path / "run", "hmean", [0.1, 0.3])
    with (tmp_path / "run" / "log.jsonl").open("a") as stream:  # resumed, and step 20 done once more
        stream.write(json.dumps({"kind": "evaluation", "step": 20, "hmean": 0.4}) + "\n")
    assert [(one["images"], one["hmean"]) for one in evaluations(tmp_path / "run")] == [(160, 0.1), (320, 0.4)]


class Recorder:
    """In place of `run_command`: notes what is asked for, and ends as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int | None = 0) -> None:
        self.commands: list[list[str]] = []
        self.seconds: list[float] = []
        self.code = code
        monkeypatch.setattr(gpu_session, "run_command", self)

    def __call__(self, command: Any, folder: Path, log: Path, seconds: float) -> int:
        self.commands.append(list(command))
        self.seconds.append(seconds)
        if self.code is None:
            raise OutOfTimeError
        return self.code


def session(output: Path, seconds: float = 600, **settings: Any) -> Session:
    end = time.monotonic() + seconds
    return Session(REPOSITORY, output, lambda: end - time.monotonic(), **settings)


def run_stage(one: Session, name: str, seconds: float) -> Any:
    return next(stage for stage in one.stages() if stage.name == name).run(seconds)


def test_trainings_divide_the_time_and_the_second_starts_from_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch)
    (tmp_path / "pretraining").mkdir()
    (tmp_path / "pretraining" / "best.pt").touch()
    one = session(tmp_path)
    run_stage(one, "pretraining", 300)
    run_stage(one, "detector", 200)
    assert recorder.seconds == [pytest.approx(0.3 * 300), 200]
    pretraining, detector = recorder.commands
    assert float(pretraining[pretraining.index("--minutes") + 1]) == pytest.approx((90 - 15) / 60, abs=0.001)
    assert f"encoder.weights={tmp_path / 'pretraining' / 'best.pt'}" in detector
    assert "--resume" not in detector


def test_training_that_was_stopped_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch, code=None)
    write_run(tmp_path / "detector", "hmean", [0.2])
    with pytest.raises(OutOfTimeError) as stopped:
        run_stage(session(tmp_path), "detector", 100)
    assert stopped.value.content["evaluations"][0]["hmean"] == 0.2
    (tmp_path / "detector" / "checkpoints").mkdir()
    (tmp_path / "detector" / "checkpoints" / "step_00000010.pt").touch()
    recorder.code = 1
    with pytest.raises(TrainingError, match="exit code 1; all of the output"):
        run_stage(session(tmp_path), "detector", 100)
    assert "--resume" in recorder.commands[1]


def test_scenes_share_the_limit_of_their_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    run_stage(session(tmp_path, fonts=tmp_path), "scenes", 60)
    assert len(recorder.commands) == 4
    assert 60 >= recorder.seconds[0] >= recorder.seconds[-1] > 50
    assert all(command[command.index("--fonts") + 1] == str(tmp_path) for command in recorder.commands)


def test_benchmark_without_all_stages_is_out_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark" / "report.md").write_text("# Benchmark\n\n- not begun, for want of time: oCLIP\n")
    with pytest.raises(OutOfTimeError) as stopped:
        run_stage(session(tmp_path), "benchmark", 100)
    assert stopped.value.content["page"].startswith("# Benchmark")
    (tmp_path / "benchmark" / "report.md").write_text("# Benchmark\n")
    assert run_stage(session(tmp_path), "benchmark", 100) == {"page": "# Benchmark\n"}
    assert float(recorder.commands[0][recorder.commands[0].index("--minutes") + 1]) < 100 / 60


def test_page_has_what_every_stage_found(tmp_path: Path) -> None:
    curve = [{"images": 160, "step": 10, "hmean": 0.5, "precision": 0.6, "recall": 0.4}]
    results = {
        "tests": Result("Tests", "", "failed", 3.0, "TrainingError: exit code 1\nE  assert 1 == 2"),
        "benchmark": Result("Benchmark", "", "out of time", 9.0, "stopped after 9 s", {"page": "# Card\n\n## Rates"}),
        "detector": Result("DBNet", "", "done", 99.0, "", {"evaluations": curve}),
    }
    page = session(tmp_path).page(results)
    assert "| DBNet | done | 1m39s | hmean 50.0 after 160 images |" in page
    assert "- Tests: failed: TrainingError: exit code 1" in page
    assert "E  assert 1 == 2" in page
    assert "\n### Rates" in page
    assert "| 160 | 10 | 50.0 | 60.0 | 40.0 |" in page


def test_records_that_are_not_there_are_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no checkout of the repository"):
        Session(tmp_path, tmp_path, lambda: 1.0)
    there = tmp_path / "records.jsonl"
    there.touch()
    with pytest.raises(ConfigError, match="belong together"):
        session(tmp_path, training_records=(there,))
    with pytest.raises(ConfigError, match=r"gone\.jsonl is not there.*pack"):
        session(tmp_path, training_records=(there,), validation_records=(tmp_path / "gone.jsonl",))


@pytest.mark.parametrize("words", ["minutes oclip rn50 words", "minutes dbnet scratch icdar2015"])
def test_recipes_of_the_trainings_can_be_used(words: str) -> None:
    run = load_run(words.split())
    assert run.training.steps is not None
    assert run.training.steps % run.training.evaluate_every == 0
