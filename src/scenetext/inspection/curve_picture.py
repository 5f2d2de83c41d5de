"""Curves of several runs in one picture, a panel per figure; needs matplotlib (extra `plot`)."""

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
"""Label of a run -> "kind/figure" -> curve."""


def read_runs(folders: list[Path]) -> tuple[Runs, list[str]]:
    """All curves, and a message for every line that could not be read.

    Runs are called by their folders' names, by whole paths where those are not different.
    """
    names = [folder.resolve().name for folder in folders]
    runs: Runs = {}
    problems = []
    for folder, name in zip(folders, names, strict=True):
        runs[name if names.count(name) == 1 else str(folder)], found = read_curves(folder)
        problems += found
    return runs, problems


def choose_figures(runs: Runs, wanted: list[str] | None) -> list[str]:
    """Panels to draw, as "kind/figure".

    Raises:
        ConfigError: no run has a wanted figure, or the runs share none.
    """
    known = list(dict.fromkeys(figure for curves in runs.values() for figure in curves))
    if wanted is None:
        shared = [figure for figure in known if all(figure in curves for curves in runs.values())]
        if not shared:
            raise ConfigError(f"the runs share no figure; choose with --figures among: {', '.join(known)}")
        return shared
    chosen = []
    for name in wanted:
        found = [figure for figure in known if name in (figure, figure.partition("/")[2])]
        if not found:
            near = did_you_mean(name, [*known, *(figure.partition("/")[2] for figure in known)])
            raise ConfigError(f"--figures: no run has {name!r}{near} Figures: {', '.join(known)}")
        chosen += found
    return list(dict.fromkeys(chosen))


def draw_runs(runs: Runs, figures: list[str], smooth: int) -> Figure:
    """The picture: a panel per figure, a colour per run.

    Args:
        smooth: training figures are drawn as means of so many logged values.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("drawing curves needs matplotlib; install it with: pip install scenetext[plot]") from None
    columns = min(len(figures), PANELS_PER_ROW)
    rows = math.ceil(len(figures) / columns)
    picture = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows), layout="constrained")
    panels = list(picture.subplots(rows, columns, squeeze=False).flat)
    for panel, figure in zip(panels, figures, strict=False):
        _draw_panel(panel, figure, runs, smooth if figure.startswith("train/") else 1)
    for panel in panels[len(figures) :]:
        panel.set_axis_off()
    handles, labels = zip(*_legend_entries(picture), strict=True)
    picture.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4), frameon=False)
    return picture


def _draw_panel(panel: Any, figure: str, runs: Runs, smooth: int) -> None:
    """One figure of every run that has it; few points are marked, so that a single one can be seen."""
    for index, (label, curves) in enumerate(runs.items()):
        curve = curves.get(figure)
        if curve is None:
            continue
        color = f"C{index % 10}"
        marker = "o" if len(curve.steps) <= 40 else ""
        if smooth > 1:
            panel.plot(curve.steps, curve.values, color=color, alpha=0.25, linewidth=1)
        panel.plot(
            curve.steps, running_mean(curve.values, smooth), color=color, marker=marker, markersize=3, label=label
        )
    panel.set_title(figure, fontsize="medium")
    panel.set_xlabel("step")
    panel.grid(alpha=0.3)


def _legend_entries(picture: Figure) -> list[tuple[Any, str]]:
    """A line and a label for every run that is drawn anywhere."""
    entries: dict[str, Any] = {}
    for panel in picture.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return [(handle, label) for label, handle in entries.items()]
