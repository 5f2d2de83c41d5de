"""What `scenetext evaluate` does when its flags are read: scores a checkpoint, or detections from files."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from scenetext.commands.command_line import view_overrides
from scenetext.commands.detection_journal import JOURNAL, STORED, made_by
from scenetext.commands.evaluation_sets import Choices, EvaluationSet, SetSources, evaluation_sets
from scenetext.commands.outputs import check_writable, results_in
from scenetext.commands.set_scores import Finder, by_text_scores, corrected, evaluate_set, file_finder, model_finder
from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import LoaderSettings
from scenetext.errors import ConfigError
from scenetext.evaluation.files.reading import read_predictions
from scenetext.evaluation.lexicon import Correction, Lexicons
from scenetext.pretraining import find_method
from scenetext.runs.data import file_sets
from scenetext.runs.load import files_of_run, load_trained_task, validation_files
from scenetext.runs.settings import DetectionRun, PretrainingRun
from scenetext.runs.usable import joined, refuse_all_skipped, usable_sets
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.tasks.inference import prepare_for_inference
from scenetext.text.charset import CharacterSet
from scenetext.training.device import resolve_device
from scenetext.training.evaluation import evaluate

FILE_THRESHOLDS = (0.0, *EvaluationSettings().thresholds)
"""What is tried for a file of predictions: all that is in it, and the usual ones."""


def score_checkpoint(arguments: argparse.Namespace) -> None:
    """Scores a trained model, each kind by what it is for."""
    task, run, content = load_trained_task(arguments.checkpoint, overrides=view_overrides(arguments))
    MEASURES[run.kind](task, run, content, arguments)


def chosen_sets(
    arguments: argparse.Namespace, evaluation: EvaluationSettings, default: tuple[Path, ...]
) -> list[EvaluationSet]:
    """The sets to measure and how, from the command line and the settings."""
    sources = SetSources(arguments.dataset, arguments.records or (), arguments.datasets, default)
    choices = Choices(arguments.protocol, arguments.threshold, arguments.choose_on or (), arguments.submission)
    return evaluation_sets(sources, evaluation, choices)


def with_files_of_run(evaluation: EvaluationSettings, checkpoint: Path) -> EvaluationSettings:
    """The same settings, with the records files of `datasets` found as the run's validation records are."""
    datasets = {
        name: one.model_copy(
            update={key: files_of_run(getattr(one, key), checkpoint) for key in ("records", "choose_on")}
        )
        for name, one in evaluation.datasets.items()
    }
    return evaluation.model_copy(update={"datasets": datasets})


def chosen_lexicons(arguments: argparse.Namespace, alphabet: CharacterSet | None = None) -> Lexicons | None:
    """What readings are corrected with, as the command line says.

    Args:
        alphabet: of the reader; None where files are scored.
    """
    if arguments.lexicon is None:
        return None
    correction = Correction(arguments.lexicon_distance == "weighted", arguments.lexicon_limit, alphabet)
    return Lexicons(arguments.lexicon, arguments.lexicon_pairs, correction)


def with_readings(find: Finder, arguments: argparse.Namespace, alphabet: CharacterSet | None = None) -> Finder:
    """The same texts as the command line wants their readings: first without uncertain ones, then corrected."""
    certain = by_text_scores(find, arguments.text_threshold, arguments.score)
    return corrected(certain, chosen_lexicons(arguments, alphabet))


def how_readings_count(arguments: argparse.Namespace) -> dict[str, Any]:
    """For evaluation.json: what the command line changes in readings; nothing where it changes nothing."""
    values = {"lexicon": arguments.lexicon and str(arguments.lexicon), "text_threshold": arguments.text_threshold}
    values["score"] = None if arguments.score == "detection" else arguments.score
    return {name: value for name, value in values.items() if value is not None}


def report_sets(
    sets: list[EvaluationSet], find: Finder, arguments: argparse.Namespace, origin: dict[str, Any], output: Path
) -> None:
    """Measures all sets, prints their scores, and writes evaluation.json."""
    check_writable(output)
    contents = {}
    folders = [output / measured.name if len(sets) > 1 else output for measured in sets]
    with results_in(output):
        for measured, folder in zip(sets, folders, strict=True):
            report = evaluate_set(measured, find, folder, arguments.pictures)
            print(report.text)
            contents[measured.name] = report.content
        write_json(output / "evaluation.json", {**origin, "datasets": contents})
        for folder in folders:
            if (folder / JOURNAL).is_file():
                (folder / JOURNAL).replace(folder / STORED)


