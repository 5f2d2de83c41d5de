"""Running steps one after the other: finished steps are kept, interrupted ones go on."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from scenetext.reproduction.plan import Options, RowRun, Step
from scenetext.training.checkpoint import checkpoints_of
from scenetext.training.interruption import EXIT_CODE_INTERRUPTED, InterruptionGuard

OUTPUT_NAME = "output.txt"
"""What a step printed, in its folder."""
LOCK_NAME = "step.lock"
"""Locked in a step's folder while a process runs it; the system unlocks it where that process dies."""
ACCOUNT_NAME = "step.json"
"""Written to a step's folder when it has ended well: its command line and how long it took."""

State = Literal["done", "failed", "interrupted"]
Launcher = Callable[[Step, list[str]], int]
"""Runs a command, with its output in the step's folder, and returns its exit code."""


@dataclass(frozen=True)
class RowOutcome:
    """How the steps of a row ended.

    Attributes:
        name: of the row's run.
        state: done; failed; or interrupted by a signal, which the same command continues.
        message: of a step that did not end well, with the end of its output; else empty.
    """

    name: str
    state: State
    message: str = ""


def is_done(step: Step) -> bool:
    """Whether a step has ended well before, with the same command line."""
    return step.result.is_file() and _account(step).get("arguments") == list(step.arguments)


def seconds_taken(step: Step) -> float | None:
    """How long a step took that is done; None where it is not."""
    return float(_account(step)["seconds"]) if is_done(step) else None


def step_command(step: Step, options: Options, processes: int = 1) -> list[str]:
    """The command line of a step; trainings are started by torchrun where there are to be several processes."""
    python = [sys.executable]
    if step.kind == "training" and processes > 1:
        python += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [*python, "-m", "scenetext", *_verb_and_arguments(step, options)]


def printable(step: Step, options: Options) -> str:
    """The command of a step as one types it in the working directory."""
    return shlex.join(["scenetext", *_verb_and_arguments(step, options)])


def _verb_and_arguments(step: Step, options: Options) -> list[str]:
    words = [step.verb, *step.arguments]
    if options.device is None or step.kind in ("scenes", "count"):
        return words
    return (
        [*words, f"training.device={options.device}"] if step.kind == "speed" else [*words, "--device", options.device]
    )


@dataclass
class RowRunner:
    """Runs what is not done yet, row by row; a row that fails does not stop the others, an interruption does.

    Attributes:
        options: as the rows were planned with.
        processes: of every training, one a GPU.
        log: receives a line when a step begins.
        launch: how a command is run.
        failures: what became of steps that failed, by folder; another row does not try them again.
    """

    options: Options
    processes: int = 1
    log: Callable[[str], object] = lambda _: None
    launch: Launcher = field(default_factory=lambda: run_command_in_folder)
    failures: dict[Path, str] = field(default_factory=dict)

    def run(self, rows: Iterable[RowRun]) -> list[RowOutcome]:
        """The outcomes of the rows that were started."""
        outcomes: list[RowOutcome] = []
        for row in rows:
            outcomes.append(self._run_row(row))
            if outcomes[-1].state == "interrupted":
                break
        return outcomes

    def _run_row(self, row: RowRun) -> RowOutcome:
        for step in row.steps:
            if is_done(step):
                continue
            if step.folder in self.failures:
                return RowOutcome(row.name, "failed", self.failures[step.folder])
            code = self._run_alone(step, row.name)
            if code == EXIT_CODE_INTERRUPTED:
                return RowOutcome(row.name, "interrupted", f"{step.title} was interrupted; the same command goes on")
            if not is_done(step):
                self.failures[step.folder] = _failure(step, code)
                return RowOutcome(row.name, "failed", self.failures[step.folder])
        return RowOutcome(row.name, "done")

    def _run_alone(self, step: Step, row: str) -> int:
        """Runs a step while no other process does, unless that one has ended it well meanwhile. Its exit code."""
        step.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(step.folder / LOCK_NAME)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.log(f"{row}: {step.title}: waiting for another process that runs it, in {step.folder}")
            lock.acquire()
        try:
            if is_done(step):
                return 0
            self.log(f"{row}: {step.title}: {step.folder}")
            return self._run_step(step)
        finally:
            lock.release()

    def _run_step(self, step: Step) -> int:
        """The exit code of a step; writes `ACCOUNT_NAME` after one that has ended well."""
        command = step_command(step, self.options, self.processes)
        if step.kind == "training" and checkpoints_of(step.folder):
            command.append("--resume")
        began = time.monotonic()
        code = self.launch(step, command)
        if code == 0 and step.result.is_file():
            _write_account(step, command, time.monotonic() - began)
        return code


def run_command_in_folder(step: Step, command: list[str]) -> int:
    """Runs a command as a subprocess, its output appended to a file in the step's folder.

    A signal is passed on, once: a training saves its state and leaves. After a second Ctrl-C it is killed.

    Returns:
        The command's exit code; that of an interruption where a signal was passed on.
    """
    step.folder.mkdir(parents=True, exist_ok=True)
    with (step.folder / OUTPUT_NAME).open("a", encoding="utf-8") as stream:
        stream.write(f"$ {shlex.join(command)}\n")
        stream.flush()
        # In a session of its own, since Ctrl-C would otherwise reach it twice: from the terminal and from here.
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)  # noqa: S603
        try:
            with InterruptionGuard(lambda name: process.send_signal(signal.Signals[name])) as guard:
                code = process.wait()
        except KeyboardInterrupt:
            process.kill()
            raise
    return code if guard.requested is None else EXIT_CODE_INTERRUPTED


def _account(step: Step) -> dict[str, Any]:
    """What was written when the step had ended well; empty where it has not."""
    path = step.folder / ACCOUNT_NAME
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _write_account(step: Step, command: list[str], seconds: float) -> None:
    content = {"arguments": step.arguments, "command": command, "seconds": round(seconds, 1)}
    (step.folder / ACCOUNT_NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _failure(step: Step, code: int) -> str:
    """What went wrong, with the last lines that the step printed."""
    output = step.folder / OUTPUT_NAME
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines() if output.is_file() else []
    why = f"exit code {code}" if code else f"left no {step.result}"
    return "\n".join([f"{step.title} failed ({why}; all of its output: {output})", *lines[-3:]])
