"""The scores to quote, for people (tables) and for programs (JSON)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenetext.evaluation.rules import Protocol, SpottingProtocol
from scenetext.evaluation.scores import ImageEvaluation, SweepScores, ThresholdScore


@dataclass(frozen=True, slots=True)
class ReportedScores:
    """A test set at three thresholds.

    Attributes:
        fixed: at the threshold of the config, known before anything was measured.
        chosen: at the threshold of the best hmean on another set; None where no other set was given.
        best: at the threshold of the best hmean on the test set itself, as much of the published work quotes it. It was
            chosen on what it is measured on: not to be compared with the other two.
        chosen_on: name of that other set.
    """

    fixed: ThresholdScore
    chosen: ThresholdScore | None
    best: ThresholdScore
    chosen_on: str = ""

    @property
    def quoted(self) -> ThresholdScore:
        """The one to quote: chosen on another set where there is one, else fixed."""
        return self.fixed if self.chosen is None else self.chosen

    def named(self) -> dict[str, tuple[str, ThresholdScore]]:
        """By key: what each is called in tables, and its counts."""
        scores = {"at_config_threshold": ("threshold of the config", self.fixed)}
        if self.chosen is not None:
            scores["at_chosen_threshold"] = (f"threshold chosen on {self.chosen_on}", self.chosen)
        scores["best_on_this_set"] = ("best on this set (threshold chosen on the test images)", self.best)
        return scores


def reported_scores(
    sweep: SweepScores, threshold: float, other: SweepScores | None = None, other_name: str = ""
) -> ReportedScores:
    """The scores of a test set.

    Args:
        sweep: of the test set; `threshold` and the best one of `other` are among its thresholds.
        other: the sweep over another set by the same rule, to choose a threshold on.

    Raises:
        ConfigError: a threshold was not tried.
    """
    chosen = None if other is None else sweep.at(other.best.threshold)
    return ReportedScores(sweep.at(threshold), chosen, sweep.best, other_name)


def format_sweep(sweep: SweepScores) -> str:
    """A markdown table, rates in percent, headed by the rule and followed by what was counted."""
    reads = isinstance(sweep.protocol, SpottingProtocol)
    heads = ["threshold", "precision", "recall", "hmean", *(["1-NED", "words read"] if reads else []), "found", "hits"]
    heads += ["ground truths", "detections"]
    lines = [
        f"Protocol {sweep.protocol.name}: {sweep.protocol.rule()}.",
        *([f"Note: {sweep.protocol.note}"] if sweep.protocol.note else []),
        "",
        f"| {' | '.join(heads)} | |",
        f"|{'---:|' * len(heads)}---|",
    ]
    for score in sweep.scores:
        texts = [score.edit_similarity, score.word_accuracy] if reads else []
        rates = [score.precision, score.recall, score.hmean, *texts]
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
        "unlocated_ground_truths": sweep.without_polygon,
        "unread_ground_truths": sweep.unread,
        "ground_truths_with_two_flags": sweep.two_flags,
        "detections": sweep.detections,
        "left_out_detections": sweep.excluded,
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
    if not isinstance(protocol, SpottingProtocol):
        return report
    read = {"1-ned": score.edit_similarity, "word_accuracy": score.word_accuracy}
    return {**report, **{name: _defined(value) for name, value in read.items()}}


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


def image_reports(
    images: Mapping[Path, ImageEvaluation], protocol: Protocol, threshold: float
) -> Iterator[dict[str, Any]]:
    """What was counted in every image at a threshold, as plain JSON values, in the order of the images."""
    for path, image in images.items():
        outcome = image.outcome(threshold)
        yield {
            "path": str(path),
            "protocol": protocol.name,
            **score_report(image.at(threshold), protocol),
            "ignored": len(outcome.ignored),
            "left_out": len(outcome.excluded),
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
    if sweep.without_polygon:
        lines.append(f"{sweep.without_polygon} of the ignored have no polygon: detections of them count as false.")
    if sweep.unread:
        lines.append(f"{sweep.unread} of the ignored have no text, or none that this rule looks for.")
    if sweep.protocol.heeds != "record" and not sweep.two_flags:
        lines.append("No ground truth has two flags that disagree (Total-Text): ignored is what the records say.")
    if sweep.missing:
        lines.append(f"{sweep.missing} images without any result are excluded by this rule.")
    if sweep.repaired or sweep.degenerate:
        lines.append(f"{sweep.repaired} polygons crossed themselves, {sweep.degenerate} had no area.")
    return lines


def _found(sweep: SweepScores) -> str:
    if not sweep.detections:
        return "no detections"
    scores = f"scores: mean {sweep.mean_score:.3f}, best {sweep.best_score:.3f}"
    return f"{sweep.detections} detections of any score, {sweep.excluded} of them excluded ({scores})"


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
