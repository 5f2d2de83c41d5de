"""Published values beside measured ones, as Markdown for people and as plain values for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scenetext.reproduction.measured import NOT_OFFERED, STANDARD_ERRORS, Cell, Difference, Values, differences
from scenetext.reproduction.plan import Options, RowRun
from scenetext.reproduction.running import seconds_taken
from scenetext.reproduction.tables import RATES, Experiment, Row, Table

_VERDICTS: Mapping[bool | None, str] = {True: "yes: counts", False: "no", None: "one seed cannot say"}


def format_table(table: Table, values: Values, options: Options) -> str:
    """Markdown: labels, then published and measured columns side by side; differences; measured on what; remarks."""
    experiment = table.experiment(options.size)
    measured = [column.title for column in experiment.columns]
    published = list(table.published_columns)
    order = [name for title in published for name in (("paper", title), ("ours", title))]
    order += [("ours", title) for title in measured if title not in published]
    order = [(whose, title) for whose, title in order if whose == "paper" or title in measured]
    heads = [title if _is_own(table) else f"{title}, {whose}" for whose, title in order]
    lines = [
        f"**{table.paper} {table.name.replace('_', ' ')}: {table.title}**",
        "",
        f"| {' | '.join([*table.labels, *heads])} |",
        "|" + "---|" * len(table.labels) + "---:|" * len(order),
    ]
    for row in table.rows:
        cells = [_cell(table, row, whose, title, values) for whose, title in order]
        lines.append(f"| {' | '.join([*row.labels, *cells])} |")
    lines += _difference_lines(differences(table, values, options))
    remarks = [f"{'Source' if _is_own(table) else 'Paper'}: {table.source}."]
    remarks += [
        f"Ours, {options.size} size: {experiment.measured_on}",
        _counting(experiment),
        *_seed_remarks(experiment),
    ]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in (*remarks, *table.remarks))]) + "\n"


def _is_own(table: Table) -> bool:
    return table.paper == "scenetext"


def _counting(experiment: Experiment) -> str:
    """By which rule rates are counted, and at which score threshold; for each column where they differ."""
    rates = [column for column in experiment.columns if column.figure in RATES]
    rules = _each_or_all({column.title: experiment.protocol(column) for column in rates})
    thresholds = {
        column.title: " and ".join(map(str, experiment.choose_on(column))) or "the test images" for column in rates
    }
    return f"Counted by the rule {rules}, at the score threshold that is best on {_each_or_all(thresholds)}."


def _each_or_all(by_title: Mapping[str, str]) -> str:
    """What all columns have in common, or `titles: that of them` for each kind."""
    titles: dict[str, list[str]] = {}
    for title, text in by_title.items():
        titles.setdefault(text, []).append(title)
    if len(titles) <= 1:
        return next(iter(titles), "")
    return ", ".join(f"{' and '.join(those)}: {text}" for text, those in titles.items())


def _seed_remarks(experiment: Experiment) -> list[str]:
    if not any(len(experiment.seeds_of(training)) > 1 for training in experiment.trainings):
        return []
    return ["Of several seeds: mean ± standard deviation (how many were run)."]


def _difference_lines(found: Sequence[Difference]) -> list[str]:
    """A second table, with the rows' names; none where there is nothing to compare."""
    if not found:
        return []
    heads = ["row", "against", "column", "difference", "standard error", "seeds"]
    heads += [f"exceeds {STANDARD_ERRORS} standard errors"]
    lines = ["", f"| {' | '.join(heads)} |", "|---|---|---|---:|---:|---:|---|"]
    for each in found:
        cells = [each.row, each.against, each.column, f"{each.mean:+.1f}"]
        cells += [NOT_OFFERED if each.standard_error is None else f"{each.standard_error:.1f}", str(len(each.by_seed))]
        cells += [_VERDICTS[each.counts]]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def report_content(table: Table, values: Values, runs: Sequence[RowRun], options: Options) -> dict[str, Any]:
    """The same as plain values, with the folder and the seconds of every step."""
    rows = [
        {
            "name": row.name,
            "labels": dict(zip(table.labels, row.labels, strict=True)),
            "published": dict(zip(table.published_columns, row.published, strict=False)),
            "measured": {title: _cell_content(cell) for title, cell in values[row.name].items()},
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
        "differences": [
            {
                **{"row": each.row, "against": each.against, "column": each.column, "mean": each.mean},
                **{"standard_error": each.standard_error, "counts": each.counts, "by_seed": _seeded(each.by_seed)},
            }
            for each in differences(table, values, options)
        ],
    }


def _cell_content(cell: Cell) -> dict[str, Any]:
    """The mean, and every seed's value with the file that it is from."""
    seeds = [{"seed": seed, "value": each.value, "from": str(each.step.result)} for seed, each in cell.by_seed.items()]
    return {"value": cell.mean, "deviation": cell.deviation, "seeds": seeds}


def _seeded(by_seed: Mapping[int, float]) -> list[dict[str, Any]]:
    return [{"seed": seed, "value": value} for seed, value in by_seed.items()]


def _cell(table: Table, row: Row, whose: str, title: str, values: Values) -> str:
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
