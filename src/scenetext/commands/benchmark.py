"""Measures and counts what runs cost; prints tables of Markdown, and writes the metrics as JSON where asked to.

Several configs are measured in one run, and the last columns give each as a ratio to the first: ratios hold where the
machine is shared, single metrics do not. `benchmark.py WHAT --help` explains each kind of measurement.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from scenetext.benchmark.detection import measure_in_turn
from scenetext.benchmark.measurements import Measurement, metric_table, timed
from scenetext.benchmark.overhead import measure_overhead, time_waiting
from scenetext.benchmark.pace import (
    Pace,
    evaluation_pace,
    evaluation_pace_table,
    processor_seconds,
    training_pace,
    training_pace_table,
)
from scenetext.benchmark.run import count_detector, measure
from scenetext.commands.command_line import command_parser
from scenetext.errors import ConfigError
from scenetext.runs.build import build_task, build_trainer
from scenetext.runs.settings import DetectionRun, Run, load_run
from scenetext.tasks.detection import DetectionTask
from scenetext.training.device import autocast_to, resolve_device, resolve_precision
from scenetext.training.trainer import Trainer

EXAMPLES = """\
  python tools/benchmark.py run configs/oclip/tiny.yaml loader.batch_size=64
  python tools/benchmark.py run configs/detectors/dbnet_tiny.yaml configs/detectors/pan_tiny.yaml
  python tools/benchmark.py overhead configs/oclip/tiny.yaml --repetitions 50
  python tools/benchmark.py detection configs/detectors/{dbnet,pan}/icdar2015_imagenet.yaml --images 30
  python tools/benchmark.py pace configs/detectors/dbnet/icdar2015_scratch.yaml configs/tcm/tcm_dbnet_icdar2015.yaml
  python tools/benchmark.py size configs/tcm/fasttcm_dbnet_icdar2015.yaml --size 640
"""
CLOCKS = {"wall": timed, "processor": processor_seconds}

Report = tuple[str, dict[str, Any]]
"""What to print, and the same as plain data."""


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    text = "training step and each of its parts, evaluation, preparation of images, memory, operations"
    manner = "Uses the run's own data and settings; configs are measured one after the other."
    add_command(commands, "run", measure_runs, text, manner)
    text = "what the training loop costs beside a bare one, and how long it waits for data"
    add_command(commands, "overhead", measure_overheads, text, "One step of each in turn, on the same batch.")
    add_detector_commands(commands)
    return parser.parse_args()


def add_detector_commands(commands: Any) -> None:
    """What is measured of detectors alone."""
    text = "what a detector costs outside of its training step: targets, samples, forward, decoding, hmean"
    manner = (
        "By turns, round by round. Weights are random, and what is decoded are the maps of a head that has learnt its "
        "targets. Times are CPU time of one thread."
    )
    command = add_command(commands, "detection", measure_detectors, text, manner)
    command.add_argument("--images", type=positive, default=30, help="images of either kind, the first of the data")

    text = "how fast detectors are beside each other, in evaluation (without decoding) and training, on noise"
    manner = "All have a turn in every round. No data and no weights are read."
    command = add_command(commands, "pace", compare_pace, text, manner)
    command.add_argument("--size", type=positive, default=640, help="side of the images, pixels")
    command.add_argument("--images", type=positive, default=2, help="images of a training step")
    command.add_argument("--training-repetitions", type=int, default=3, help="rounds of training steps; 0 = none")
    text = "processor: time that threads are busy, for a machine that others keep busy (best with OMP_NUM_THREADS=1)"
    command.add_argument("--clock", choices=CLOCKS, default="wall", help=text)

    text = "parameters and operations of detectors"
    command = add_command(commands, "size", count_sizes, text, "Counted; no data and no weights are read.")
    command.add_argument("--size", type=positive, default=640, help="side of the image, pixels; a multiple of 32")


def add_command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], Report], text: str, manner: str
) -> argparse.ArgumentParser:
    """A kind of measurement, with the flags that all have."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"Measures {text}. {manner}")
    command.add_argument(
        "configs", nargs="+", metavar="CONFIG|key=value", help="run files (YAML), and settings to change in all of them"
    )
    command.add_argument("--repetitions", type=positive, default=10, help="samples of every metric")
    command.add_argument("--json", type=Path, metavar="FILE", help="also write the metrics here")
    command.set_defaults(function=function)
    return command


