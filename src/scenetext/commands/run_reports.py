"""What `scenetext report` does when its flags are read: runs to detections, scores and a page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenetext import __version__
from scenetext.commands.detection_journal import STORED, made_by, stored_detections
from scenetext.commands.evaluation_sets import EvaluationSet
from scenetext.commands.outputs import check_writable
from scenetext.commands.set_scores import Found, evaluated, in_test_size, model_finder
from scenetext.config import flat_settings, read_config
from scenetext.data.loading.loader import LoaderSettings
from scenetext.errors import ConfigError
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.rules import Protocol
from scenetext.inspection.curve_picture import read_runs
from scenetext.inspection.curves import Curve
from scenetext.inspection.report.content import (
    ReportedRun,
    curve_panels,
    dataset_names,
    describe_runs,
    page_thresholds,
    settings_tables,
)
from scenetext.inspection.report.gallery import GalleryImage, ImageResults, describe_image
from scenetext.inspection.report.page import page
from scenetext.runs.data import read_all_records
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task, validation_files
from scenetext.runs.settings import DetectionRun
from scenetext.structures import ImageRecord
from scenetext.tasks.detection import DetectionTask
from scenetext.training.checkpoint import load_checkpoint
from scenetext.training.device import resolve_device

FOLDER = "report"
"""In a run folder: detections that reports have made."""


@dataclass(frozen=True)
class TrainedDetector:
    """What a run's best.pt holds."""

    checkpoint: Path
    task: DetectionTask
    run: DetectionRun[Any, Any]
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """What all runs of a page are measured on, and how."""

    images: Sequence[GalleryImage]
    protocol: Protocol
    thresholds: tuple[float, ...]

    @property
    def records(self) -> list[ImageRecord]:
        """Of the images."""
        return [image.record for image in self.images]


def make_report(arguments: argparse.Namespace) -> list[str]:
    """Writes the page.

    Returns:
        Lines to print: remarks, where the page is, how large, and what is on it.
    """
    curves, remarks = read_runs(arguments.folders)
    output: Path = arguments.output or arguments.folders[0] / "report.html"
    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--output {output}: the page must end in .html")
    check_writable(output)
    detectors = [_detector_of(folder) for folder in arguments.folders]
    present = [detector for detector in detectors if detector is not None]
    measure, total = _measure(arguments, present) if present else (None, 0)
    results: list[ImageResults | None] = []
    for label, detector in zip(curves, detectors, strict=True):
        if detector is None or measure is None:
            results.append(None)
            continue
        found, more = _detections(detector, measure, arguments)
        remarks += [f"{label}: {remark}" for remark in more]
        evaluator = evaluated(measure.records, found, measure.protocol, measure.thresholds)
        results.append(ImageResults(evaluator, found.detections))
    runs = [
        _reported(label, folder, curves[label], detector, result)
        for label, folder, detector, result in zip(curves, arguments.folders, detectors, results, strict=True)
    ]
    images = _described_images(measure, results, arguments.megabytes)
    text = page(", ".join(curves), _content(runs, images, measure, total))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    return [*remarks, *_summary(output, images, total)]


def _detector_of(folder: Path) -> TrainedDetector | None:
    """The detector of a run; None for a pre-training, and before the first evaluation."""
    checkpoint = folder / "best.pt"
    if not checkpoint.is_file() or load_checkpoint(checkpoint).get("kind") != DETECTION.name:
        return None
    return TrainedDetector(checkpoint, *load_trained_task(checkpoint, DETECTION))


def _measure(arguments: argparse.Namespace, detectors: Sequence[TrainedDetector]) -> tuple[Measure, int]:
    """The images and the rule of all detectors; and how many images there are in the records."""
    first = detectors[0]
    files = tuple(arguments.records or validation_files(first.run, first.checkpoint))
    images: dict[Path, GalleryImage] = {}
    for file, name in zip(files, dataset_names(files), strict=True):
        images |= {one.path: GalleryImage(one, name) for one in read_all_records([file], "the report")}
    every = list(images.values())
    chosen = np.unique(np.linspace(0, len(every) - 1, min(arguments.limit, len(every))).round().astype(int))
    used = [value for one in detectors for value in (*one.task.evaluation.thresholds, one.task.evaluation.threshold)]
    protocol = find_protocol(arguments.protocol or first.task.evaluation.protocol)
    return Measure([every[index] for index in chosen], protocol, page_thresholds(used)), len(every)


