"""Evaluates a trained model, or the detections of any other system.

A detector, or a file of detections (--predictions): precision, recall and hmean by one or several named rules, swept
over score thresholds; the score at the threshold of the config, at one chosen on another set (--choose-on), and the
best on the test set are told apart. Writes evaluation.json, per_image.jsonl, and drawn pictures of the worst images
(hit, miss, false and ignored in distinct colours). Rules, formats, settings of several datasets: docs/evaluation.md.

A pre-trained model: masked-character accuracy with the right and with a wrong image, their difference, the vision gain,
and how often images find their own words among those of all images and the other way round.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, get_args

import torch

from scenetext.commands.command_line import add_view_arguments, command_parser, view_overrides
from scenetext.commands.evaluation import Finder, evaluate_set, file_finder, model_finder
from scenetext.commands.evaluation_sets import Choices, EvaluationSet, SetSources, evaluation_sets
from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import LoaderSettings
from scenetext.errors import ConfigError
from scenetext.evaluation.files.icdar_files import Columns
from scenetext.evaluation.files.reading import read_predictions
from scenetext.evaluation.files.submission import SubmissionFormat
from scenetext.evaluation.lexicon import Lexicons
from scenetext.evaluation.protocols import PROTOCOLS
from scenetext.evaluation.report import percent
from scenetext.runs.build import load_trained_task
from scenetext.runs.data import read_all_records, records_with_words
from scenetext.runs.settings import PretrainingRun, Run
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.training.device import resolve_device
from scenetext.training.evaluation import evaluate

EXAMPLES = """\
  python tools/evaluate.py outputs/dbnet_tiny/best.pt
  python tools/evaluate.py outputs/tiny/best.pt --records data/scenes/few_words/records.jsonl
  python tools/evaluate.py outputs/dbnet_tiny/best.pt --records data/icdar2015/val.jsonl --output outputs/icdar2015_val
  python tools/evaluate.py outputs/dbnet_tiny/best.pt --scales 0.75 1 1.5 --flip --set evaluation.decode_workers=4
  python tools/evaluate.py outputs/dbnet_tiny/best.pt \\
      --set evaluation_transform.long_side=2000 evaluation.thresholds=[0.6]
  python tools/evaluate.py outputs/dbnet/best.pt --dataset icdar2015=data/icdar2015/test.jsonl \\
      --dataset totaltext=data/totaltext/test.jsonl --protocol ic15 --protocol totaltext_deteval
  python tools/evaluate.py outputs/dbnet/best.pt --dataset data/icdar2015/test.jsonl \\
      --choose-on data/icdar2015/val.jsonl --submission icdar2015
  python tools/evaluate.py --predictions other/results.json --dataset data/icdar2015/test.jsonl --protocol ic15
