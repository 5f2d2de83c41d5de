"""Curves of several runs in one picture, a panel per metric; needs matplotlib (extra `plot`)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenetext.errors import ConfigError, did_you_mean
from scenetext.inspection.curves import Curve, read_curves, running_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_INCHES = (4.5, 3.2)
PANELS_PER_ROW = 3

Runs = dict[str, dict[str, Curve]]
"""Label of a run -> "kind/metric" -> curve."""


def read_runs(folders: list[Path]) -> tuple[Runs, list[str]]:
    """All curves, and a message for every line that could not be read.

    The labels of the runs are their folders' names, or whole paths where names are not unique.
    """
    names = [folder.resolve().name for folder in folders]
    runs: Runs = {}
    problems = []
    for folder, name in zip(folders, names, strict=True):
        runs[name if names.count(name) == 1 else str(folder)], unread = read_curves(folder)
        problems += unread
    return runs, problems


def choose_metrics(runs: Runs, wanted: list[str] | None) -> list[str]:
    """Panels to draw, as "kind/metric".

    Raises:
        ConfigError: no run has a wanted metric, or the runs share none.
    """
    known = list(dict.fromkeys(metric for curves in runs.values() for metric in curves))
    if wanted is None:
        shared = [metric for metric in known if all(metric in curves for curves in runs.values())]
        if not shared:
            raise ConfigError(f"the runs share no metric; choose with --metrics among: {', '.join(known)}")
        return shared
    chosen = []
    for name in wanted:
        matching = [metric for metric in known if name in (metric, metric.partition("/")[2])]
        if not matching:
            near = did_you_mean(name, [*known, *(metric.partition("/")[2] for metric in known)])
            raise ConfigError(f"--metrics: no run has {name!r}{near} Metrics: {', '.join(known)}")
        chosen += matching
    return list(dict.fromkeys(chosen))


def figure_type() -> type[Figure]:
    """matplotlib's figure.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("drawing curves needs matplotlib; install it with: pip install scenetext[plot]") from None
    return Figure


def draw_runs(runs: Runs, metrics: list[str], smooth: int) -> Figure:
    """The picture: a panel per metric, a colour per run.

    Args:
        smooth: training metrics are drawn as means of so many logged values.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    columns = min(len(metrics), PANELS_PER_ROW)
    rows = math.ceil(len(metrics) / columns)
    picture = figure_type()(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows), layout="constrained")
    panels = list(picture.subplots(rows, columns, squeeze=False).flat)
    for panel, metric in zip(panels, metrics, strict=False):
        _draw_panel(panel, metric, runs, smooth if metric.startswith("train/") else 1)
    for panel in panels[len(metrics) :]:
        panel.set_axis_off()
    handles, labels = zip(*_legend_entries(picture), strict=True)
    picture.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4), frameon=False)
    return picture


def _draw_panel(panel: Any, metric: str, runs: Runs, smooth: int) -> None:
    """One metric of every run that has it; few points are marked, so that a single one can be seen."""
    for index, (label, curves) in enumerate(runs.items()):
        curve = curves.get(metric)
        if curve is None:
            continue
        color = f"C{index % 10}"
        marker = "o" if len(curve.steps) <= 40 else ""
        if smooth > 1:
            panel.plot(curve.steps, curve.values, color=color, alpha=0.25, linewidth=1)
        panel.plot(
            curve.steps, running_mean(curve.values, smooth), color=color, marker=marker, markersize=3, label=label
        )
    panel.set_title(metric, fontsize="medium")
    panel.set_xlabel("step")
    panel.grid(alpha=0.3)


def _legend_entries(picture: Figure) -> list[tuple[Any, str]]:
    """A line and a label for every run that is drawn anywhere."""
    entries: dict[str, Any] = {}
    for panel in picture.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return [(handle, label) for label, handle in entries.items()]
