"""Benchmarks as tables of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scenetext.benchmark.ablation import AblationRow, PartRow
from scenetext.benchmark.figures import Figure
from scenetext.benchmark.turns import Pace


def figure_table(columns: Mapping[str, Sequence[Figure]]) -> str:
    """Figures as rows and configs as columns: median (smallest to largest), then ratios to the first config.

    A figure that a config does not have (a detector has no decoder of words) is a dash.
    """
    names = list(columns)
    others = names[1:]
    lines = [
        "| figure | " + " | ".join([*names, *(f"{name} / {names[0]}" for name in others)]) + " |",
        "|---|" + "---:|" * (len(names) + len(others)),
    ]
    found = [{figure.name: figure for figure in figures} for figures in columns.values()]
    for name, unit in {figure.name: figure.unit for figures in columns.values() for figure in figures}.items():
        row = [figures.get(name) for figures in found]
        ratios = [_ratio_cell(figure, row[0]) for figure in row[1:]]
        lines.append(f"| {name}, {unit} | " + " | ".join([*map(_figure_cell, row), *ratios]) + " |")
    return "\n".join(lines)


def _figure_cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    spread = f" ({figure.low:.3g} to {figure.high:.3g})" if figure.low < figure.high else ""
    return f"{figure.value:.4g}{spread}"


def _ratio_cell(figure: Figure | None, first: Figure | None) -> str:
    return f"{figure.value / first.value:.2f}" if figure and first and first.value else "-"


def ablation_table(rows: Sequence[AblationRow]) -> str:
    """One row per change: time, ratio to the run's own step, memory, bytes of images."""
    lines = [
        "| training step | ms, median | ms, fastest | ratio | kept for backward, MiB | peak memory, MiB | images, MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        times = f"{row.milliseconds:.4g} | {row.fastest:.4g} | {row.ratio:.2f}"
        lines.append(f"| {row.name} | {times} | {row.kept:.0f} | {row.memory:.0f} | {row.batch_bytes / 1e6:.2f} |")
    return "\n".join(lines)


def part_table(rows: Sequence[PartRow]) -> str:
    """One row per part and change."""
    lines = ["| part, forward and backward | with | ms | ms of the run's own | ratio |", "|---|---|---:|---:|---:|"]
    for row in rows:
        times = f"{row.changed_milliseconds:.4g} | {row.milliseconds:.4g} | {row.ratio:.2f}"
        lines.append(f"| {row.part} | {row.change} | {times} |")
    return "\n".join(lines)


def evaluation_pace_table(paces: Sequence[Pace]) -> str:
    """One row per detector: medians with the smallest and the largest round."""
    lines = [
        f"| detector | evaluation, ms | images/s | speed / {paces[0].name} | GFLOP an image, forward |",
        "|---|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *(f"| {_pace_cells(pace, 1)} |" for pace in paces)])


def training_pace_table(paces: Sequence[Pace], images: int) -> str:
    """As `evaluation_pace_table`, of a training step of so many images, with its memory."""
    lines = [
        f"| detector | training step of {images}, ms | images/s | speed / {paces[0].name} | GFLOP an image, forward | "
        "kept for backward, MiB | peak memory, MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join(
        [*lines, *(f"| {_pace_cells(pace, images)} | {pace.kept:.0f} | {pace.peak:.0f} |" for pace in paces)]
    )


def _pace_cells(pace: Pace, images: int) -> str:
    times = sorted(1000 * each for each in pace.seconds)
    spread = f"{1000 / pace.speed:.4g} ({times[0]:.4g} to {times[-1]:.4g})"
    ratio = f"{pace.ratio:.3f} ({min(pace.ratios):.2f} to {max(pace.ratios):.2f})"
    return f"{pace.name} | {spread} | {images * pace.speed:.3g} | {ratio} | {pace.operations:.1f}"