"""
FILE_THRESHOLDS = (0.0, *EvaluationSettings().thresholds)
"""What is tried for a file of predictions: all that is in it, and the usual ones."""


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="best.pt of tools/train.py or tools/pretrain.py")
    parser.add_argument("--predictions", type=Path, help="instead of a checkpoint: JSON, folder or zip of detections")
    parser.add_argument("--records", type=Path, nargs="+", help="record files of one set; default: those of the run")
    parser.add_argument(
        "--dataset", action="append", default=[], metavar="NAME=RECORDS", help="a set to measure; may be repeated"
    )
    parser.add_argument("--datasets", type=Path, metavar="FILE", help="YAML with settings of several sets")
    parser.add_argument(
        "--protocol", action="append", default=[], metavar="NAME", help=f"may be repeated: {', '.join(PROTOCOLS)}"
    )
    parser.add_argument("--threshold", type=float, help="fixed score threshold; default: evaluation.threshold")
    parser.add_argument("--choose-on", type=Path, nargs="+", metavar="RECORDS", help="other images, for a threshold")
    parser.add_argument("--submission", choices=get_args(SubmissionFormat), help="write a file for the server")
    parser.add_argument("--columns", choices=get_args(Columns), help="what text files of --predictions hold")
    parser.add_argument("--lexicon", type=Path, help="words that texts of --predictions are corrected with")
    parser.add_argument("--output", type=Path, help="folder for results; default: evaluation/ beside the checkpoint")
    parser.add_argument("--pictures", type=int, default=12, help="how many of the worst images to draw")
    add_view_arguments(parser)
    parser.add_argument("--workers", type=int, help="loader processes; default: one less than the cores")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args()
    if (arguments.checkpoint is None) == (arguments.predictions is None):
        parser.error("give either a checkpoint or --predictions")
    if arguments.predictions is None and (arguments.columns or arguments.lexicon):
        parser.error("--columns and --lexicon go with --predictions")
    if arguments.predictions is not None and view_overrides(arguments):
        parser.error("--scales, --flip and --set go with a checkpoint")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        parser.error("--threshold is from 0 to 1")
    return arguments


def chosen_sets(
    arguments: argparse.Namespace, evaluation: EvaluationSettings, default: tuple[Path, ...]
) -> list[EvaluationSet]:
    """The sets to measure and how, from the command line and the settings."""
    sources = SetSources(arguments.dataset, arguments.records or (), arguments.datasets, default)
    choices = Choices(arguments.protocol, arguments.threshold, arguments.choose_on or (), arguments.submission)
    return evaluation_sets(sources, evaluation, choices)


def report_sets(
    sets: list[EvaluationSet], find: Finder, arguments: argparse.Namespace, origin: dict[str, Any], output: Path
) -> None:
    """Measures all sets, prints their scores, and writes evaluation.json."""
    contents = {}
    for measured in sets:
        folder = output / measured.name if len(sets) > 1 else output
        report = evaluate_set(measured, find, folder, arguments.pictures)
        print(report.text)
        contents[measured.name] = report.content
    write_json(output / "evaluation.json", {**origin, "datasets": contents})


def score_predictions(arguments: argparse.Namespace) -> None:
    """Scores a file, folder or zip of detections."""
    evaluation = EvaluationSettings(threshold=0.0, thresholds=FILE_THRESHOLDS)
    predictions = read_predictions(arguments.predictions, arguments.columns)
    lexicons = None if arguments.lexicon is None else Lexicons(arguments.lexicon)
    output: Path = arguments.output or arguments.predictions.parent / f"{arguments.predictions.stem}_evaluation"
    find = file_finder(predictions, arguments.predictions, lexicons)
    origin = {"predictions": str(arguments.predictions), "lexicon": arguments.lexicon and str(arguments.lexicon)}
    report_sets(chosen_sets(arguments, evaluation, ()), find, arguments, origin, output)


def score_detector(task: DetectionTask, run: Run, step: int, arguments: argparse.Namespace) -> None:
    """Scores a detector."""
    device = resolve_device(arguments.device)
    task.to(device).to(memory_format=torch.channels_last)
    loader = LoaderSettings(workers=arguments.workers, evaluation_batch_size=run.loader.evaluation_batch_size)
    find = model_finder(task, device, loader, run.training.seed)
    origin = {"checkpoint": str(arguments.checkpoint), "step": step}
    sets = chosen_sets(arguments, task.evaluation, run.data.validation)
    report_sets(sets, find, arguments, origin, output_folder(arguments))


def measure_pretraining(task: PretrainingTask, run: PretrainingRun, step: int, arguments: argparse.Namespace) -> None:
    """Measures how well a pre-trained model reads."""
    if arguments.dataset or arguments.datasets or arguments.protocol or arguments.choose_on or arguments.submission:
        raise ConfigError(f"{arguments.checkpoint}: holds a pre-trained model, which has no protocols; use --records")
    files = read_all_records(arguments.records or run.data.validation, "evaluation")
    records, remark = records_with_words(files, task.characters, task.settings.unknown_characters, "evaluation")
    print(remark)
    device = resolve_device(arguments.device)
    task.to(device).to(memory_format=torch.channels_last)
    metric = task.metric(records)
    dataset = RecordDataset(records, task.prepare_evaluation, run.training.seed)
    loader = LoaderSettings(workers=arguments.workers, evaluation_batch_size=run.loader.evaluation_batch_size)
    skipped = [image.reason for image in evaluate(task, dataset, metric, loader, device)]
    for reason in skipped:
        print(f"skipped image: {reason}")
    result = report_pretraining(metric.compute())
    origin = {"checkpoint": str(arguments.checkpoint), "step": step, "skipped": skipped}
    write_json(output_folder(arguments) / "evaluation.json", {**origin, **result})


def report_pretraining(figures: dict[str, float]) -> dict[str, Any]:
    """Prints the figures of a pre-trained model and returns them for the JSON file."""
    print(f"{figures['words']:.0f} words, one hidden character each; retrieval at rank 1 / 5 among all images")
    print("| right image | wrong image | vision gain | top 5 | image to text | text to image |")
    print("|---:|---:|---:|---:|---:|---:|")
    cells = [percent(figures[name]) for name in ("accuracy", "wrong_image_accuracy", "vision_gain", "top5_accuracy")]
    for way in ("image_to_text", "text_to_image"):
        cells.append(f"{percent(figures[f'{way}_recall_1'])} / {percent(figures[f'{way}_recall_5'])}")
    print(f"| {' | '.join(cells)} |")
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def output_folder(arguments: argparse.Namespace) -> Path:
    return arguments.output or arguments.checkpoint.parent / "evaluation"


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"JSON: {path}")


def main() -> int:
    arguments = parse_arguments()
    if arguments.predictions is not None:
        score_predictions(arguments)
        return 0
    task, run, content = load_trained_task(arguments.checkpoint, overrides=view_overrides(arguments))
    if isinstance(task, DetectionTask):
        score_detector(task, run, content["step"], arguments)
    elif isinstance(run, PretrainingRun):
        measure_pretraining(task, run, content["step"], arguments)
    return 0
