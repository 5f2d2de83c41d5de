"""Writes a page about runs: curves, scores, settings, and images with hits, misses and false detections.

One HTML file that loads nothing from anywhere. Of detectors it shows validation images, which can be sorted by errors,
and filtered by dataset, outcome and text height; several runs are shown beside each other on the same images.
Detections of the last `scenetext evaluate` or report are used as long as best.pt stays the same; all other images are
looked at first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scenetext.commands.outputs import output_path

EXAMPLES = """\
  scenetext report outputs/dbnet-scenes-tiny
  scenetext report outputs/scratch outputs/pretrained --output outputs/comparison.html
  scenetext report outputs/dbnet-scenes-tiny --records data/icdar2015/val.jsonl --limit 500 --megabytes 40
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from scenetext.evaluation.named_rules import PROTOCOLS

    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN", help="folders of runs")
    parser.add_argument(
        "--output", type=output_path, help="the page; default: report.html in the folder of the first run"
    )
    parser.add_argument(
        "--records", type=Path, nargs="+", help="record files; default: the validation records of the first detector"
    )
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="at most N images, evenly spaced")
    parser.add_argument("--megabytes", type=float, default=20, help="the most that the images may add to the page")
    parser.add_argument(
        "--protocol", metavar="NAME", help=f"rule; default: that of the first detector; {', '.join(PROTOCOLS)}"
    )
    parser.add_argument("--workers", type=int, help="loader processes; default: one less than the cores")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(arguments: argparse.Namespace) -> None:
    if arguments.limit < 1 or arguments.megabytes <= 0:
        arguments.refuse("--limit and --megabytes must be above 0")

    from scenetext.commands.run_reports import make_report

    for line in make_report(arguments):
        print(line)
