"""Measures a run: training step and each of its parts, evaluation, preparation of images, memory; counts operations.

Uses the run's own data and settings. With several configs the columns are measured one after the other in one run, and
the last columns give each as a ratio to the first: ratios hold where the machine is shared, single figures do not.

--ablate measures the training step with each of its optimisations taken away, one step of each in turn. --overhead
measures what the training loop costs beside a bare one, and how long it waits for data. --count H W counts a detector's
parameters and its operations on an image of that size; it needs no data.

--detection measures what a detector costs outside of its training step: targets, the sample from its file to tensors,
forward, decoding, hmean; of several configs by turns, round by round. Weights are random, and what is decoded are the
maps of a head that has learnt its targets. Times are CPU time of one thread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from scenetext.benchmark.ablation import AblationRow, PartRow, ablate, ablate_parts
from scenetext.benchmark.detection import measure_in_turn
from scenetext.benchmark.figures import Figure
from scenetext.benchmark.overhead import measure_overhead, time_waiting
from scenetext.benchmark.run import first_batch, measure
from scenetext.benchmark.size import count_detector
from scenetext.build import build_trainer
from scenetext.command_line import command_parser, run_command
from scenetext.errors import ConfigError
from scenetext.runs import DetectionRun, load_run

EXAMPLES = """\
  python tools/benchmark.py configs/detectors/dbnet_tiny.yaml
  python tools/benchmark.py configs/oclip/tiny.yaml loader.batch_size=64
  python tools/benchmark.py configs/detectors/dbnet_tiny.yaml --compare configs/detectors/dbnet_tiny_icdar2015.yaml
  python tools/benchmark.py configs/oclip/tiny.yaml --ablate
  python tools/benchmark.py configs/oclip/tiny.yaml --overhead --repetitions 50
  python tools/benchmark.py configs/detectors/dbnet/icdar2015_imagenet_resnet18.yaml --detection --images 30 \
      --compare configs/detectors/pan/icdar2015_imagenet.yaml
  python tools/benchmark.py configs/detectors/dbnet/icdar2015_scratch.yaml --count 640 640
"""


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    parser.add_argument("config", type=Path, help="run file (YAML)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change in every config")
    parser.add_argument("--compare", type=Path, nargs="+", default=[], metavar="CONFIG", help="more run files")
    parser.add_argument("--ablate", action="store_true", help="what each optimisation of the step brings, instead")
    parser.add_argument("--detection", action="store_true", help="what a detector costs outside of training, instead")
    parser.add_argument("--overhead", action="store_true", help="what the training loop itself costs, instead")
    parser.add_argument("--images", type=int, default=30, help="images of either kind that --detection takes")
    parser.add_argument("--count", type=int, nargs=2, metavar=("H", "W"), help="parameters and operations, instead")
    parser.add_argument("--repetitions", type=int, default=10, help="samples of every figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_intermixed_args()


def measure_config(path: Path, arguments: argparse.Namespace) -> list[Figure]:
    """Builds a run and measures it, or counts what it consists of; nothing of it is kept."""
    run = load_run(path, arguments.overrides)
    repetitions: int = arguments.repetitions
    if arguments.count is not None:
        return count_detector(run, *arguments.count)
    with tempfile.TemporaryDirectory() as folder:
        trainer, _ = build_trainer(run, Path(folder))
        if arguments.overhead:
            return [*measure_overhead(trainer, repetitions), time_waiting(trainer, repetitions)]
        return measure(trainer, repetitions)


def measure_detectors(
    paths: list[Path], overrides: list[str], images: int, repetitions: int
) -> dict[str, list[Figure]]:
    """Measures detectors by turns; called by their configs' folders and names."""
    runs = {}
    for path in paths:
        run = load_run(path, overrides, "detection")
        if not isinstance(run, DetectionRun):
            raise TypeError("a run of kind detection is a DetectionRun")
        runs[f"{path.parent.name}/{path.stem}"] = run
    return measure_in_turn(runs, images, repetitions)


