"""Draws ground truth, training samples or predictions, to debug a dataset or a detector by eye.

dataset      the ground truth of records: text, ignored text, first vertices
targets      training samples as the detector sees them: the augmented image, and every target map
predictions  a checkpoint on records: hit, missed, false, ignored by the run's protocol, and every map of the head
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scenetext.commands.command_line import add_words, share
from scenetext.commands.outputs import output_path, results_in

EXAMPLES = """\
  scenetext visualize dataset data/icdar2015/train.jsonl --count 12
  scenetext visualize targets dbnet icdar2015 tiny transform.size=[640,640]
  scenetext visualize predictions outputs/dbnet-icdar2015-tiny/best.pt --records data/icdar2015/val.jsonl
  scenetext visualize predictions outputs/dbnet-icdar2015-tiny/best.pt --only img_12.jpg --threshold 0.6
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", required=True)
    dataset = commands.add_parser("dataset", help="the ground truth of records")
    dataset.add_argument("records", type=Path, nargs="+", help="record files")
    targets = commands.add_parser("targets", help="training samples and what is learnt from them")
    add_words(targets)
    targets.add_argument("--epoch", type=int, default=0, help="whose random transforms are shown")
    predictions = commands.add_parser("predictions", help="a checkpoint against the ground truth")
    predictions.add_argument("checkpoint", type=Path, help="a detector's best.pt, written by scenetext train")
    predictions.add_argument("--records", type=Path, nargs="+", help="default: the run's validation records")
    predictions.add_argument("--threshold", type=share, help="least score; default: the checkpoint's best, or 0.5")
    predictions.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    for command in (dataset, targets, predictions):
        command.add_argument(
            "--output", type=output_path, default=Path("outputs/pictures"), help="folder for the sheets"
        )
        command.add_argument("--count", type=int, default=6, help="how many images")
        command.add_argument("--seed", type=int, default=0, help="of the choice of images")
        command.add_argument("--only", nargs="+", help="show images with one of these in their paths")


def run(arguments: argparse.Namespace) -> None:
    from scenetext.inspection.pictures import Choice, show_dataset, show_predictions, show_targets

    choice = Choice(arguments.count, arguments.seed, tuple(arguments.only or ()))
    output: Path = arguments.output
    with results_in(output / arguments.command):  # the dataset's only sheet is beside these folders
        if arguments.command == "dataset":
            shown = show_dataset(arguments.records, choice, output)
        elif arguments.command == "targets":
            shown = show_targets(arguments.words, arguments.epoch, choice, output)
        else:
            files, threshold, device = arguments.records or (), arguments.threshold, arguments.device
            shown = show_predictions(arguments.checkpoint, files, threshold, device, choice, output)
    for line in (*shown.remarks, *shown.sheets):
        print(line)
