"""Scores for people (tables) and for programs (JSON)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from scenetext.evaluation.reported import ReportedScores
from scenetext.evaluation.rules import Protocol, SpottingProtocol
from scenetext.evaluation.scores import ThresholdScore
from scenetext.evaluation.sweep import DetectionEvaluator, SweepScores


def format_sweep(sweep: SweepScores) -> str:
    """A markdown table, rates in percent, headed by the rule and followed by what was counted."""
    reads = isinstance(sweep.protocol, SpottingProtocol)
    heads = ["threshold", "precision", "recall", "hmean", *(["1-NED"] if reads else []), "found", "hits"]
    heads += ["ground truths", "detections"]
    lines = [
        f"Protocol {sweep.protocol.name}: {sweep.protocol.rule()}.",
        "",
        f"| {' | '.join(heads)} | |",
        f"|{'---:|' * len(heads)}---|",
    ]
    for score in sweep.scores:
        rates = [score.precision, score.recall, score.hmean, *([score.edit_similarity] if reads else [])]
        numbers = [score.found, score.hits, score.ground_truths, score.detections]
        mark = "best on this set" if score is sweep.best and sweep.ground_truths else ""
        cells = [f"{score.threshold:g}", *map(percent, rates), *(f"{number:.10g}" for number in numbers), mark]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_remarks(sweep)]) + "\n"


def sweep_report(sweep: SweepScores) -> dict[str, Any]:
    """The same as plain JSON values; rates in [0, 1], None where undefined."""
    return {
        "protocol": sweep.protocol.model_dump(mode="json"),
        "rule": sweep.protocol.rule(),
        "images": sweep.images,
        "missing_images_left_out": sweep.missing,
        "ground_truths": sweep.ground_truths,
        "ignored_ground_truths": sweep.ignored,
        "unlocated_ground_truths": sweep.unlocated,
        "unread_ground_truths": sweep.unread,
        "detections": sweep.detections,
        "left_out_detections": sweep.left_out,
        "repaired_polygons": sweep.repaired,
        "degenerate_polygons": sweep.degenerate,
        "mean_score": _defined(sweep.mean_score),
        "best_score": _defined(sweep.best_score),
        "thresholds": [score_report(score, sweep.protocol) for score in sweep.scores],
        "best_on_this_set": score_report(sweep.best, sweep.protocol) if sweep.ground_truths else None,
    }


def score_report(score: ThresholdScore, protocol: Protocol) -> dict[str, Any]:
    """The counts and rates at one threshold as plain JSON values."""
    report = {
        "threshold": score.threshold,
        "precision": _defined(score.precision),
        "recall": _defined(score.recall),
        "hmean": _defined(score.hmean),
        "found": score.found,
        "hits": score.hits,
        "ground_truths": score.ground_truths,
        "detections": score.detections,
    }
    return {**report, "1-ned": _defined(score.edit_similarity)} if isinstance(protocol, SpottingProtocol) else report


def format_reported(reported: ReportedScores) -> str:
    """A markdown table of the scores to quote, rates in percent."""
    lines = ["| score at | threshold | precision | recall | hmean |", "|---|---:|---:|---:|---:|"]
    for label, score in reported.named().values():
        cells = [f"{score.threshold:g}", *map(percent, (score.precision, score.recall, score.hmean))]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def reported_report(reported: ReportedScores, protocol: Protocol) -> dict[str, Any]:
    """The same as plain JSON values."""
    report: dict[str, Any] = {key: score_report(score, protocol) for key, (_, score) in reported.named().items()}
    return {**report, "chosen_on": reported.chosen_on or None}


def image_reports(evaluator: DetectionEvaluator, threshold: float) -> Iterator[dict[str, Any]]:
    """What was counted in every image at a threshold, as plain JSON values, in the order of the images."""
    protocol = evaluator.protocol
    for path, image in evaluator.images.items():
        outcome = image.outcome(threshold)
        yield {
            "path": str(path),
            "protocol": protocol.name,
            **score_report(image.at(threshold), protocol),
            "ignored": len(outcome.ignored),
            "left_out": len(outcome.left_out),
            "missed_instances": list(outcome.missed),
            "false_detections": list(outcome.false),
        }


def percent(rate: float) -> str:
    """A rate in [0, 1] as percent with one decimal."""
    return "undefined" if math.isnan(rate) else f"{100 * rate:.1f}"


def _remarks(sweep: SweepScores) -> list[str]:
    """What was counted, and what was not."""
    lines = [f"{sweep.images} images, {sweep.ground_truths} ground truths, {sweep.ignored} ignored; {_found(sweep)}."]
    if not sweep.ground_truths:
        lines.append("Without ground truth that counts, precision, recall and hmean are undefined.")
    if sweep.unlocated:
        lines.append(f"{sweep.unlocated} of the ignored have no polygon: detections of them count as false.")
    if sweep.unread:
        lines.append(f"{sweep.unread} of the ignored have no text, or none that this rule looks for.")
    if sweep.missing:
        lines.append(f"{sweep.missing} images without any result are left out by this rule.")
    if sweep.repaired or sweep.degenerate:
        lines.append(f"{sweep.repaired} polygons crossed themselves, {sweep.degenerate} had no area.")
    return lines


def _found(sweep: SweepScores) -> str:
    if not sweep.detections:
        return "no detections"
    scores = f"scores: mean {sweep.mean_score:.3f}, best {sweep.best_score:.3f}"
    return f"{sweep.detections} detections of any score, {sweep.left_out} of them left out ({scores})"


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
