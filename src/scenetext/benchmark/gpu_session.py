"""A session of some minutes on a machine with a GPU: tests, the benchmark, two short trainings.

Every stage is one of the project's commands, run as a user would run it, with a limit of its own. The first ones have
fixed limits; the trainings divide what remains. `scripts/gpu.sh` starts this.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scenetext.benchmark.stages import OutOfTimeError, Result, Stage, problem_lines
from scenetext.errors import ConfigError, TrainingError
from scenetext.training.checkpoint import checkpoints_of
from scenetext.training.interruption import EXIT_CODE_INTERRUPTED
from scenetext.training.log import format_duration

SAVING_SECONDS = 12.0
"""Between the request to stop and the end by force: time for a training to save its state."""
STARTING_SECONDS = 15.0
"""Of a training's time, for Python's imports and the last evaluation's pictures: not planned for by its `--minutes`."""
PRETRAINING_SHARE = 0.3
"""Of the time that remains for both trainings; a detector needs more of it."""
TINY_MINUTES = 0.75
TINY_SCENES = 12
LAST_LINES = 12
METRICS = {
    "pretraining": {"vision_gain": "vision gain", "accuracy": "right image", "wrong_image_accuracy": "shuffled image"},
    "detector": {"hmean": "hmean", "precision": "precision", "recall": "recall"},
}
"""What the page shows of a training's evaluations, the metric that it is about first."""


