"""Makes weak labels for images without annotations: an OCR engine reads them, confident words are kept.

The records are for pre-training. The engine is RapidOCR (pip install scenetext[acquisition]), or any program that reads
paths of images, a line each, and prints a line of JSON for each: {"path": ..., "texts": [{"text": ..., "confidence":
..., "polygon": ...}]}; see docs/acquisition.md. What it has read is kept in a journal: a run that was interrupted goes
on where it was, and other rules for words need no engine.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scenetext.commands.command_line import add_share_argument
from scenetext.commands.outputs import output_path
from scenetext.errors import EngineError

if TYPE_CHECKING:
    from scenetext.acquisition.engine import OcrEngine
    from scenetext.acquisition.journal import Journal
    from scenetext.acquisition.selection import SelectionReport, SelectionSettings
    from scenetext.config import Settings
    from scenetext.structures import Detection
    from scenetext.text.charset import CharacterSet

EXAMPLES = """\
  scenetext acquire images/ --output data/acquired/records.jsonl
  scenetext acquire images/ --output data/acquired/confident.jsonl --minimum-confidence 0.98 \\
      --journal data/acquired/records.jsonl.journal
  scenetext acquire images/ --output data/acquired/records.jsonl --workers 8 \\
      --engine-command "/opt/ocr/bin/python my_engine.py"
  scenetext acquire images/ --output data/acquired/records.jsonl --share 3/64
  scenetext acquire icdar2015/images --output data/acquired/icdar2015.jsonl \\
      --ground-truths data/icdar2015/train.jsonl
"""
BAR_WIDTH = 40
SettingsType = TypeVar("SettingsType", bound="Settings")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder of images; its subfolders count")
    parser.add_argument(
        "--output", type=output_path, required=True, metavar="FILE", help="records file to write (.jsonl)"
    )
    add_share_argument(parser)
    engine = parser.add_mutually_exclusive_group()
    engine.add_argument("--engine", choices=["rapidocr"], default="rapidocr", help="a known engine")
    engine.add_argument("--engine-command", metavar="CMD", help="an engine as a command, started once for each worker")
    parser.add_argument("--word-boxes", action="store_true", help="rapidocr: words instead of lines; see the docs")
    cores = os.cpu_count() or 1
    parser.add_argument("--workers", type=int, default=cores, metavar="N", help="engines side by side")
    help_ = "for an image, after which it has failed"
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help=help_)
    parser.add_argument("--minimum-confidence", type=float, default=0.9, metavar="C", help="of a word, 0 to 1")
    parser.add_argument("--minimum-length", type=int, default=2, metavar="N", help="of a word, characters")
    parser.add_argument("--characters", type=Path, metavar="FILE", help="drop words with others than these")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="what was read; default: OUTPUT.journal")
    parser.add_argument("--retry-failed", action="store_true", help="read images again that failed before")
    help_ = "of the images; more end the run"
    parser.add_argument("--maximum-failed-share", type=float, default=0.1, metavar="S", help=help_)
    help_ = "records files with the true words of the images, to compare with"
    parser.add_argument("--ground-truths", type=Path, nargs="+", metavar="FILE", help=help_)
    help_ = "write all that was read, with its positions, as detections that scenetext evaluate --predictions scores"
    parser.add_argument("--predictions", type=output_path, metavar="FILE", help=help_)


def run(arguments: argparse.Namespace) -> None:
    from scenetext.acquisition.journal import Journal
    from scenetext.acquisition.recognition import RecognitionSettings, image_names, recognize_images
    from scenetext.acquisition.selection import SelectionReport, SelectionSettings, WordSelection
    from scenetext.data.preparation.shares import Share, finish_share
    from scenetext.data.records.files import write_records
    from scenetext.text.charset import CharacterSet

    selecting = chosen_settings(SelectionSettings, arguments)
    reading = chosen_settings(RecognitionSettings, arguments)
    characters = CharacterSet.from_file(arguments.characters) if arguments.characters else None
    names, others = image_names(arguments.folder)
    output = arguments.output
    if arguments.share is not None:
        share = Share.parse(arguments.share)
        names, output = share.of_names(names), share.path(output)
    engine, make_engine = choose_engine(arguments, reading.timeout)
    journal_path = arguments.journal or output.with_name(f"{output.name}.journal")
    report = SelectionReport()
    with Journal(journal_path, engine) as journal:
        recognize_images(arguments.folder, names, make_engine, journal, reading, arguments.retry_failed)
        selection = WordSelection(selecting, characters)
        found = (journal.find(name) for name in names)
        count = write_records(output, selection.records(arguments.folder, found, report))
        print(f"{output}: {count} images, {report.kept} words")
        print_report(report, selecting.minimum_confidence)
        if others:
            print(f"  other files in the folder: {others}")
        if arguments.ground_truths:
            print_agreement(names, journal, selecting, characters, arguments)
        if arguments.predictions:
            write_predictions(names, journal, arguments)
    if arguments.share is not None:
        known = None if characters is None else "".join(characters.characters)
        images = str(arguments.folder.resolve())
        finish_share(output, {"images": images, "engine": engine, **selecting.model_dump(), "characters": known})


def chosen_settings(kind: type[SettingsType], arguments: argparse.Namespace) -> SettingsType:
    """The settings that the flags of the same names give."""
    from scenetext.config import validate

    return validate(kind, {name: getattr(arguments, name) for name in kind.model_fields}, "acquire")


def choose_engine(arguments: argparse.Namespace, timeout: float) -> tuple[str, Callable[[], OcrEngine]]:
    """The engine's name for the journal, and what starts one."""
    from scenetext.acquisition.command_engine import CommandEngine
    from scenetext.acquisition.rapidocr_engine import MODULE, rapidocr_version

    if arguments.engine_command is None:
        options = ["--word-boxes"] if arguments.word_boxes else []
        name = " ".join([f"rapidocr {rapidocr_version()}", *options])
        command = [sys.executable, "-m", MODULE, *options]
    else:
        if arguments.word_boxes:
            raise EngineError("--word-boxes is for --engine rapidocr; another engine decides by its own command")
        name = arguments.engine_command
        try:
            command = shlex.split(name)
        except ValueError as problem:
            raise EngineError(f"--engine-command {name!r}: {problem}") from None
    return name, lambda: CommandEngine(command, timeout)


