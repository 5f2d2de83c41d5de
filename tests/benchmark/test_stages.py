"""Stages: each leaves its result, whatever becomes of the others."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scenetext.benchmark.stages import PAGE_NAME, OutOfTimeError, Result, Stage, StageRunner, problem_lines, within
from scenetext.errors import DataError, DeviceError


def runner(folder: Path, seconds: float = 60, subject: str = "card") -> StageRunner:
    def page(results: Mapping[str, Result]) -> str:
        return " ".join(f"{name}:{result.state}" for name, result in results.items())

    return StageRunner(folder, subject, time.monotonic() + seconds, page)


def content_of(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


def stage(name: str, action: Any, seconds: float = 60) -> Stage:
    return Stage(name, name.upper(), seconds, action)


def refuse(seconds: float) -> Mapping[str, Any]:
    raise DeviceError("too little memory\nmore of it")


def break_down(seconds: float) -> Mapping[str, Any]:
    return {"value": 1 // 0}


def too_slow(seconds: float) -> Mapping[str, Any]:
    with within(0.05):
        time.sleep(30)
    return {}


def test_a_stage_that_fails_stops_no_other(tmp_path: Path) -> None:
    stages = [stage("a", refuse), stage("b", break_down), stage("c", too_slow), stage("d", lambda _: {"value": 4})]
    results = runner(tmp_path).run(stages)
    assert [result.state for result in results.values()] == ["failed", "failed", "out of time", "done"]
    assert content_of(tmp_path, "d")["content"] == {"value": 4}
    assert content_of(tmp_path, "a")["trace"] == "", "what the user is to do is in the message"
    assert "break_down" in content_of(tmp_path, "b")["trace"]
    assert (tmp_path / PAGE_NAME).read_text() == "a:failed b:failed c:out of time d:done"
    assert problem_lines(results) == [
        "- A: failed: DeviceError: too little memory",
        "- B: failed: ZeroDivisionError: integer division or modulo by zero",
        "- C: out of time: stopped after 0 s",
    ]


def test_every_result_is_written_before_the_next_stage_begins(tmp_path: Path) -> None:
    def look(seconds: float) -> Mapping[str, Any]:
        return {"seen": (tmp_path / PAGE_NAME).read_text(), "content": content_of(tmp_path, "a")["content"]}

    results = runner(tmp_path).run([stage("a", lambda _: {"value": 1}), stage("b", look)])
    assert results["b"].content == {"seen": "a:done", "content": {"value": 1}}


def test_a_second_call_does_what_is_not_done(tmp_path: Path) -> None:
    calls = []

    def count(seconds: float) -> Mapping[str, Any]:
        calls.append(seconds)
        return {"calls": len(calls)}

    first = runner(tmp_path).run([stage("a", refuse), stage("b", count)])
    second = runner(tmp_path).run([stage("a", lambda _: {"value": 2}), stage("b", count)])
    assert (first["a"].state, second["a"].state, second["b"].content) == ("failed", "done", {"calls": 1})
    assert list(second) == ["a", "b"]
    other = runner(tmp_path, subject="another card").run([stage("b", count)])
    assert other["b"].content == {"calls": 2}, "a result of another card is none"


def test_no_stage_begins_or_lasts_beyond_the_deadline(tmp_path: Path) -> None:
    given = []

    def slow(seconds: float) -> Mapping[str, Any]:
        given.append(seconds)
        with within(seconds):
            time.sleep(30)
        return {}

    results = runner(tmp_path, 0.2).run([stage("a", slow), stage("b", slow), stage("c", slow)])
    assert [result.state for result in results.values()] == ["out of time", "not begun", "not begun"]
    assert len(given) == 1
    assert given[0] <= 0.2
    assert problem_lines(results)[-1] == "- not begun, for want of time: B; C"
    again = runner(tmp_path, 0).run([stage("a", slow)])
    assert again["a"].state == "out of time", "what is known is not forgotten for want of time"


def test_what_there_was_when_time_was_over_is_kept(tmp_path: Path) -> None:
    def partly(seconds: float) -> Mapping[str, Any]:
        raise OutOfTimeError({"steps": 3})

    assert runner(tmp_path).run([stage("a", partly)])["a"].content == {"steps": 3}


def test_time_over_passes_through_those_who_catch_every_error() -> None:
    def stubborn() -> None:
        try:
            time.sleep(30)
        except Exception:
            time.sleep(30)

    began = time.monotonic()
    with pytest.raises(OutOfTimeError), within(0.05):
        stubborn()
    assert time.monotonic() - began < 10
    with within(0.2):
        pass
    time.sleep(0.3)  # the timer of a block that ended in time is off


def test_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"value": 1}')
    with pytest.raises(DataError, match=r"a\.json: is no result of a stage"):
        runner(tmp_path).run([stage("a", refuse)])
