"""The curves of a run, read back from what `training.log` wrote."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.errors import DataError


@dataclass(frozen=True)
class Curve:
    """One metric of a run over its steps.

    Attributes:
        steps: (N,) int64, ascending, each once.
        values: (N,) float64; NaN where the value was not finite.
    """

    steps: np.ndarray
    values: np.ndarray


def read_curves(folder: Path) -> tuple[dict[str, Curve], list[str]]:
    """The curves of a run folder by "kind/metric", as in "train/loss" and "evaluation/hmean".

    Steps that were trained again after a resume count as they were the last time: a line replaces all earlier ones of
    its kind that are not before it.

    Returns:
        Curves in the order of their first appearance, and one message per line that could not be read.

    Raises:
        DataError: the folder has no log, or none of its lines has a value.
    """
    path = folder / "log.jsonl"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"is not a run folder: log.jsonl cannot be read ({error.strerror})", folder) from None
    kept: dict[str, list[dict[str, Any]]] = {}
    problems = []
    for number, line in enumerate(lines, start=1):
        content = _parse(line)
        if content is None:
            problems.append(f"{path}:{number}: passed over, not a whole line of values: {line[:60]!r}")
            continue
        earlier = kept.setdefault(content["kind"], [])
        while earlier and earlier[-1]["step"] >= content["step"]:
            earlier.pop()
        earlier.append(content)
    curves = {f"{kind}/{name}": curve for kind, each in kept.items() for name, curve in _curves_of(each).items()}
    if not curves:
        raise DataError("holds no values yet; train until the first of them are logged (training.log_every)", path)
    return curves, problems


def running_mean(values: np.ndarray, points: int) -> np.ndarray:
    """For each of (N,) values the mean of the finite ones among the last `points` up to it; NaN where there is none."""
    finite = np.isfinite(values)
    sums, counts = (
        np.concatenate([np.zeros(points), np.cumsum(each)]) for each in (np.where(finite, values, 0.0), finite)
    )
    inside = counts[points:] - counts[:-points]
    return np.divide(sums[points:] - sums[:-points], inside, out=np.full(len(values), math.nan), where=inside > 0)


def thinned(curve: Curve, points: int) -> Curve:
    """A curve of at most so many points: each the mean of neighbouring ones, at the last of their steps."""
    size = math.ceil(len(curve.steps) / points)
    if size <= 1:
        return curve
    ends = np.minimum(np.arange(size - 1, len(curve.steps) + size - 1, size), len(curve.steps) - 1)
    return Curve(curve.steps[ends], running_mean(curve.values, size)[ends])


def finite_or_none(value: float) -> float | None:
    """The value where JSON has it, which knows no NaN."""
    return value if math.isfinite(value) else None


def _parse(line: str) -> dict[str, Any] | None:
    """A line's content, None where it is not a whole one."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(content, dict) and isinstance(content.get("kind"), str) and type(content.get("step")) is int
    return content if whole else None


def _curves_of(lines: list[dict[str, Any]]) -> dict[str, Curve]:
    """Metric -> curve, over lines of one kind; a metric may be missing in some lines."""
    points: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if name not in ("kind", "step") and (value is None or type(value) in (int, float)):
                points.setdefault(name, []).append((line["step"], math.nan if value is None else float(value)))
    return {
        name: Curve(np.array([step for step, _ in each]), np.array([value for _, value in each]))
        for name, each in points.items()
    }
