"""Stages of a measurement that may end at any moment: each writes its result as soon as there is one.

In the folder: `<stage>.json` for every stage that was started, and `report.md`, one page of all, written again after
each. A second call runs the stages that are not done.
"""

from __future__ import annotations

import json
import signal
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from scenetext.errors import DataError, ScenetextError
from scenetext.training.log import format_duration

PAGE_NAME = "report.md"

State = Literal["done", "failed", "out of time", "not begun"]
TRIED = ("failed", "out of time")


class OutOfTimeError(BaseException):
    """The stage's time is over. No `Exception`: libraries that try something else after any failure must not catch it.

    Args:
        content: what the stage has so far, to be kept.
    """

    def __init__(self, content: Mapping[str, Any] | None = None) -> None:
        super().__init__("out of time")
        self.content = content or {}


@dataclass(frozen=True)
class Stage:
    """One thing to be done.

    Attributes:
        name: of its result's file.
        title: for people.
        seconds: that it may take at most.
        run: does it, within the seconds that it is given; its result as plain data. Raises `OutOfTimeError` where
            they are over, and any other exception where it cannot be done.
    """

    name: str
    title: str
    seconds: float
    run: Callable[[float], Mapping[str, Any]]


@dataclass(frozen=True)
class Result:
    """What became of a stage.

    Attributes:
        title: of the stage.
        subject: what was measured (the card, the sizes); a result of another subject counts as none.
        state: done; failed; out of time (`content` has what there was by then); or not begun for want of time.
        seconds: that it took.
        message: why it is not done; empty if it is.
        content: its result.
        trace: where it failed; for the file, not for the page.
    """

    title: str
    subject: str
    state: State
    seconds: float = 0.0
    message: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    trace: str = ""


@dataclass
class StageRunner:
    """Runs stages one after the other. One that fails stops no other.

    Attributes:
        folder: of the results.
        subject: see `Result`.
        deadline: when everything has to be over, by `time.monotonic`.
        page: the report of all results so far.
        log: receives a line when a stage begins and ends.
        clean: called after every stage.
    """

    folder: Path
    subject: str
    deadline: float
    page: Callable[[Mapping[str, Result]], str]
    log: Callable[[str], object] = lambda _: None
    clean: Callable[[], object] = lambda: None

    def run(self, stages: Sequence[Stage], only: Collection[str] | None = None) -> dict[str, Result]:
        """The results of all stages by name, those of earlier calls included.

        Args:
            only: names of those to be run; None = all.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        results = {stage.name: result for stage in stages if (result := self._earlier(stage))}
        for stage in stages:
            done = stage.name in results and results[stage.name].state == "done"
            if done or (only is not None and stage.name not in only):
                continue
            results[stage.name] = self._run_stage(stage, results.get(stage.name))
            self._write(stage.name, results[stage.name])
            results = {each.name: results[each.name] for each in stages if each.name in results}
            self._write_page(results)
            self.clean()
        self._write_page(results)
        return results

    def _earlier(self, stage: Stage) -> Result | None:
        result = read_result(self.folder, stage.name)
        return result if result is not None and result.subject == self.subject else None

    def _run_stage(self, stage: Stage, earlier: Result | None) -> Result:
        left = min(stage.seconds, self.deadline - time.monotonic())
        if left <= 0:
            return earlier or Result(stage.title, self.subject, "not begun", message="no time was left")
        self.log(f"{stage.title}: at most {format_duration(left)}")
        began = time.monotonic()
        state: State = "done"
        message, content, trace = "", {}, ""
        try:
            content = dict(stage.run(left))
        except OutOfTimeError as end:
            state, content = "out of time", dict(end.content)
            message = f"stopped after {time.monotonic() - began:.0f} s"
        except Exception as error:  # of any kind: the other stages are still worth running
            state, message = "failed", f"{type(error).__name__}: {error}".strip()
            trace = "" if isinstance(error, ScenetextError) else traceback.format_exc()
        seconds = time.monotonic() - began
        self.log(f"{stage.title}: {state}, {seconds:.1f} s{f' ({message.splitlines()[0]})' if message else ''}")
        return Result(stage.title, self.subject, state, round(seconds, 2), message, content, trace)

    def _write(self, name: str, result: Result) -> None:
        content = json.dumps(asdict(result), indent=1) + "\n"
        (self.folder / f"{name}.json").write_text(content, encoding="utf-8")

    def _write_page(self, results: Mapping[str, Result]) -> None:
        (self.folder / PAGE_NAME).write_text(self.page(results), encoding="utf-8")


def read_result(folder: Path, name: str) -> Result | None:
    """What became of a stage; None where it was not started.

    Raises:
        DataError: its file is none that a `StageRunner` wrote.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    try:
        return Result(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"is no result of a stage ({error}); remove it to run the stage again", path) from None


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises `OutOfTimeError` in the main thread when the time is over, as soon as Python comes to it.

    Where the system has no interval timer (Windows) there is no limit.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def problem_lines(results: Mapping[str, Result]) -> list[str]:
    """A list of Markdown of the stages that are not done, and why; empty where all are."""
    tried = [f"- {one.title}: {one.state}: {_shortened(one.message)}" for one in results.values() if one.state in TRIED]
    waiting = [one.title for one in results.values() if one.state == "not begun"]
    return [*tried, *([f"- not begun, for want of time: {'; '.join(waiting)}"] if waiting else [])]


def _shortened(message: str) -> str:
    first = message.splitlines()[0] if message else ""
    return first if len(first) <= 300 else f"{first[:300]} ..."
