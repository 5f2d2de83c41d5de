"""What the page about runs shows, as plain data for its script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.scores import ThresholdScore
from scenetext.inspection.curves import Curve, finite_or_none, thinned

MOST_POINTS = 400
"""Of a curve on the page; longer ones are means of as many neighbours as that takes."""
_BOOKKEEPING = {
    "train": {"gradient_norm", "learning_rate", "images_per_second", "waiting_share", "memory_gib", "loss_scale"}
    | {"overflows"},
    "evaluation": {"threshold", "detections", "mean_score", "best_score", "cut_candidates", "skipped_images", "words"},
}
"""Metrics that the page shows on request; all others are losses and scores."""


@dataclass(frozen=True)
class ReportedRun:
    """One run on the page.

    Attributes:
        label: names it on the page.
        curves: "kind/metric" to curve.
        settings: resolved settings by dotted key; empty where the run folder has none.
        facts: what it is, in words for its card: name of a fact to text.
        scores: of the images of the gallery; None where it was not evaluated.
        threshold: score threshold that its settings fix.
    """

    label: str
    curves: Mapping[str, Curve]
    settings: Mapping[str, str]
    facts: Mapping[str, str]
    scores: DetectionEvaluator | None = None
    threshold: float = 0.5


def describe_runs(runs: Sequence[ReportedRun]) -> list[dict[str, Any]]:
    """Label, facts and scores over thresholds of every run."""
    described = []
    for run in runs:
        one: dict[str, Any] = {"label": run.label, "facts": list(run.facts.items())}
        if run.scores is not None:
            sweep = run.scores.scores()
            one["sweep"] = [_rates(score) for score in sweep.scores]
            thresholds = list(run.scores.thresholds)
            one["fixed"] = thresholds.index(sweep.at(run.threshold).threshold)
            one["best"] = thresholds.index(sweep.best.threshold)
        described.append(one)
    return described


def curve_panels(runs: Sequence[ReportedRun]) -> list[dict[str, Any]]:
    """A panel per metric with the curves of all runs that have it: scores first, then losses, then all others."""
    names = dict.fromkeys(name for run in runs for name in run.curves)
    panels = []
    for name in names:
        series = []
        for index, run in enumerate(runs):
            if name in run.curves:
                curve = thinned(run.curves[name], MOST_POINTS)
                values = [finite_or_none(round(value, 6)) for value in curve.values.tolist()]
                series.append({"run": index, "x": curve.steps.tolist(), "y": values})
        panels.append({"name": name, "series": series, "group": _group(name)})
    return sorted(panels, key=lambda panel: ("scores", "losses", "other").index(panel["group"]))


def settings_tables(runs: Sequence[ReportedRun]) -> dict[str, Any]:
    """The settings in which runs differ, with a value per run (None: it has no such key), and all that they share."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    rows = [(key, [run.settings.get(key) for run in runs]) for key in keys]
    return {
        "different": [row for row in rows if len(set(row[1])) > 1],
        "same": [(key, values[0]) for key, values in rows if len(set(values)) == 1],
    }


def dataset_names(files: Sequence[Path]) -> list[str]:
    """Short names that differ: each file's stem, or its folder where that is `records`; with the folder in front where
    they repeat; whole paths at last."""
    short = [file.resolve().parent.name if file.stem == "records" else file.stem for file in files]
    for names in (short, [f"{file.parent.name}/{file.stem}" for file in files]):
        if len(set(names)) == len(names):
            return names
    return [str(file) for file in files]


def page_thresholds(runs_thresholds: Sequence[float]) -> tuple[float, ...]:
    """What the page's slider can be set to: steps of 0.05, and the thresholds that the runs use."""
    grid = (round(float(value), 2) for value in np.arange(0.05, 0.951, 0.05))
    return tuple(sorted({*grid, *runs_thresholds}))


def _rates(score: ThresholdScore) -> list[float | None]:
    """Threshold, precision, recall and hmean; None where undefined, as the precision of no detections."""
    precision = finite_or_none(score.precision) if score.detections else None
    return [score.threshold, precision, finite_or_none(score.recall), finite_or_none(score.hmean)]


def _group(name: str) -> str:
    kind, _, metric = name.partition("/")
    if metric in _BOOKKEEPING.get(kind, ()):
        return "other"
    return "scores" if kind == "evaluation" else "losses"
