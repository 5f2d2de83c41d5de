"""Draws the curves of one or several runs into one picture, a panel per metric.

Reads log.jsonl of each run folder, also while the run goes on. A metric is named as in the log ("loss", "hmean"), or
with its kind where both have it ("train/loss", "evaluation/hmean"). Without --metrics, all that the runs share.
Needs matplotlib: pip install scenetext[plot]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scenetext.commands.outputs import output_path
from scenetext.errors import ConfigError

EXAMPLES = """\
  scenetext plot outputs/dbnet-scenes-tiny
  scenetext plot outputs/scratch outputs/pretrained --metrics loss hmean --smooth 10
  scenetext plot outputs/a outputs/b --output outputs/curves.svg
"""
FORMATS = (".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN", help="folders of runs")
    parser.add_argument("--metrics", "--figures", nargs="+", metavar="METRIC", help="which metrics, in this order")
    parser.add_argument(
        "--smooth",
        type=int,
        default=1,
        metavar="N",
        help="draw training metrics as the mean of the last N logged values, over the values themselves in pale",
    )
    parser.add_argument(
        "--output", type=output_path, default=Path("outputs/curves.png"), help="picture: .png, .svg or .pdf"
    )


def run(arguments: argparse.Namespace) -> None:
    from scenetext.inspection.curve_picture import choose_metrics, draw_runs, read_runs

    if arguments.output.suffix.lower() not in FORMATS:
        raise ConfigError(f"--output {arguments.output}: the picture must end in {', '.join(FORMATS)}")
    if arguments.smooth < 1:
        raise ConfigError(f"--smooth must be 1 or more, not {arguments.smooth}")
    runs, warnings = read_runs(arguments.folders)
    metrics = choose_metrics(runs, arguments.metrics)
    warnings += [f"{label} has no {metric}" for metric in metrics for label in runs if metric not in runs[label]]
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    picture = draw_runs(runs, metrics, arguments.smooth)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(arguments.output, dpi=150)
    print(f"picture: {arguments.output}")