def ablate_config(path: Path, overrides: list[str], repetitions: int) -> tuple[list[PartRow], list[AblationRow]]:
    """Builds a run and measures parts and whole of its training step with and without each optimisation."""
    run = load_run(path, overrides)
    with tempfile.TemporaryDirectory() as folder:
        trainer, _ = build_trainer(run, Path(folder))
        batch = first_batch(trainer.training_data, trainer.loader.batch_size)
        return ablate_parts(trainer, batch, repetitions), ablate(trainer, batch, repetitions)


def table(columns: dict[str, list[Figure]]) -> str:
    """Figures as rows and configs as columns: median (smallest to largest), then ratios to the first config.

    A figure that a config does not have (a detector has no decoder of words) is a dash.
    """
    names = list(columns)
    others = names[1:]
    lines = [
        "| figure | " + " | ".join([*names, *(f"{name} / {names[0]}" for name in others)]) + " |",
        "|---|" + "---:|" * (len(names) + len(others)),
    ]
    found = [{figure.name: figure for figure in figures} for figures in columns.values()]
    for name, unit in {figure.name: figure.unit for figures in columns.values() for figure in figures}.items():
        row = [figures.get(name) for figures in found]
        ratios = [ratio_cell(figure, row[0]) for figure in row[1:]]
        lines.append(f"| {name}, {unit} | " + " | ".join([*map(figure_cell, row), *ratios]) + " |")
    return "\n".join(lines)


def figure_cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    spread = f" ({figure.low:.3g} to {figure.high:.3g})" if figure.low < figure.high else ""
    return f"{figure.value:.4g}{spread}"


def ratio_cell(figure: Figure | None, first: Figure | None) -> str:
    return f"{figure.value / first.value:.2f}" if figure and first and first.value else "-"


def ablation_table(rows: list[AblationRow]) -> str:
    """One row per change: time, ratio to the run's own step, memory, bytes of images."""
    lines = [
        "| training step | ms, median | ms, fastest | ratio | kept for backward, MiB | peak memory, MiB | images, MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        times = f"{row.milliseconds:.4g} | {row.fastest:.4g} | {row.ratio:.2f}"
        lines.append(f"| {row.name} | {times} | {row.kept:.0f} | {row.memory:.0f} | {row.batch_bytes / 1e6:.2f} |")
    return "\n".join(lines)


def part_table(rows: list[PartRow]) -> str:
    """One row per part and change."""
    lines = ["| part, forward and backward | with | ms | ms of the run's own | ratio |", "|---|---|---:|---:|---:|"]
    for row in rows:
        times = f"{row.changed_milliseconds:.4g} | {row.milliseconds:.4g} | {row.ratio:.2f}"
        lines.append(f"| {row.part} | {row.change} | {times} |")
    return "\n".join(lines)


def measure_columns(arguments: argparse.Namespace) -> dict[str, list[Figure]]:
    """The figures of every config that is named, in that order."""
    paths = [arguments.config, *arguments.compare]
    if arguments.detection:
        return measure_detectors(paths, arguments.overrides, arguments.images, arguments.repetitions)
    return {path.stem: measure_config(path, arguments) for path in paths}


def check_arguments(arguments: argparse.Namespace) -> None:
    """Refuses flags that do not go together, by a ConfigError."""
    for name in ("repetitions", "images"):
        if (value := getattr(arguments, name)) < 1:
            raise ConfigError(f"--{name} must be 1 or more, not {value}")
    if arguments.ablate + arguments.overhead + arguments.detection + (arguments.count is not None) > 1:
        raise ConfigError("--ablate, --overhead, --detection and --count measure different things; give one of them")
    if arguments.ablate and arguments.compare:
        raise ConfigError("--ablate is about one config; leave --compare out")


def main() -> None:
    arguments = parse_arguments()
    check_arguments(arguments)
    content: dict[str, list[dict[str, object]]]
    if arguments.ablate:
        parts, steps = ablate_config(arguments.config, arguments.overrides, arguments.repetitions)
        print(part_table(parts), ablation_table(steps), sep="\n\n")
        content = {"parts": [asdict(row) for row in parts], "steps": [asdict(row) for row in steps]}
    else:
        columns = measure_columns(arguments)
        print(table(columns))
        content = {name: [asdict(figure) for figure in figures] for name, figures in columns.items()}
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"JSON: {arguments.json}")


if __name__ == "__main__":
    run_command(main)