def score_predictions(arguments: argparse.Namespace) -> None:
    """Scores a file, folder or zip of detections."""
    evaluation = EvaluationSettings(threshold=0.0, thresholds=FILE_THRESHOLDS)
    predictions = read_predictions(arguments.predictions, arguments.columns, arguments.axes)
    output: Path = arguments.output or arguments.predictions.parent / f"{arguments.predictions.stem}_evaluation"
    find = with_readings(file_finder(predictions, arguments.predictions), arguments)
    origin = {"predictions": str(arguments.predictions), **how_readings_count(arguments)}
    report_sets(chosen_sets(arguments, evaluation, ()), find, arguments, origin, output)


def score_detector(
    task: DetectionTask, run: DetectionRun[Any, Any], content: Mapping[str, Any], arguments: argparse.Namespace
) -> None:
    """Scores a detector."""
    device = resolve_device(arguments.device)
    inference = prepare_for_inference(task, device, arguments.precision)
    print(inference)
    loader = LoaderSettings(workers=arguments.workers, evaluation_batch_size=run.loader.evaluation_batch_size)
    known = content.get("characters")
    if arguments.lexicon is not None and not known:
        raise ConfigError(f"{arguments.checkpoint}: holds a detector that does not read; --lexicon corrects readings")
    made = made_by(arguments.checkpoint, [*view_overrides(arguments), str(inference)])
    found = model_finder(task, device, loader, run.training.seed, made)
    find = with_readings(found, arguments, CharacterSet(known) if known else None)
    of_model = {"checkpoint": str(arguments.checkpoint), "step": content["step"], "network": str(inference)}
    origin = {**of_model, **how_readings_count(arguments)}
    sets = chosen_sets(
        arguments,
        with_files_of_run(task.evaluation, arguments.checkpoint),
        validation_files(run, arguments.checkpoint),
    )
    report_sets(sets, find, arguments, origin, output_folder(arguments))


def measure_pretraining(
    task: Any, run: PretrainingRun[Any, Any, Any], content: Mapping[str, Any], arguments: argparse.Namespace
) -> None:
    """Measures how well a pre-trained model does what it was trained for."""
    if arguments.dataset or arguments.datasets or arguments.protocol or arguments.choose_on or arguments.submission:
        raise ConfigError(f"{arguments.checkpoint}: holds a pre-trained model, which has no protocols; use --records")
    check_writable(output_folder(arguments))
    sets = file_sets(
        arguments.records or validation_files(run, arguments.checkpoint), run.data.check_folder, "evaluation"
    )
    spec = find_method(run.method.name)
    known = CharacterSet(content["characters"]) if content.get("characters") else None
    sets, remark = usable_sets(sets, spec, run.method, known, "evaluation")
    records = joined(sets)
    print(remark)
    device = resolve_device(arguments.device)
    task.to(device).to(memory_format=torch.channels_last)
    metric = task.metric(records)
    dataset = RecordDataset(records, task.prepare_evaluation, run.training.seed)
    loader = LoaderSettings(workers=arguments.workers, evaluation_batch_size=run.loader.evaluation_batch_size)
    unread = evaluate(task, dataset, metric.update, loader, device)
    refuse_all_skipped(unread, len(records), "evaluation")
    skipped = [image.reason for image in unread]
    for reason in skipped:
        print(f"skipped image: {reason}")
    metrics = metric.compute()
    print("\n".join(spec.report(metrics)))
    result = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    origin = {"checkpoint": str(arguments.checkpoint), "step": content["step"], "skipped": skipped}
    write_json(output_folder(arguments) / "evaluation.json", {**origin, **result})


MEASURES: Mapping[str, Callable[[Any, Any, Mapping[str, Any], argparse.Namespace], None]] = MappingProxyType(
    {"detection": score_detector, "pretraining": measure_pretraining}
)
"""What measures a trained model, by the kind of its run."""


def output_folder(arguments: argparse.Namespace) -> Path:
    return arguments.output or arguments.checkpoint.parent / "evaluation"


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"JSON: {path}")
