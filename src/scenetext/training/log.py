"""What a run reports while it goes on: a progress bar or plain lines, JSON lines for scripts, pictures, loggers."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from tqdm import tqdm

from scenetext.data.records.images import write_image
from scenetext.training.loggers import LoggedRun, LoggerName, Loggers


class RunLog:
    """Writes one run's log to the terminal, to `log.jsonl` and pictures under the run folder, and to loggers.

    The terminal gets a progress bar where it is one, and a plain line per logged step where it is not. A resumed run
    appends to `log.jsonl`; lines of steps that are trained again come twice, the later ones count.

    Args:
        rank: of this process; all but the first keep silent.
        quiet: write files, and nothing to the terminal.
        loggers: where metrics and pictures go as well.
        config: resolved settings of the run, for the loggers.
    """

    def __init__(
        self,
        folder: Path,
        first_step: int,
        total_steps: int,
        description: str,
        rank: int = 0,
        quiet: bool = False,
        loggers: Sequence[LoggerName] = ("tensorboard",),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._silent = rank > 0
        self._file = None if self._silent else (folder / "log.jsonl").open("a", encoding="utf-8")
        self._picture_folder = folder / "pictures"
        self._loggers = Loggers(loggers, LoggedRun(folder, first_step, config or {}), self.message)
        self._first_step = first_step
        self._quiet = quiet or self._silent
        self._interactive = sys.stderr.isatty() and not self._quiet
        self._bar = tqdm(
            total=total_steps,
            initial=first_step,
            desc=description,
            unit="step",
            dynamic_ncols=True,
            disable=not self._interactive,
        )
        self._total_steps = total_steps
        self._started = time.monotonic()

    def step(self, step: int) -> None:
        """Moves the progress bar to `step` finished steps."""
        self._bar.update(step - self._bar.n if self._interactive else 0)

    def metrics(self, kind: str, step: int, values: Mapping[str, float], remark: str = "") -> None:
        """Logs named values of one kind ("train" or "evaluation") after `step` finished steps.

        Args:
            remark: about them, for people: it ends their line on the terminal.
        """
        if self._silent:
            return
        self._write_line({"kind": kind, "step": step, **values})
        self._loggers.metrics(kind, step, values)
        # Nothing to average over, such as scores where nothing was detected; a loss that is not a number is one.
        nothing = "none" if kind == "evaluation" else "nan"
        text = "  ".join(
            f"{name} {nothing if math.isnan(value) else format_value(value)}" for name, value in values.items()
        )
        if self._interactive and kind == "train":
            self._bar.set_postfix_str(text, refresh=False)
        else:
            ending = f"; {remark}" if remark else ""
            self.message(f"{kind} {step}/{self._total_steps}{self._time_left(step)}: {text}{ending}")

    def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Keeps named pictures, (H, W, 3) uint8 RGB, after `step` finished steps.

        With the loggers, and as pictures/<name>/step_<step>.jpg in the run folder.

        Raises:
            ImageError: an array is no picture.
        """
        for name, picture in pictures.items():
            write_image(self._picture_folder / name / f"step_{step:08d}.jpg", picture)
            self._loggers.picture(step, name, picture)

    def message(self, text: str) -> None:
        """A line on the terminal that does not disturb the progress bar."""
        if self._quiet:
            return
        if self._interactive:
            tqdm.write(text, file=sys.stderr)
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes; what goes wrong with that must not hide the error of the run."""
        try:
            self.close(failed=error is not None)
        except OSError:
            if error is None:
                raise

    def close(self, failed: bool = False) -> None:
        """Flushes and closes everything; the log cannot be used afterwards.

        Args:
            failed: the run ended with an error.
        """
        self._bar.close()
        if self._file is not None:
            self._file.close()
        self._loggers.close(failed)

    def _write_line(self, values: Mapping[str, object]) -> None:
        if self._file is None:
            return
        plain = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}
        self._file.write(json.dumps(plain) + "\n")
        self._file.flush()

    def _time_left(self, step: int) -> str:
        done = step - self._first_step
        if self._interactive or done <= 0 or step >= self._total_steps:
            return ""
        seconds = (time.monotonic() - self._started) / done * (self._total_steps - step)
        return f" ({format_duration(seconds)} left)"


def format_value(value: float) -> str:
    """A value in at most four significant digits."""
    return f"{value:.4g}"


def format_duration(seconds: float) -> str:
    """Seconds as "2h05m", "3m20s" or "12s"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"
