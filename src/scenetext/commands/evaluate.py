"""Evaluates a trained model, or the detections of any other system.

A detector, or a file of detections (--predictions): precision, recall and hmean by one or several named rules, swept
over score thresholds; reports separately the score at the threshold of the config, at one chosen on another set
(--choose-on), and the best on the test set. Writes evaluation.json, per_image.jsonl, and drawn pictures of the worst
images (hit, miss, false and ignored in distinct colours). Rules, formats, settings of several datasets:
docs/evaluation.md.

A pre-trained model: masked-character accuracy with the right and with a shuffled image, their difference, the vision
gain, and how often images find their own words among those of all images and the other way round.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from scenetext.commands.command_line import add_precision_argument, add_view_arguments, share, view_overrides
from scenetext.commands.outputs import output_path
from scenetext.resources import shipped_model

EXAMPLES = """\
  scenetext evaluate --records data/icdar2015/val.jsonl --protocol ic15
  scenetext evaluate outputs/dbnet-scenes-tiny/best.pt
  scenetext evaluate outputs/oclip-words-tiny/best.pt --records data/scenes/few_words/records.jsonl
  scenetext evaluate outputs/dbnet-scenes-tiny/best.pt --records data/icdar2015/val.jsonl --output outputs/val
  scenetext evaluate outputs/dbnet-scenes-tiny/best.pt --scales 0.75 1 1.5 --flip
  scenetext evaluate outputs/dbnet-scenes-tiny/best.pt \\
      --set evaluation_transform.long_side=2000 evaluation.thresholds=[0.6]
  scenetext evaluate outputs/dbnet/best.pt --dataset icdar2015=data/icdar2015/test.jsonl \\
      --dataset totaltext=data/totaltext/test.jsonl --protocol ic15 --protocol totaltext_deteval
  scenetext evaluate outputs/dbnet/best.pt --dataset data/icdar2015/test.jsonl \\
      --choose-on data/icdar2015/val.jsonl --submission icdar2015
  scenetext evaluate --predictions other/results.json --dataset data/icdar2015/test.jsonl --protocol ic15
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from scenetext.evaluation.files.reading import Axes
    from scenetext.evaluation.files.result_lines import Columns
    from scenetext.evaluation.files.submission import SubmissionFormat
    from scenetext.evaluation.named_rules import PROTOCOLS

    parser.add_argument(
        "checkpoint",
        type=Path,
        nargs="?",
        help="best.pt of scenetext train or scenetext pretrain; default: the shipped model",
    )
    parser.add_argument("--predictions", type=Path, help="instead of a checkpoint: JSON, folder or zip of detections")
    parser.add_argument("--records", type=Path, nargs="+", help="record files of one set; default: those of the run")
    parser.add_argument(
        "--dataset", action="append", default=[], metavar="NAME=RECORDS", help="a set to measure; may be repeated"
    )
    parser.add_argument("--datasets", type=Path, metavar="FILE", help="YAML with settings of several sets")
    parser.add_argument(
        "--protocol",
        action="append",
        default=[],
        metavar="NAME",
        help=f"rule; may be repeated; `scenetext list rules` explains: {', '.join(PROTOCOLS)}",
    )
    parser.add_argument("--threshold", type=share, help="fixed score threshold; default: evaluation.threshold")
    parser.add_argument("--text-threshold", type=share, help="drop detections whose text score is lower")
    parser.add_argument(
        "--score",
        choices=("detection", "text", "product"),
        default="detection",
        help="the score that thresholds are swept over: of the detection, of its text, or the product of both",
    )
    parser.add_argument("--choose-on", type=Path, nargs="+", metavar="RECORDS", help="other images, for a threshold")
    parser.add_argument("--submission", choices=get_args(SubmissionFormat), help="write a file for the server")
    parser.add_argument(
        "--columns",
        choices=get_args(Columns),
        metavar="COLUMNS",
        help="what each line of text files holds, in this order: 'polygon' (x1,y1,x2,y2,... or left,top,right,bottom), "
        "'polygon,score', 'polygon,text' or 'polygon,score,text'; default: numbers only, a score where their count is "
        "odd",
    )
    parser.add_argument("--axes", choices=get_args(Axes), default="xy", help="which number of a point comes first")
    parser.add_argument(
        "--lexicon", type=Path, help="words that readings are corrected with: a file, or a folder with one an image"
    )
    parser.add_argument("--lexicon-pairs", type=Path, metavar="PATH", help="how words of --lexicon are written out")
    parser.add_argument(
        "--lexicon-distance",
        choices=("plain", "weighted"),
        default="plain",
        help="weighted: changes of characters that the reader was not sure of cost less; for a checkpoint that reads",
    )
    parser.add_argument(
        "--lexicon-limit", type=float, metavar="DISTANCE", help="readings as far as this from every word are dropped"
    )
    parser.add_argument(
        "--output", type=output_path, help="folder for results; default: evaluation/ beside the checkpoint"
    )
    parser.add_argument("--pictures", type=int, default=12, help="how many of the worst images to draw")
    add_view_arguments(parser)
    parser.add_argument("--workers", type=int, help="loader processes; default: one less than the cores")
    add_precision_argument(parser, "fp32")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(arguments: argparse.Namespace) -> None:
    check_flags(arguments)

    from scenetext.commands.scoring import score_checkpoint, score_predictions

    if arguments.predictions is not None:
        score_predictions(arguments)
    else:
        score_checkpoint(arguments)


def take_shipped_model(arguments: argparse.Namespace) -> None:
    """The shipped model in place of a checkpoint, where the flags name images for it."""
    if not (arguments.records or arguments.dataset or arguments.datasets):
        arguments.refuse("give a checkpoint, --predictions, or --records to measure the shipped model on")
    arguments.checkpoint = shipped_model()
    arguments.output = arguments.output or Path("outputs/evaluation")
    print(f"model: {arguments.checkpoint.name}, the one that is shipped")


def check_flags(arguments: argparse.Namespace) -> None:
    """Refuses flags that do not go together."""
    if arguments.checkpoint is not None and arguments.predictions is not None:
        arguments.refuse("give either a checkpoint or --predictions")
    if arguments.checkpoint is None and arguments.predictions is None:
        take_shipped_model(arguments)
    if arguments.predictions is None and (arguments.columns or arguments.axes != "xy"):
        arguments.refuse("--columns and --axes go with --predictions")
    if arguments.predictions is not None and arguments.lexicon_distance == "weighted":
        arguments.refuse("--lexicon-distance weighted goes with a checkpoint that reads")
    changes = arguments.lexicon_pairs or arguments.lexicon_limit is not None or arguments.lexicon_distance != "plain"
    if arguments.lexicon is None and changes:
        arguments.refuse("--lexicon-pairs, --lexicon-distance and --lexicon-limit go with --lexicon")
    if arguments.predictions is not None and view_overrides(arguments):
        arguments.refuse("--scales, --flip and --set go with a checkpoint")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        arguments.refuse("--threshold is from 0 to 1")
