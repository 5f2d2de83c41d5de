"""Runs the whole workflow on generated scenes, in about ten minutes on two cores without a GPU.

Generates scenes, pre-trains, transfers, trains a detector and a reader behind it, evaluates, detects and reads, and
draws attention. Every step is a command that is printed before it runs, so it can be repeated and changed alone.
Everything lands under one folder, with a short report at the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scenetext.commands.outputs import output_path
from scenetext.errors import ConfigError, TrainingError

EXAMPLES = """\
  scenetext demo
  scenetext demo --output /tmp/demo --backgrounds ~/images --share 0.25
"""

REAL_RUN = """\
## What a real run needs

- Pre-training: oCLIP's published models saw SynthText (800,000 images) for 100 epochs at 512 x 512 on 8 V100 GPUs, in
  mixed precision. This demo saw a few thousand images of one word at 96 x 96.
- Fine-tuning: DBNet on ICDAR 2015 is trained for 1,200 epochs at 640 x 640, with a ResNet-50.
- Reading: this reader saw some ten thousand generated words. CRNN was trained on the 9 million of MJSynth.
- So the values above say that every part works and learns, and nothing about what the methods reach.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=output_path, default=Path("outputs/demo"), help="folder for everything")
    parser.add_argument(
        "--share", type=float, default=1.0, help="how much of the data and steps (0.02 = a quick check)"
    )
    parser.add_argument("--backgrounds", type=Path, help="folder of your images, as backgrounds of the scenes")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(arguments: argparse.Namespace) -> None:
    output: Path = arguments.output.resolve()
    if arguments.share <= 0:
        raise ConfigError(f"--share must be above 0, not {arguments.share:g}")
    if output.is_dir() and any(output.iterdir()):
        raise ConfigError(f"{output} is not empty; remove it, or choose another --output")
    backgrounds = ("--backgrounds", str(arguments.backgrounds.resolve())) if arguments.backgrounds else ()
    plan = Plan(output, arguments.share, arguments.device, backgrounds)
    timed = [(step, run_step(step)) for step in plan_steps(plan)]
    timed += [(step, run_step(step)) for step in picture_steps(plan)]
    text = report(plan, timed)
    (output / "report.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\nreport: {output / 'report.md'}")


@dataclass(frozen=True)
class Step:
    """One command: the `arguments` of `scenetext`, and a title for the report."""

    title: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(["scenetext", *self.arguments])


@dataclass(frozen=True)
class Plan:
    """Where everything lies and how much of everything there is."""

    output: Path
    share: float
    device: str
    backgrounds: tuple[str, ...]

    def amount(self, full: int, least: int) -> int:
        """So much of `full` as was asked for, but at least `least`."""
        return max(round(full * self.share), least)

    def scenes(self, config: str, name: str, count: int, seed: int) -> Step:
        """Generates `count` scenes under scenes/<name>."""
        return Step(
            f"generate {count} scenes ({name})",
            (
                "generate",
                config,
                *("--output", str(self.output / "scenes" / name)),
                *("--count", str(count), "--seed", str(seed)),
                *self.backgrounds,
            ),
        )

    def records(self, name: str) -> Path:
        """The record file of generated scenes."""
        return self.output / "scenes" / name / "records.jsonl"

    def data(self, validation: str, *train: str) -> tuple[str, ...]:
        """Overrides that point a run at generated scenes."""
        learnt = ",".join(str(self.records(name)) for name in train)
        return (f"data.train=[{learnt}]", f"data.validation=[{self.records(validation)}]")

    def training_steps(self, full: int, warmup: int) -> tuple[str, ...]:
        """Overrides for the length of a training and its warm-up."""
        steps = self.amount(full, 4)
        return (
            f"training.steps={steps}",
            f"schedule.warmup_steps={min(self.amount(warmup, 0), steps - 1)}",
            f"training.evaluate_every={max(steps // 4, 1)}",
            f"training.device={self.device}",
        )


def plan_steps(plan: Plan) -> list[Step]:
    """The workflow up to the reader; the steps after it need the names of images."""
    from scenetext.training.device import fast_precision, resolve_device

    pretraining, detector, reader = (plan.output / name for name in ("pretraining", "detector", "reader"))
    backbone = plan.output / "backbone.safetensors"
    return [
        plan.scenes("single_word", "words_train", plan.amount(8000, 64), 1),
        plan.scenes("single_word", "words_validation", plan.amount(400, 16), 2),
        plan.scenes("few_words", "scenes_train", plan.amount(800, 16), 3),
        plan.scenes("few_words", "scenes_validation", plan.amount(80, 8), 4),
        Step(
            "pre-train the image encoder with oCLIP",
            (
                *("pretrain", "oclip", "words", "tiny", "--output", str(pretraining)),
                *plan.data("words_validation", "words_train"),
                *plan.training_steps(1600, 100),
            ),
        ),
        Step(
            "take the backbone over",
            ("convert", "backbone", str(pretraining / "best.pt"), str(backbone)),
        ),
        Step(
            "train DBNet on it",
            (
                *("train", "dbnet", "scenes", "tiny", "--output", str(detector)),
                *plan.data("scenes_validation", "scenes_train"),
                *plan.training_steps(300, 50),
                f"encoder.weights={backbone}",
            ),
        ),
        Step(
            "train a reader behind it, which stays as it is",
            (
                *("train", "dbnet", "scenes", "tiny", "reader_only", "--output", str(reader)),
                *plan.data("scenes_validation", "scenes_train", "words_train"),
                *plan.training_steps(600, 50),
                f"training.precision={fast_precision(resolve_device(plan.device))}",
                f"initial_weights={detector / 'best.pt'}",
            ),
        ),
        Step(
            "evaluate detection and reading",
            (
                *("evaluate", str(reader / "best.pt"), "--protocol", "ic15", "--protocol", "ic15_end_to_end"),
                *("--device", plan.device, "--output", str(plan.output / "evaluation")),
            ),
        ),
    ]