def _detections(detector: TrainedDetector, measure: Measure, arguments: argparse.Namespace) -> tuple[Found, list[str]]:
    """The detections of a run in all images, from an earlier evaluation where there is one; and remarks."""
    task, checkpoint = detector.task, detector.checkpoint
    made = made_by(checkpoint, [])
    file = checkpoint.parent / "evaluation" / STORED
    stored = stored_detections(file, in_test_size(made, task.evaluation_transform))
    known = {one.path: stored[one.path] for one in measure.records if one.path in stored}
    remarks = [f"detections in {len(known)} images are those in {file}"] if known else []
    remaining = [one for one in measure.records if one.path not in known]
    if not remaining:
        return Found(known), remarks
    device = resolve_device(arguments.device)
    task.to(device).to(memory_format=torch.channels_last)
    loader = LoaderSettings(workers=arguments.workers, evaluation_batch_size=detector.run.loader.evaluation_batch_size)
    sys.stderr.write(f"{checkpoint}: looking at up to {len(remaining)} images\n")
    find = model_finder(task, device, loader, detector.run.training.seed, made, STORED)
    found = find(remaining, _as_set(measure, task), checkpoint.parent / FOLDER)
    return Found({**known, **found.detections}, found.missing), [*remarks, *found.remarks]


def _as_set(measure: Measure, task: DetectionTask) -> EvaluationSet:
    threshold = task.evaluation.threshold
    return EvaluationSet("report", (), (), (measure.protocol,), threshold, measure.thresholds)


def _reported(
    label: str,
    folder: Path,
    curves: Mapping[str, Curve],
    detector: TrainedDetector | None,
    results: ImageResults | None,
) -> ReportedRun:
    config = folder / "config.yaml"
    settings = flat_settings(read_config(config)) if config.is_file() else {}
    steps = max(int(curve.steps[-1]) for curve in curves.values())
    facts = {"folder": str(folder), "logged steps": str(steps)}
    if detector is None:
        return ReportedRun(label, curves, settings, facts | {"images": "no detector in best.pt"})
    parameters = sum(parameter.numel() for parameter in detector.task.parameters())
    facts["detector"] = f"{detector.run.detector.name} on {detector.run.encoder.name}"
    facts["parameters"] = f"{parameters / 1e6:.2f} M"
    facts["best.pt"] = f"step {detector.content['step']}"
    scores = None if results is None else results.evaluator
    return ReportedRun(label, curves, settings, facts, scores, detector.task.evaluation.threshold)


def _described_images(
    measure: Measure | None, results: Sequence[ImageResults | None], megabytes: float
) -> list[dict[str, Any]]:
    if measure is None:
        return []
    budget = int(megabytes * 1e6 / len(measure.images))
    return [describe_image(image, results, budget) for image in measure.images]


def _content(
    runs: Sequence[ReportedRun], images: list[dict[str, Any]], measure: Measure | None, total: int
) -> dict[str, Any]:
    """What the script of the page gets."""
    some = f"{len(images)} of {total} images, evenly spaced" if len(images) < total else f"all {total} images"
    rule = "" if measure is None else f"{measure.protocol.name}: {measure.protocol.rule()}. On {some}."
    return {
        "made": f"Written by scenetext {__version__}.",
        "runs": describe_runs(runs),
        "rule": rule,
        "thresholds": [] if measure is None else measure.thresholds,
        "curves": curve_panels(runs),
        "settings": settings_tables(runs),
        "images": images,
        "gallery": "Click an image to enlarge it; point at an outline to read it.",
    }


def _summary(output: Path, images: Sequence[Mapping[str, Any]], total: int) -> list[str]:
    """Where the page is, how large, and what is on it."""
    without = sum(image["picture"] is None for image in images)
    lines = []
    if without:
        lines.append(f"{without} images are on the page without picture: not readable, or too large for --megabytes")
    if len(images) < total:
        lines.append(f"{len(images)} of {total} images, evenly spaced; more with --limit")
    return [*lines, f"page: {output} ({output.stat().st_size / 1e6:.1f} MB, {len(images)} images)"]
