"""Scores one set by all its rules, from the detections of a checkpoint or from the files of any system."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from scenetext.commands.detection_journal import JOURNAL, DetectionJournal, describe_resumed
from scenetext.commands.evaluation_sets import EvaluationSet
from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import LoaderSettings
from scenetext.data.records.images import write_image
from scenetext.data.records.shards import read_record_image
from scenetext.data.transforms.evaluation import EvaluationTransformSettings, describe_test_size
from scenetext.drawing.detections import draw_comparison
from scenetext.drawing.sheets import sheet
from scenetext.errors import DataError, ImageError
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.files.assignment import assign_predictions
from scenetext.evaluation.files.points import exchanged_axes, in_outline_order
from scenetext.evaluation.files.submission import write_submission
from scenetext.evaluation.lexicon import Lexicons
from scenetext.evaluation.report import (
    ReportedScores,
    format_reported,
    format_sweep,
    image_reports,
    percent,
    reported_report,
    reported_scores,
    sweep_report,
)
from scenetext.evaluation.rules import Protocol
from scenetext.geometry.candidates import counted_cuts
from scenetext.runs.data import read_all_records
from scenetext.runs.usable import check_plausible, refuse_all_skipped, uses_of
from scenetext.structures import Batch, Detection, ImageRecord, SkippedImage
from scenetext.tasks.detection import DetectionTask
from scenetext.training.evaluation import evaluate

_NAMES_IN_REMARK = 3
_NEAR_ZERO = 0.05
"""An hmean that no working detector has, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Found:
    """The detections in the images of a set.

    Attributes:
        detections: of every image that has a result, in pixels of the original image.
        missing: images without one.
        remarks: what is worth reporting about both.
        order_is_known: whether x is certain to come before y in all points.
    """

    detections: Mapping[Path, list[Detection]]
    missing: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()
    order_is_known: bool = True


Score = Literal["detection", "text", "product"]
"""What a detection is kept or dropped by: the score of its polygon, that of its text, or the product of both."""
Finder = Callable[[Sequence[ImageRecord], EvaluationSet, Path], Found]
"""Detects, or looks up, the texts of all images of some records; may keep them in the folder of the set's results."""


@dataclass(frozen=True, slots=True)
class SetReport:
    """The scores of a set, for people and for programs."""

    text: str
    content: dict[str, Any]


def model_finder(
    task: DetectionTask,
    device: torch.device,
    loader: LoaderSettings,
    seed: int,
    made_by: Mapping[str, Any],
    journal_name: str = JOURNAL,
) -> Finder:
    """Detects texts with a detector, in the test size of each set.

    What is detected is kept as it comes, in a journal in the folder of the set; images that are in it are not looked at
    again. Whoever has written the scores renames it.

    Args:
        made_by: as of a `DetectionJournal`.
    """
    run_size = task.evaluation_transform

    def find(records: Sequence[ImageRecord], measured: EvaluationSet, folder: Path) -> Found:
        size = measured.test_size or run_size
        task.set_test_size(size)
        kept = in_test_size(made_by, size)
        with counted_cuts() as cuts, DetectionJournal(folder / journal_name, kept) as journal:
            known = {one.path: journal.done[one.path] for one in records if one.path in journal.done}
            remaining = [one for one in records if one.path not in known]
            new: dict[Path, list[Detection]] = {}
            skipped: list[SkippedImage] = []
            if remaining:
                dataset = RecordDataset(remaining, task.prepare_evaluation, seed)
                new, skipped = _detect(task, dataset, loader, device, journal)
        refuse_all_skipped(skipped, len(records), f"evaluation ({measured.name})")
        remarks = [f"skipped image: {image.reason}" for image in skipped]
        remarks += [remark for remark in [cuts.remark()] if remark]
        remarks += describe_resumed(len(known))
        remarks += describe_test_size([max(one.width, one.height) for one in records], size)
        return Found({**known, **new}, (), tuple(remarks))

    return find


def in_test_size(made_by: Mapping[str, Any], size: EvaluationTransformSettings) -> dict[str, Any]:
    """What decides about detections (`made_by`), with the size in which images are looked at."""
    return {**made_by, "test_size": size.model_dump(mode="json")}


def _detect(
    task: DetectionTask, dataset: RecordDataset, loader: LoaderSettings, device: torch.device, journal: DetectionJournal
) -> tuple[dict[Path, list[Detection]], list[SkippedImage]]:
    """The detections in all images, kept in a journal, and the images that cannot be read, which are not in it."""
    detections: dict[Path, list[Detection]] = {}
    unread: set[Path] = set()

    def take(path: Path, found: list[Detection]) -> None:
        detections[path] = found
        if path not in unread:
            journal.add(path, found)

    def update(batch: Batch, predictions: Any) -> None:
        unread.update(image.path for image in batch.skipped)
        collector.update(batch, predictions)

    collector = task.collector(take)
    skipped = evaluate(task, dataset, update, loader, device)
    collector.finish()
    return detections, skipped