def picture_steps(plan: Plan) -> list[Step]:
    """Detections on a few unseen scenes, and attention in one unseen word image."""
    from scenetext.data.records.files import read_records

    scenes = [str(record.path) for record in read_records(plan.records("scenes_validation"))[:6]]
    record = next(
        (r for r in read_records(plan.records("words_validation")) if any(len(i.text or "") > 2 for i in r.instances)),
        None,
    )
    if record is None:
        raise ConfigError("no validation scene has a word of three characters; generate more scenes (--share)")
    word = next(i.text for i in record.instances if i.text is not None and len(i.text) > 2)
    typed = [word[:hidden] + " " + word[hidden + 1 :] for hidden in range(min(len(word), 3))]
    return [
        Step(
            "find and read text in unseen scenes",
            (
                *("detect", str(plan.output / "reader" / "best.pt"), *scenes),
                *("--output", str(plan.output / "detections"), "--device", plan.device),
            ),
        ),
        Step(
            "draw attention",
            (
                *(
                    "attention",
                    str(plan.output / "pretraining" / "best.pt"),
                    str(record.path),
                    *typed,
                ),
                *("--output", str(plan.output / "attention"), "--device", plan.device),
            ),
        ),
    ]


def run_step(step: Step) -> float:
    """Runs one command and returns its seconds.

    Raises:
        TrainingError: the command failed.
    """
    print(f"\n== {step.title}\n{step}", flush=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "scenetext", *step.arguments]
    code = subprocess.run(command).returncode  # noqa: S603 (scenetext's own commands)
    if code != 0:
        raise TrainingError(f"the step {step.title!r} ended with exit code {code}; its command:\n  {step}")
    return time.monotonic() - started


def evaluations(folder: Path) -> list[dict[str, float]]:
    """The logged evaluations of a run, first to last."""
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["kind"] == "evaluation"]


def percent(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:.1f} %"


def rates(score: dict[str, float]) -> str:
    """The rates of an evaluation at its threshold."""
    names = ("precision", "recall", "hmean")
    return f"{', '.join(f'{name} {percent(score[name])}' for name in names)} at score threshold {score['threshold']:g}"


def report(plan: Plan, timed: list[tuple[Step, float]]) -> str:
    """What was trained, its metrics, and where the pictures are."""
    from scenetext.training.device import largest_resident_set
    from scenetext.training.log import format_duration

    pretraining = evaluations(plan.output / "pretraining")
    measured = json.loads((plan.output / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    protocols = measured["datasets"]["validation"]["protocols"]
    found, read = (protocols[name]["best_on_this_set"] for name in ("ic15", "ic15_end_to_end"))
    rows = [
        f"| {line['step']} | {percent(line['accuracy'])} | {percent(line['wrong_image_accuracy'])} "
        f"| {percent(line['vision_gain'])} |"
        for line in pretraining
    ]
    curves = [
        ", ".join(f"step {line['step']}: {percent(line['hmean'])}" for line in evaluations(plan.output / name))
        for name in ("detector", "reader")
    ]
    times = [f"| {format_duration(seconds)} | {step.title} | `{step}` |" for step, seconds in timed]
    pictures = [
        ("generated words", plan.output / "scenes" / "words_train" / "sheet.jpg"),
        ("generated scenes", plan.output / "scenes" / "scenes_train" / "sheet.jpg"),
        ("where the pre-trained model looks", plan.output / "attention"),
        ("words found and read in unseen scenes", plan.output / "detections" / "drawn"),
        ("the images with the most mistakes", plan.output / "evaluation" / "worst.jpg"),
    ]
    return "\n".join(
        [
            "# scenetext demo",
            "",
            "## Pre-training (oCLIP)",
            "",
            "Share of hidden characters that are read correctly, on unseen images; the vision gain is what is lost",
            "when the images are shuffled.",
            "",
            "| step | right image | shuffled image | vision gain |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Detection (DBNet on the pre-trained backbone)",
            "",
            f"{rates(found)} (ICDAR 2015 protocol, best threshold on these unseen scenes).",
            f"During training: {curves[0]}.",
            "",
            "## Reading (a small CTC reader behind the detector)",
            "",
            f"Of the words that were found, {percent(read['word_accuracy'])} are read without a mistake, case apart.",
            f"End to end (found and read): {rates(read)}; 1-NED {percent(read['1-ned'])}.",
            f"During training: {curves[1]}.",
            "",
            "## Pictures",
            "",
            *(f"- {title}: {path}" for title, path in pictures),
            "",
            "## Steps",
            "",
            f"{format_duration(sum(seconds for _, seconds in timed))} in all; "
            f"the largest process took {largest_resident_set(resource.RUSAGE_CHILDREN) / 2**30:.1f} GiB.",
            "",
            "| time | step | command |",
            "|---|---|---|",
            *times,
            "",
            REAL_RUN,
        ]
    )
