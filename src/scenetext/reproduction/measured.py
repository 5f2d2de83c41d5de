"""What runs have measured: values by seed, their mean and spread, and differences between rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean, stdev

from scenetext.errors import DataError
from scenetext.reproduction import MetricName
from scenetext.reproduction.plan import Options, RowRun, Step
from scenetext.reproduction.running import is_done
from scenetext.reproduction.tables import RATES, Column, Experiment, Table

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
STANDARD_ERRORS = 2
"""A difference counts if it is larger than so many of its standard errors."""


@dataclass(frozen=True)
class Measured:
    """What one run measured.

    Attributes:
        value: as the paper counts (rates in percent); None where it was not run, or is undefined.
        step: that measures it.
    """

    value: float | None
    step: Step

    @property
    def is_undefined(self) -> bool:
        """Whether it was measured and has no value."""
        return self.value is None and is_done(self.step)


@dataclass(frozen=True)
class Cell:
    """A measured cell.

    Attributes:
        by_seed: every seed that it can be run with -> what that run measured; empty where nothing is to be run.
    """

    by_seed: Mapping[int, Measured] = field(default_factory=dict)

    @property
    def values(self) -> dict[int, float]:
        """By seed, where there is one."""
        return {seed: each.value for seed, each in self.by_seed.items() if each.value is not None}

    @property
    def mean(self) -> float | None:
        """Over the seeds that have a value; None where none has."""
        return fmean(self.values.values()) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of a seed's value, estimated from two or more (divided by n - 1); None for fewer."""
        return stdev(self.values.values()) if len(self.values) > 1 else None

    def __str__(self) -> str:
        """The value; of several seeds mean ± standard deviation and, in brackets, how many have one."""
        if not self.by_seed:
            return NOT_OFFERED
        undefined = sum(each.is_undefined for each in self.by_seed.values())
        if self.mean is None:
            return "undefined" if undefined == len(self.by_seed) else NOT_RUN
        if len(self.by_seed) == 1:
            return shown(self.mean)
        spread = "" if self.deviation is None else f" ± {shown(self.deviation)}"
        return f"{shown(self.mean)}{spread} ({len(self.values)}{f', undefined: {undefined}' if undefined else ''})"


Values = Mapping[str, Mapping[str, Cell]]
"""Name of every row -> title of every column at a size -> the measured cell."""


@dataclass(frozen=True)
class Difference:
    """Of two rows in one column, paired by seed: the same images to learn from, and the same order of them.

    Attributes:
        row, against: names of the rows.
        column: title of the column.
        by_seed: seed -> value of `row` less that of `against`; at least one.
    """

    row: str
    against: str
    column: str
    by_seed: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return fmean(self.by_seed.values())

    @property
    def standard_error(self) -> float | None:
        """Of the mean: standard deviation of the differences over the root of their number; None for a single one."""
        count = len(self.by_seed)
        return stdev(self.by_seed.values()) / sqrt(count) if count > 1 else None

    @property
    def counts(self) -> bool | None:
        """Whether it is larger than `STANDARD_ERRORS`; None where a single seed cannot say."""
        return None if self.standard_error is None else abs(self.mean) > STANDARD_ERRORS * self.standard_error


def measured_values(table: Table, runs: Sequence[RowRun], options: Options) -> dict[str, dict[str, Cell]]:
    """Name of every row -> title of every column at this size -> the measured cell.

    Raises:
        DataError: what a step left cannot be read.
    """
    experiment = table.experiment(options.size)
    columns = {column.title: column for column in experiment.columns}
    measured: dict[tuple[str, str], dict[int, Measured]] = {}
    for run in runs:
        for title, step in run.cells.items():
            measured.setdefault((run.row, title), {})[run.seed] = _measure(experiment, columns[title], step)
    return {row.name: {title: Cell(measured.get((row.name, title), {})) for title in columns} for row in table.rows}


def differences(table: Table, values: Values, options: Options) -> list[Difference]:
    """What `Table.compared_with` asks for, of every rate where two rows have a seed in common."""
    columns = [column.title for column in table.experiment(options.size).columns if column.figure in RATES]
    pairs = [(row, against) for row, references in table.compared_with.items() for against in references]
    found = []
    for column in columns:
        for row, against in pairs:
            ours, theirs = values[row][column].values, values[against][column].values
            by_seed = {seed: ours[seed] - theirs[seed] for seed in ours if seed in theirs}
            if by_seed:
                found.append(Difference(row, against, column, by_seed))
    return found


def shown(value: float) -> str:
    """One decimal, as the papers print; none from a hundred on."""
    return f"{value:.1f}" if value <= 100 else f"{value:.0f}"


def _measure(experiment: Experiment, column: Column, step: Step) -> Measured:
    if not is_done(step):
        return Measured(None, step)
    try:
        content = json.loads(step.result.read_text(encoding="utf-8"))
        if column.figure not in RATES:
            name = BENCHMARK_NAMES[column.figure]
            values = {metric["name"]: metric["value"] for each in content.values() for metric in each}
            return Measured(float(values[name]), step)
        (measured,) = content["datasets"].values()
        (scores,) = measured["protocols"].values()
        chosen_elsewhere = bool(experiment.choose_on(column))
        score = scores["reported"]["at_chosen_threshold"] if chosen_elsewhere else scores["best_on_this_set"]
        rate = (score or {}).get(column.figure)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"holds no {column.figure} ({error!r}); remove its folder to measure it again", step.result
        ) from None
    return Measured(None if rate is None else 100 * float(rate), step)