def positive(text: str) -> int:
    """An integer from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {value}")
    return value


def named_runs(arguments: argparse.Namespace) -> dict[str, Run]:
    """The runs of a command by their files' names, with their folders' where those alone do not tell them apart."""
    paths = [Path(each) for each in arguments.configs if "=" not in each]
    if not paths:
        raise ConfigError("no config is named, only settings to change")
    overrides = [each for each in arguments.configs if "=" in each]
    distinct = len({path.stem for path in paths}) == len(paths)
    return {path.stem if distinct else f"{path.parent.name}/{path.stem}": load_run(path, overrides) for path in paths}


def named_detectors(arguments: argparse.Namespace) -> dict[str, DetectionRun[Any, Any]]:
    """As `named_runs`, of detectors alone."""
    runs = named_runs(arguments)
    detectors = {name: run for name, run in runs.items() if isinstance(run, DetectionRun)}
    if len(detectors) < len(runs):
        raise ConfigError(f"{arguments.what} is about detectors: {', '.join(runs.keys() - detectors.keys())} is none")
    return detectors


@contextmanager
def built(run: Run) -> Iterator[Trainer]:
    """The trainer of a run, of which nothing is kept."""
    with tempfile.TemporaryDirectory() as folder:
        yield build_trainer(run, Path(folder))[0]


def measure_runs(arguments: argparse.Namespace) -> Report:
    columns = {}
    for name, run in named_runs(arguments).items():
        with built(run) as trainer:
            columns[name] = measure(trainer, arguments.repetitions)
    return report(columns)


def measure_overheads(arguments: argparse.Namespace) -> Report:
    columns = {}
    for name, run in named_runs(arguments).items():
        with built(run) as trainer:
            metrics = measure_overhead(trainer, arguments.repetitions)
            columns[name] = [*metrics, time_waiting(trainer, arguments.repetitions)]
    return report(columns)


def measure_detectors(arguments: argparse.Namespace) -> Report:
    return report(measure_in_turn(named_detectors(arguments), arguments.images, arguments.repetitions))


def count_sizes(arguments: argparse.Namespace) -> Report:
    side = arguments.size
    return report({name: count_detector(run, side, side) for name, run in named_detectors(arguments).items()})


def compare_pace(arguments: argparse.Namespace) -> Report:
    runs = named_detectors(arguments)
    settings = next(iter(runs.values())).training
    device = resolve_device(settings.device)
    precision = resolve_precision(settings.precision, device)
    tasks = {name: detector_on(run, device) for name, run in runs.items()}
    autocast, clock, size = partial(autocast_to, precision, device), CLOCKS[arguments.clock], arguments.size
    threads = torch.get_num_threads()
    text = f"{device}, {precision}, {threads} threads, {arguments.clock} clock, images of {size} x {size} pixels\n\n"
    paces = evaluation_pace(tasks, size, arguments.repetitions, device, autocast, clock)
    text, content = text + evaluation_pace_table(paces), {"evaluation": pace_rows(paces)}
    if arguments.training_repetitions > 0:
        rounds, images = arguments.training_repetitions, arguments.images
        paces = training_pace(tasks, size, images, rounds, device, autocast, clock)
        text += f"\n\n{training_pace_table(paces, images)}"
        content["training"] = pace_rows(paces)
    return text, content


def pace_rows(paces: list[Pace]) -> list[dict[str, Any]]:
    return [asdict(pace) for pace in paces]


def detector_on(run: DetectionRun[Any, Any], device: torch.device) -> DetectionTask:
    """A detector with random weights, compiled where the run says so."""
    task = build_task(run)
    if not isinstance(task, DetectionTask):
        raise TypeError("a run of kind detection builds a DetectionTask")
    task.to(device).to(memory_format=torch.channels_last)
    for part in task.compiled_parts() if run.training.compile else ():
        part.compile()
    return task


def report(columns: dict[str, list[Measurement]]) -> Report:
    return metric_table(columns), {name: [asdict(metric) for metric in found] for name, found in columns.items()}


def main() -> None:
    arguments = parse_arguments()
    text, content = arguments.function(arguments)
    print(text)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"JSON: {arguments.json}")
