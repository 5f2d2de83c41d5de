"""A sweep for people (a table) and for programs (JSON)."""

from __future__ import annotations

import math
from typing import Any

from scenetext.evaluation.sweep import SweepScores, ThresholdScore


def format_sweep(sweep: SweepScores) -> str:
    """A markdown table, rates in percent, headed by the rule and followed by what was counted."""
    best = sweep.best
    lines = [
        f"Protocol {sweep.protocol.name}: {sweep.protocol.rule()}.",
        "",
        "| threshold | precision | recall | hmean | matched | detections | |",
        "|---:|---:|---:|---:|---:|---:|---|",
    ]
    for score in sweep.scores:
        rates = " | ".join(_percent(rate) for rate in (score.precision, score.recall, score.hmean))
        mark = "best on this set" if score is best and sweep.ground_truths else ""
        lines.append(f"| {score.threshold:g} | {rates} | {score.matched} | {score.detections} | {mark} |")
    lines += [
        "",
        f"{sweep.images} images, {sweep.ground_truths} ground truths, {sweep.ignored} ignored; {_found(sweep)}.",
    ]
    if not sweep.ground_truths:
        lines.append("Without ground truth that counts, precision, recall and hmean are undefined.")
    if sweep.unlocated:
        lines.append(f"{sweep.unlocated} of the ignored have no polygon: detections of them count as false.")
    if sweep.repaired or sweep.degenerate:
        lines.append(f"{sweep.repaired} polygons crossed themselves, {sweep.degenerate} had no area.")
    return "\n".join(lines) + "\n"


def sweep_report(sweep: SweepScores) -> dict[str, Any]:
    """The same as plain JSON values; rates in [0, 1], None where undefined."""
    return {
        "protocol": sweep.protocol.model_dump(mode="json"),
        "rule": sweep.protocol.rule(),
        "images": sweep.images,
        "ground_truths": sweep.ground_truths,
        "ignored_ground_truths": sweep.ignored,
        "unlocated_ground_truths": sweep.unlocated,
        "detections": sweep.detections,
        "left_out_detections": sweep.left_out,
        "repaired_polygons": sweep.repaired,
        "degenerate_polygons": sweep.degenerate,
        "mean_score": _defined(sweep.mean_score),
        "best_score": _defined(sweep.best_score),
        "thresholds": [_row(score) for score in sweep.scores],
        "best_on_this_set": _row(sweep.best) if sweep.ground_truths else None,
    }


def _row(score: ThresholdScore) -> dict[str, Any]:
    return {
        "threshold": score.threshold,
        "precision": _defined(score.precision),
        "recall": _defined(score.recall),
        "hmean": _defined(score.hmean),
        "matched": score.matched,
        "detections": score.detections,
        "ground_truths": score.ground_truths,
    }


def _found(sweep: SweepScores) -> str:
    if not sweep.detections:
        return "no detections"
    scores = f"scores: mean {sweep.mean_score:.3f}, best {sweep.best_score:.3f}"
    return (
        f"{sweep.detections} detections of any score, {sweep.left_out} of them left out in ignored regions ({scores})"
    )


def _percent(rate: float) -> str:
    return "undefined" if math.isnan(rate) else f"{100 * rate:.1f}"


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