@dataclass(frozen=True)
class Session:
    """Inputs, output and size of a session.

    Attributes:
        repository: with `tools/` and `tests/`.
        output: folder of all results; absolute.
        left: gives the seconds that are left of the whole session.
        training_records, validation_records: of the detector; none = generated scenes.
        fonts: of the scenes; None = the system's.
        tiny: everything at tiny size on the CPU, to try the session itself.
    """

    repository: Path
    output: Path
    left: Callable[[], float]
    training_records: tuple[Path, ...] = ()
    validation_records: tuple[Path, ...] = ()
    fonts: Path | None = None
    tiny: bool = False

    def __post_init__(self) -> None:
        if not (self.repository / "tools").is_dir():
            raise ConfigError(f"{self.repository} is no checkout of the repository: it has no tests and tools")
        if bool(self.training_records) != bool(self.validation_records):
            raise ConfigError("--data and --validation belong together: images to train on and to measure on")
        for path in (*self.training_records, *self.validation_records):
            if not path.is_file():
                raise ConfigError(f"{path} is not there; `scenetext prepare pack` makes such records")

    def stages(self) -> list[Stage]:
        """Everything, in order: scenes before what reads them, and the training that gives weights before the other."""
        making = [self._scene_command(*scenes) for scenes in SCENES]
        images = TINY_SCENES * len(SCENES) if self.tiny else sum(count for _, _, count, _ in SCENES)
        return [
            Stage("tests", "Tests of the GPU", 3600 if self.tiny else 110, self._run_tests),
            Stage(
                "scenes",
                f"{images} scenes",
                3600 if self.tiny else 60,
                lambda seconds: self._run_all("scenes", making, seconds),
            ),
            Stage("benchmark", "Benchmark of the card", 3600 if self.tiny else 150, self._run_benchmark),
            Stage("pretraining", "oCLIP on generated scenes", 3600, self._run_pretraining),
            Stage("detector", "DBNet", 3600, self._run_detector),
        ]

    def _tool(self, name: str) -> list[str]:
        return [sys.executable, str(self.repository / "tools" / f"{name}.py")]

    def _scene_command(self, name: str, config: str, count: int, seed: int) -> list[str]:
        command = [*self._tool("generate"), config]
        command += ["--output", str(self._scenes(name).parent), "--seed", str(seed), "--overwrite"]
        command += [
            "--count",
            str(TINY_SCENES if self.tiny else count),
            *(["--fonts", str(self.fonts)] if self.fonts else []),
        ]
        return command + ([] if self.tiny else SCENE_SIZES[config])

    def _scenes(self, name: str) -> Path:
        """The records of generated scenes."""
        return self.output / "scenes" / name / "records.jsonl"

    def _run_tests(self, seconds: float) -> Mapping[str, Any]:
        device = ["--gpu-device", "cpu"] if self.tiny else []
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider", *device]
        log = self.output / "tests.txt"
        try:
            code = run_command(command, self.repository, log, seconds)
        except OutOfTimeError:
            raise OutOfTimeError({"lines": last_lines(log)}) from None
        if code:
            raise TrainingError(f"exit code {code}; all of the output: {log}\n" + "\n".join(last_lines(log)))
        return {"lines": last_lines(log)}

    def _run_all(self, name: str, commands: Sequence[Sequence[str]], seconds: float) -> Mapping[str, Any]:
        """Several commands one after the other; their last lines."""
        end = self.left() - seconds
        log = self.output / f"{name}.txt"
        for command in commands:
            code = run_command(command, self.repository, log, self.left() - end)
            if code:
                raise TrainingError(f"exit code {code}; all of the output: {log}\n" + "\n".join(last_lines(log)))
        return {"lines": last_lines(log)}

    def _run_benchmark(self, seconds: float) -> Mapping[str, Any]:
        folder = self.output / "benchmark"
        records = self.training_records[0] if self.training_records else self._scenes("signs")
        command = [*self._tool("benchmark"), "gpu", "--output", str(folder), "--data", str(records.resolve())]
        command += ["--minutes", f"{max(seconds - SAVING_SECONDS, 1) / 60:.3f}"]
        command += ["--tiny", "--device", "cpu"] if self.tiny else []
        code, over = None, False
        try:
            code = run_command(command, self.repository, self.output / "benchmark.txt", seconds)
        except OutOfTimeError:
            over = True
        page = folder / "report.md"
        content = {"page": page.read_text(encoding="utf-8") if page.is_file() else ""}
        if over or "not begun, for want of time" in content["page"]:
            raise OutOfTimeError(content)
        if code:
            raise TrainingError("\n".join([f"exit code {code}", *last_lines(self.output / "benchmark.txt")]))
        return content

    def _run_pretraining(self, seconds: float) -> Mapping[str, Any]:
        training, validation = (
            [self._scenes(f"{kind}{suffix}") for kind in ("words", "signs")] for suffix in ("", "_validation")
        )
        data = [f"data.train=[{_joined(training)}]", f"data.validation=[{_joined(validation)}]"]
        tiny = TINY_PRETRAINING if self.tiny else []
        return self._train("pretraining", "pretrain", ["oclip", "rn50", *data, *tiny], PRETRAINING_SHARE * seconds)

    def _run_detector(self, seconds: float) -> Mapping[str, Any]:
        training = self.training_records or [self._scenes("signs")]
        validation = self.validation_records or [self._scenes("signs_validation")]
        data = [f"data.train=[{_joined(training)}]", f"data.validation=[{_joined(validation)}]"]
        encoder = self.output / "pretraining" / "best.pt"
        weights = [f"encoder.weights={encoder}"] if encoder.is_file() else []
        tiny = TINY_DETECTOR if self.tiny else []
        return self._train("detector", "train", ["dbnet", "scratch", *data, *weights, *tiny], seconds)

    def _train(self, name: str, tool: str, words: list[str], seconds: float) -> Mapping[str, Any]:
        """A training that ends within the seconds, or goes on with the one that an earlier call had to stop."""
        folder, log = self.output / name, self.output / f"{name}.txt"
        minutes = TINY_MINUTES if self.tiny else max(seconds - STARTING_SECONDS, 1) / 60
        command = [*self._tool(tool), "minutes", *words]
        command += ["--output", str(folder), "--minutes", f"{minutes:.3f}"]
        command += ["--resume"] if checkpoints_of(folder) else []
        code = EXIT_CODE_INTERRUPTED
        with suppress(OutOfTimeError):  # what it has by then is a result
            code = run_command(command, self.repository, log, seconds)
        content = {"evaluations": evaluations(folder), "command": shlex.join(command)}
        if code == EXIT_CODE_INTERRUPTED:
            raise OutOfTimeError(content)
        if code:
            raise TrainingError("\n".join([f"exit code {code}; all of the output: {log}", *last_lines(log)]))
        return content

    def page(self, results: Mapping[str, Result]) -> str:
        """Markdown: the state of every stage, then its results."""
        lines = ["# A session on a GPU" + (", tried at tiny size on a CPU" if self.tiny else ""), ""]
        lines += ["| stage | state | time | result |", "|---|---|---:|---|"]
        for name, result in results.items():
            duration = format_duration(result.seconds)
            lines.append(f"| {result.title} | {result.state} | {duration} | {_summary(name, result)} |")
        problems = problem_lines(results)
        lines += ["", "## Not done", "", *problems] if problems else []
        for name, result in results.items():
            if result.content or result.state == "failed":
                lines += ["", f"## {result.title}", "", *_details(name, result)]
        return "\n".join([*lines, ""])