def print_report(report: SelectionReport, minimum_confidence: float) -> None:
    """Prints what was found, what was kept, what was not and why, and the confidences of the engine."""
    from scenetext.acquisition.selection import CONFIDENCE_STEPS

    share = f", {100 * report.kept / report.words:.1f} %" if report.words else ""
    print(f"  {report.images} images, {report.with_text} with text")
    print(f"  {report.words} words found, {report.kept} kept at a confidence of {minimum_confidence:g}{share}")
    for reason, finding in report.reasons.dropped.items():
        print(f"  dropped: {reason}: {finding}")
    print("  words by confidence:")
    most = max(1, int(report.histogram.max()))
    for low, high, count in zip(CONFIDENCE_STEPS, CONFIDENCE_STEPS[1:], report.histogram, strict=False):
        print(f"    {low:4.2f} to {high:4.2f} {count:8d} {'#' * round(BAR_WIDTH * count / most)}".rstrip())


def print_agreement(
    names: Sequence[str],
    journal: Journal,
    settings: SelectionSettings,
    characters: CharacterSet | None,
    arguments: argparse.Namespace,
) -> None:
    """Prints how far the words are those of the ground truths, at several confidences."""
    from scenetext.acquisition.agreement import format_agreement, measure_agreement, true_texts
    from scenetext.data.records.files import RecordFiles

    truth = true_texts(RecordFiles(arguments.ground_truths))
    paths = {name: (arguments.folder / name).resolve() for name in names}
    compared = [
        (recognition, truth[paths[name]])
        for name in names
        if paths[name] in truth and (recognition := journal.find(name)).error is None
    ]
    print(f"agreement with the true words of {len(compared)} images ({len(names) - len(compared)} have none)")
    print(format_agreement(measure_agreement(compared, settings, characters)))


def write_predictions(names: Sequence[str], journal: Journal, arguments: argparse.Namespace) -> None:
    """Writes all that was read, with its positions, as detections; of failed images, none."""
    from scenetext.evaluation.files import write_detections
    from scenetext.structures import Detection

    detections: dict[Path, list[Detection]] = {}
    without = 0
    for name in names:
        texts = journal.find(name).texts
        located = [Detection(text.polygon, text.confidence, text.text) for text in texts if text.polygon is not None]
        detections[arguments.folder / name] = located
        without += len(texts) - len(located)
    write_detections(arguments.predictions, detections)
    count = sum(map(len, detections.values()))
    print(f"{arguments.predictions}: {count} detections in {len(names)} images; {without} texts have no polygon")
