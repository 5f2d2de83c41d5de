"""Published values beside measured ones, as Markdown for people and as plain values for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scenetext.errors import DataError
from scenetext.reproduction import MetricName
from scenetext.reproduction.plan import Options, RowRun, Step
from scenetext.reproduction.running import is_done, seconds_taken
from scenetext.reproduction.tables import RATES, Column, Row, Table

NOT_RUN = "not run"
"""A value that could be measured here and was not."""
NOT_OFFERED = "–"
"""A value that is not measured: of a method that is not in this library, or not at this size."""
BENCHMARK_NAMES: Mapping[MetricName, str] = {
    "parameters": "parameters",
    "trainable_parameters": "trainable parameters",
    "operations": "inference operations per image",
    "images_per_second": "evaluation",
}
"""Names of the metrics in the output of `scenetext benchmark`."""


@dataclass(frozen=True)
class Measured:
    """A measured cell.

    Attributes:
        value: as the paper counts (rates in percent); None where it was not run, or is undefined.
        step: that measures it; None where none does.
    """

    value: float | None
    step: Step | None

    def __str__(self) -> str:
        if self.value is not None:
            return _shown(self.value)
        return NOT_OFFERED if self.step is None else "undefined" if is_done(self.step) else NOT_RUN


def measured_values(table: Table, runs: Sequence[RowRun], options: Options) -> dict[str, dict[str, Measured]]:
    """Name of every row -> title of every column at this size -> the measured value.

    Raises:
        DataError: what a step left cannot be read.
    """
    steps = {(run.row, title): step for run in runs for title, step in run.cells.items()}
    columns = table.experiment(options.size).columns
    return {
        row.name: {column.title: _measure(column, steps.get((row.name, column.title))) for column in columns}
        for row in table.rows
    }


def _measure(column: Column, step: Step | None) -> Measured:
    if step is None or not is_done(step):
        return Measured(None, step)
    try:
        content = json.loads(step.result.read_text(encoding="utf-8"))
        if column.figure not in RATES:
            name = BENCHMARK_NAMES[column.figure]
            values = {metric["name"]: metric["value"] for each in content.values() for metric in each}
            return Measured(float(values[name]), step)
        (measured,) = content["datasets"].values()
        (scores,) = measured["protocols"].values()
        rate = (scores["best_on_this_set"] or {}).get(column.figure)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"holds no {column.figure} ({error!r}); remove its folder to measure it again", step.result
        ) from None
    return Measured(None if rate is None else 100 * float(rate), step)


def format_table(table: Table, values: Mapping[str, Mapping[str, Measured]], options: Options) -> str:
    """Markdown: labels, then published and measured columns side by side; what was measured on; remarks."""
    experiment = table.experiment(options.size)
    measured = [column.title for column in experiment.columns]
    published = list(table.published_columns)
    order = [name for title in published for name in (("paper", title), ("ours", title))]
    order += [("ours", title) for title in measured if title not in published]
    order = [(whose, title) for whose, title in order if whose == "paper" or title in measured]
    lines = [
        f"**{table.paper} {table.name.replace('_', ' ')}: {table.title}**",
        "",
        f"| {' | '.join([*table.labels, *(f'{title}, {whose}' for whose, title in order)])} |",
        "|" + "---|" * len(table.labels) + "---:|" * len(order),
    ]
    for row in table.rows:
        cells = [_cell(table, row, whose, title, values) for whose, title in order]
        lines.append(f"| {' | '.join([*row.labels, *cells])} |")
    rules = {column.title: experiment.protocol(column) for column in experiment.columns if column.figure in RATES}
    rule_names = ", ".join(dict.fromkeys(rules.values()))
    if len(set(rules.values())) > 1:
        rule_names = ", ".join(f"{title}: {rule}" for title, rule in rules.items())
    remarks = [
        f"Paper: {table.source}.",
        f"Ours, {options.size} size: {experiment.measured_on}",
        f"Counted by the rule {rule_names}, at the score threshold that is best on the test images.",
        *table.remarks,
    ]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in remarks)]) + "\n"


def report_content(
    table: Table, values: Mapping[str, Mapping[str, Measured]], runs: Sequence[RowRun], options: Options
) -> dict[str, Any]:
    """The same as plain values, with the folder and the seconds of every step."""
    rows = [
        {
            "name": row.name,
            "labels": dict(zip(table.labels, row.labels, strict=True)),
            "published": dict(zip(table.published_columns, row.published, strict=False)),
            "measured": {
                title: {"value": cell.value, "from": None if cell.step is None else str(cell.step.result)}
                for title, cell in values[row.name].items()
            },
            "steps": [
                {"run": run.name, "step": step.title, "folder": str(step.folder), "seconds": seconds_taken(step)}
                for run in runs
                if run.row == row.name
                for step in run.steps
            ],
        }
        for row in table.rows
    ]
    return {
        "paper": table.paper,
        "name": table.name,
        "title": table.title,
        "size": options.size,
        "measured_on": table.experiment(options.size).measured_on,
        "rows": rows,
    }


def _cell(table: Table, row: Row, whose: str, title: str, values: Mapping[str, Mapping[str, Measured]]) -> str:
    if whose == "ours":
        return str(values[row.name][title])
    value = _published(table, row, title)
    if value is None:
        return NOT_OFFERED
    others = (_published(table, other, title) for other in table.rows)
    has_fractions = any(other is not None and other % 1 for other in others)
    return f"{value:.1f}" if has_fractions and not value % 1 else f"{value:g}"


def _published(table: Table, row: Row, title: str) -> float | None:
    return dict(zip(table.published_columns, row.published, strict=False)).get(title)


def _shown(value: float) -> str:
    """One decimal, as the papers print; none from a hundred on."""
    return f"{value:.1f}" if value <= 100 else f"{value:.0f}"
