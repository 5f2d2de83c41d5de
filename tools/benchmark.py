"""Measures the parts of a run: training step, evaluation, preparation of images; counts parameters and operations.

Uses the run's own data and settings. With several configs the columns are measured one after the other in one run, and
the last columns give each as a ratio to the first: ratios hold where the machine is shared, single figures do not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from scenetext.benchmark import Figure, measure
from scenetext.build import build_trainer
from scenetext.command_line import command_parser, run_command
from scenetext.errors import ConfigError
from scenetext.runs import load_run

EXAMPLES = """\
  python tools/benchmark.py configs/detectors/dbnet_tiny.yaml
  python tools/benchmark.py configs/oclip/tiny.yaml loader.batch_size=64
  python tools/benchmark.py configs/detectors/dbnet_tiny.yaml --compare configs/detectors/dbnet_tiny_icdar2015.yaml
"""


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    parser.add_argument("config", type=Path, help="run file (YAML)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change in every config")
    parser.add_argument("--compare", type=Path, nargs="+", default=[], metavar="CONFIG", help="more run files")
    parser.add_argument("--repetitions", type=int, default=10, help="samples of every figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_intermixed_args()


def measure_config(path: Path, overrides: list[str], repetitions: int) -> list[Figure]:
    """Builds a run and measures it; nothing of it is kept."""
    run = load_run(path, overrides)
    with tempfile.TemporaryDirectory() as folder:
        trainer, _ = build_trainer(run, Path(folder))
        return measure(trainer, repetitions)


def table(columns: dict[str, list[Figure]]) -> str:
    """Figures as rows and configs as columns: median (smallest to largest), then ratios to the first config."""
    names = list(columns)
    others = names[1:]
    lines = [
        "| figure | " + " | ".join([*names, *(f"{name} / {names[0]}" for name in others)]) + " |",
        "|---|" + "---:|" * (len(names) + len(others)),
    ]
    for row in zip(*columns.values(), strict=True):
        cells = [
            f"{figure.value:.4g}" + (f" ({figure.low:.3g} to {figure.high:.3g})" if figure.low < figure.high else "")
            for figure in row
        ]
        ratios = [f"{figure.value / row[0].value:.2f}" for figure in row[1:]]
        lines.append(f"| {row[0].name}, {row[0].unit} | " + " | ".join([*cells, *ratios]) + " |")
    return "\n".join(lines)


def main() -> None:
    arguments = parse_arguments()
    if arguments.repetitions < 1:
        raise ConfigError(f"--repetitions must be 1 or more, not {arguments.repetitions}")
    columns = {
        path.stem: measure_config(path, arguments.overrides, arguments.repetitions)
        for path in [arguments.config, *arguments.compare]
    }
    print(table(columns))
    if arguments.json is not None:
        content = {name: [asdict(figure) for figure in figures] for name, figures in columns.items()}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"JSON: {arguments.json}")


if __name__ == "__main__":
    run_command(main)