SCENES = (
    ("words", "single_word", 8000, 1),
    ("signs", "few_words", 8000, 2),
    ("words_validation", "single_word", 300, 3),
    ("signs_validation", "few_words", 300, 4),
)
"""Generated sets: name, config, images, seed."""
SCENE_SIZES = {
    "single_word": ["width=[192,192]", "height=[192,192]", "layout.text_height=[180,180]"],
    "few_words": [],
}
"""Single words at twice their usual size: as large as the others' images."""
TINY_PRETRAINING = [
    "method.encoder={layers: [1, 1, 1, 1], width: 8}",
    *("method.input_size=64", "transform.size=64", "method.embed_dim=32", "method.text_width=16"),
    *("method.text_heads=2", "method.text_layers=1", "method.decoder_layers=1", "method.decoder_heads=2"),
    *("loader.batch_size=8", "loader.workers=1", "training.device=cpu", "training.pictures=1"),
]
TINY_DETECTOR = [
    "encoder={layers: [1, 1, 1, 1], width: 8}",
    *("detector.inner_channels=16", "detector.level_channels=8", "transform.size=[96,96]"),
    *("evaluation_transform.short_side=96", "loader.batch_size=4", "loader.workers=1", "training.device=cpu"),
]


def run_command(command: Sequence[str], folder: Path, log: Path, seconds: float) -> int:
    """Runs a command with its output appended to a file; its exit code.

    Raises:
        OutOfTimeError: it was asked to stop, `SAVING_SECONDS` before the end of its time, and is gone.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"$ {shlex.join(command)}\n")
        stream.flush()
        # A session of its own, so that what it started can be ended with it.
        process = subprocess.Popen(  # noqa: S603 (the project's own tools)
            command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return process.wait(max(seconds - SAVING_SECONDS, seconds / 2))
        except subprocess.TimeoutExpired:
            _ask_to_stop(process)
            raise OutOfTimeError from None
        except (KeyboardInterrupt, SystemExit):  # the session itself is to end
            _ask_to_stop(process)
            raise
        finally:
            _end_group(process.pid)
            process.wait()


def _ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    """To the command alone: a training's loader must live until the state is saved."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SAVING_SECONDS)


def _end_group(process: int) -> None:
    """Ends the processes of a command that still run."""
    with suppress(ProcessLookupError):  # all of them had ended
        os.killpg(process, signal.SIGKILL)


def last_lines(log: Path) -> list[str]:
    """The end of what a command printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines() if log.is_file() else []
    return [line for line in lines if line.strip()][-LAST_LINES:]


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """The logged evaluations of a run, first to last, with the images that it had seen by then.

    Args:
        folder: of the run; may not be there.
    """
    log, config = folder / "log.jsonl", folder / "config.yaml"
    if not log.is_file() or not config.is_file():
        return []
    batch = int(yaml.safe_load(config.read_text(encoding="utf-8"))["loader"]["batch_size"])
    lines = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    by_step = {line["step"]: line for line in lines if line["kind"] == "evaluation"}  # of steps done twice, the later
    return [{**line, "images": step * batch} for step, line in sorted(by_step.items())]


def _joined(paths: Sequence[Path]) -> str:
    return ",".join(str(path.resolve()) for path in paths)


def _summary(name: str, result: Result) -> str:
    """One cell of the overview: the best of a training, the last line of other stages."""
    if name in METRICS and result.content.get("evaluations"):
        metric, title = next(iter(METRICS[name].items()))
        best = max(result.content["evaluations"], key=lambda line: line[metric])
        return f"{title} {100 * best[metric]:.1f} after {best['images']} images"
    lines = result.content.get("lines") or [""]
    return str(lines[-1]).strip("= ").replace("|", "\\|")


def _details(name: str, result: Result) -> list[str]:
    if result.state == "failed":
        return ["```", *result.message.splitlines(), "```"]
    if name in METRICS:
        return _curve(METRICS[name], result.content.get("evaluations", []))
    if "page" in result.content:
        return [f"#{line}" if line.startswith("#") else line for line in result.content["page"].splitlines()]
    return ["```", *result.content.get("lines", []), "```"]


def _curve(metrics: Mapping[str, str], lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of a training's evaluations; rates in percent."""
    if not lines:
        return ["No evaluation was reached."]
    rows = [
        f"| {line['images']} | {line['step']} | " + " | ".join(f"{100 * line[name]:.1f}" for name in metrics) + " |"
        for line in lines
    ]
    return [f"| images seen | step | {' | '.join(metrics.values())} |", "|---:|---:|" + "---:|" * len(metrics), *rows]
