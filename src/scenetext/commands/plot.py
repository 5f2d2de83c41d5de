"""Draws the curves of one or several runs into one picture, a panel per figure.

Reads log.jsonl of each run folder, also while the run goes on. A figure is named as in the log ("loss", "hmean"), or
with its kind where both have it ("train/loss", "evaluation/hmean"). Without --figures, all that the runs share.
Needs matplotlib: pip install scenetext[plot]
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenetext.commands.command_line import command_parser
from scenetext.errors import ConfigError, did_you_mean
from scenetext.inspection.curves import Curve, read_curves, running_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = """\
  python tools/plot.py outputs/dbnet_tiny
  python tools/plot.py outputs/scratch outputs/pretrained --figures loss hmean --smooth 10
  python tools/plot.py outputs/a outputs/b --output outputs/curves.svg
"""
FORMATS = (".png", ".svg", ".pdf")
PANEL_INCHES = (4.5, 3.2)
PANELS_PER_ROW = 3

Runs = dict[str, dict[str, Curve]]
"""Label of a run -> "kind/figure" -> curve."""


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN", help="folders of runs")
    parser.add_argument("--figures", nargs="+", metavar="FIGURE", help="which figures, in this order")
    parser.add_argument(
        "--smooth",
        type=int,
        default=1,
        metavar="N",
        help="draw training figures as the mean of the last N logged values, over the values themselves in pale",
    )
    parser.add_argument("--output", type=Path, default=Path("outputs/curves.png"), help="picture: .png, .svg or .pdf")
    return parser.parse_args()


def read_runs(folders: list[Path]) -> Runs:
    """All curves; runs are called by their folders' names, by whole paths where those are not different."""
    names = [folder.resolve().name for folder in folders]
    runs: Runs = {}
    for folder, name in zip(folders, names, strict=True):
        curves, problems = read_curves(folder)
        for problem in problems:
            sys.stderr.write(f"warning: {problem}\n")
        runs[name if names.count(name) == 1 else str(folder)] = curves
    return runs


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


def draw(runs: Runs, figures: list[str], smooth: int) -> Figure:
    """The picture: a panel per figure, a colour per run."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("drawing curves needs matplotlib; install it with: pip install scenetext[plot]") from None
    columns = min(len(figures), PANELS_PER_ROW)
    rows = math.ceil(len(figures) / columns)
    picture = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows), layout="constrained")
    panels = list(picture.subplots(rows, columns, squeeze=False).flat)
    for panel, figure in zip(panels, figures, strict=False):
        draw_panel(panel, figure, runs, smooth if figure.startswith("train/") else 1)
    for panel in panels[len(figures) :]:
        panel.set_axis_off()
    handles, labels = zip(*legend_entries(picture), strict=True)
    picture.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4), frameon=False)
    return picture


def draw_panel(panel: Any, figure: str, runs: Runs, smooth: int) -> None:
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


def legend_entries(picture: Figure) -> list[tuple[Any, str]]:
    """A line and a label for every run that is drawn anywhere."""
    entries: dict[str, Any] = {}
    for panel in picture.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return [(handle, label) for label, handle in entries.items()]


def main() -> None:
    arguments = parse_arguments()
    if arguments.output.suffix.lower() not in FORMATS:
        raise ConfigError(f"--output {arguments.output}: the picture must end in {', '.join(FORMATS)}")
    if arguments.smooth < 1:
        raise ConfigError(f"--smooth must be 1 or more, not {arguments.smooth}")
    runs = read_runs(arguments.folders)
    figures = choose_figures(runs, arguments.figures)
    for figure in figures:
        for label in (label for label, curves in runs.items() if figure not in curves):
            sys.stderr.write(f"warning: {label} has no {figure}\n")
    picture = draw(runs, figures, arguments.smooth)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(arguments.output, dpi=150)
    print(f"picture: {arguments.output}")