def corrected(find: Finder, lexicons: Lexicons | None) -> Finder:
    """The same texts, with their readings corrected; without lexicons, as they are."""
    if lexicons is None:
        return find

    def find_corrected(records: Sequence[ImageRecord], measured: EvaluationSet, folder: Path) -> Found:
        found = find(records, measured, folder)
        detections = {path: lexicons.correct(texts, path) for path, texts in found.detections.items()}
        dropped = sum(map(len, found.detections.values())) - sum(map(len, detections.values()))
        remark = f"{dropped} readings are near no word of {lexicons.source} and were dropped"
        return replace(found, detections=detections, remarks=(*found.remarks, *([remark] if dropped else [])))

    return find_corrected


def by_text_scores(find: Finder, least: float | None, score: Score) -> Finder:
    """The same texts, but for those that are read with little certainty, with scores that may count the reading in.

    Args:
        least: texts of a lower text score are dropped; None = none are.
        score: what is swept over: that of the detection, of the text, or their product.

    Raises:
        DataError: a detection has no text score (when the finder is used).
    """
    if least is None and score == "detection":
        return find

    def find_by_text(records: Sequence[ImageRecord], measured: EvaluationSet, folder: Path) -> Found:
        found = find(records, measured, folder)
        detections = {path: _by_text_scores(texts, least, score, path) for path, texts in found.detections.items()}
        dropped = sum(map(len, found.detections.values())) - sum(map(len, detections.values()))
        remarks = [f"{dropped} detections with a text score below {least:g} were dropped"] if least is not None else []
        remarks += [f"scores are those of: {score}"] if score != "detection" else []
        return replace(found, detections=detections, remarks=(*found.remarks, *remarks))

    return find_by_text


def _by_text_scores(detections: Sequence[Detection], least: float | None, score: Score, path: Path) -> list[Detection]:
    kept = []
    for one in detections:
        if one.text_score is None:
            raise DataError("a detection has no text score; --text-threshold and --score need one for each", path)
        if least is None or one.text_score >= least:
            values = {"detection": one.score, "text": one.text_score, "product": one.score * one.text_score}
            kept.append(replace(one, score=values[score]))
    return kept


def file_finder(predictions: Mapping[str, list[Detection]], source: Path) -> Finder:
    """Looks texts up among the detections of another system.

    Args:
        predictions: by names of images, see `read_predictions`.
        source: where they come from, for messages.
    """

    ordered, reordered = in_outline_order(predictions)

    def find(records: Sequence[ImageRecord], measured: EvaluationSet, _: Path) -> Found:
        assigned = assign_predictions(ordered, [record.path for record in records], source)
        remarks = []
        if reordered:
            remarks.append(f"{reordered} quadrilaterals in {source} had their points in another order than an outline")
        for paths, text in (
            (list(map(str, assigned.missing)), "images have no result in"),
            (list(assigned.other), f"names mean no image of {measured.name} in"),
            *((list(names), f"{reason}, in") for reason, names in assigned.changed.items()),
        ):
            if paths:
                more = ", ..." if len(paths) > _NAMES_IN_REMARK else ""
                remarks.append(f"{len(paths)} {text} {source}: {', '.join(paths[:_NAMES_IN_REMARK])}{more}")
        return Found(dict(assigned.detections), assigned.missing, tuple(remarks), order_is_known=False)

    return find


def evaluate_set(measured: EvaluationSet, find: Finder, folder: Path, pictures: int) -> SetReport:
    """Measures one set by all its rules, and writes what belongs to it.

    Writes into the folder: per_image.jsonl; worst.jpg and worst/, by the first rule; and the submission where the set
    has one.

    Args:
        pictures: how many of the worst images to draw.

    Raises:
        ScenetextError: records or predictions that cannot be used.
    """
    records = read_all_records(measured.records, "evaluation")
    check_plausible(records, uses_of(measured.protocols), f"evaluation in {_names(measured.records)}")
    others = read_all_records(measured.choose_on, "choosing a threshold") if measured.choose_on else None
    if others is not None:
        _check_apart(records, others, measured)
    found = find(records, measured, folder)
    remarks = list(found.remarks)
    other: tuple[Sequence[ImageRecord], Found] | None = None
    if others is not None:
        other = others, find(others, measured, folder)
        remarks += [f"{_names(measured.choose_on)}: {remark}" for remark in other[1].remarks]
    scored = {protocol: _score(records, found, protocol, measured, other) for protocol in measured.protocols}
    folder.mkdir(parents=True, exist_ok=True)
    _write_image_reports(folder / "per_image.jsonl", scored.values())
    evaluator, reported = scored[measured.protocols[0]]
    remarks += _axes_remark(records, found, evaluator)
    threshold = reported.quoted.threshold
    drawn = draw_worst(evaluator, found.detections, records, threshold, pictures, folder)
    remarks += [] if drawn is None else [f"worst images: {drawn}"]
    if measured.submission is not None:
        everything = {record.path: found.detections.get(record.path, []) for record in records}
        file = write_submission(folder, everything, measured.submission, threshold)
        remarks.append(f"submission ({measured.submission}, scores from {threshold:g} on): {file}")
    return _report(measured, scored, remarks)


def _axes_remark(records: Sequence[ImageRecord], found: Found, evaluator: DetectionEvaluator) -> list[str]:
    """Whether scores near zero become better with x and y of the detections exchanged."""
    hmean = evaluator.scores().best.hmean
    if found.order_is_known or hmean > _NEAR_ZERO:
        return []
    exchanged = {path: exchanged_axes(each) for path, each in found.detections.items()}
    other = evaluated(records, replace(found, detections=exchanged), evaluator.protocol, evaluator.thresholds)
    better = other.scores().best.hmean
    if not better > max(_NEAR_ZERO, 2 * hmean):
        return []
    return [
        f"with x and y exchanged, hmean would be {percent(better)} instead of {percent(hmean)}: does y come before x "
        "in these files? --axes yx reads them so"
    ]


def _check_apart(records: Sequence[ImageRecord], others: Sequence[ImageRecord], measured: EvaluationSet) -> None:
    """A threshold chosen on test images is the best on the test set, and must not be reported as another.

    Raises:
        DataError: an image is in both sets.
    """
    common = {record.path.resolve() for record in records} & {record.path.resolve() for record in others}
    if common:
        raise DataError(
            f"{len(common)} images, such as {min(common).name}, are in {measured.name} too: a threshold chosen on them "
            "is chosen on the test set; choose it on other images",
            _names(measured.choose_on),
        )


def _score(
    records: Sequence[ImageRecord],
    found: Found,
    protocol: Protocol,
    measured: EvaluationSet,
    other: tuple[Sequence[ImageRecord], Found] | None,
) -> tuple[DetectionEvaluator, ReportedScores]:
    """A set by one rule, and the scores to quote."""
    evaluator = evaluated(records, found, protocol, measured.thresholds)
    chosen_on = None if other is None else evaluated(*other, protocol, measured.thresholds).scores()
    scores = reported_scores(evaluator.scores(), measured.threshold, chosen_on, _names(measured.choose_on))
    return evaluator, scores


def evaluated(
    records: Iterable[ImageRecord], found: Found, protocol: Protocol, thresholds: Sequence[float]
) -> DetectionEvaluator:
    """All images, scored by one rule."""
    evaluator = DetectionEvaluator(protocol, thresholds)
    with_result = [record for record in records if record.path in found.detections]
    evaluator.add_all((record.path, found.detections[record.path], record.instances) for record in with_result)
    for record in records:
        if record.path not in found.detections:
            evaluator.add_missing(record.path, record.instances)
    return evaluator


def draw_worst(
    evaluator: DetectionEvaluator,
    detections: Mapping[Path, Sequence[Detection]],
    records: Sequence[ImageRecord],
    threshold: float,
    count: int,
    folder: Path,
) -> Path | None:
    """Draws the images with the most misses and false detections at a threshold, one by one and as a sheet."""
    records_by_path = {record.path: record for record in records}
    drawn, titles = [], []
    for path, score in evaluator.worst(threshold, count):
        outcome = evaluator.images[path].outcome(threshold)
        record = records_by_path[path]
        try:
            pixels = read_record_image(record)
        except ImageError:
            continue  # reported as skipped already
        picture = draw_comparison(
            pixels,
            detections.get(path, []),
            record.instances,
            hits=outcome.hits,
            false=outcome.false,
            excluded=outcome.excluded,
            missed=outcome.missed,
        )
        write_image(folder / "worst" / f"{path.stem}.jpg", picture)
        drawn.append(picture)
        titles.append(f"{path.name}: {score.found:g} of {score.ground_truths} found")
    if not drawn:
        return None
    write_image(folder / "worst.jpg", sheet(drawn, titles, columns=3, tile_width=640))
    return folder / "worst.jpg"


def _report(
    measured: EvaluationSet,
    scored: Mapping[Protocol, tuple[DetectionEvaluator, ReportedScores]],
    remarks: Sequence[str],
) -> SetReport:
    parts = [f"## {measured.name}: {_names(measured.records)}\n"]
    content: dict[str, Any] = {
        "records": [str(path) for path in measured.records],
        "remarks": list(remarks),
        "protocols": {},
    }
    for protocol, (evaluator, reported) in scored.items():
        sweep = evaluator.scores()
        parts += [format_sweep(sweep), format_reported(reported)]
        content["protocols"][protocol.name] = {
            **sweep_report(sweep),
            "reported": reported_report(reported, protocol),
        }
    return SetReport("\n".join(parts) + "".join(f"\n{remark}" for remark in remarks) + "\n", content)


def _write_image_reports(path: Path, scored: Iterable[tuple[DetectionEvaluator, ReportedScores]]) -> None:
    """One JSON object a line, image by image, rule after rule."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for evaluator, reported in scored:
            for report in image_reports(evaluator.images, evaluator.protocol, reported.quoted.threshold):
                file.write(f"{json.dumps(report, ensure_ascii=False)}\n")


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
