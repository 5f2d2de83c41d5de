"""What combinations of configs reach: the papers' tables, and `configs/results.yaml` for values that no table has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import model_validator

from scenetext.config import Settings, load_settings
from scenetext.reproduction.tables import Row, Table, Training, load_table


class Result(Settings):
    """One value, in percent."""

    run: str
    """Names of configs."""
    metric: str = "hmean"
    """What was measured."""
    published: float | None = None
    """By the method's authors, or with another implementation of the method."""
    ours: float | None = None
    """By this library."""
    source: str
    """Where it stands, and what to know of it."""

    @model_validator(mode="after")
    def _one_value(self) -> Result:
        if (self.published is None) == (self.ours is None):
            raise ValueError("a result is either published or ours")
        return self


class ResultsFile(Settings):
    """`configs/results.yaml`."""

    results: tuple[Result, ...]
    """In any order."""


def read_results(folder: Path) -> list[Result]:
    """All results of a folder of configs, in the order of their runs; a value that several tables repeat stands once.

    Raises:
        ConfigError: a file cannot be used.
    """
    results = list(load_settings(ResultsFile, folder / "results.yaml").results)
    for path in sorted((folder / "tables").glob("*_*_*.yaml")):
        paper, _, name = path.stem.partition("_")
        results += _results_of(load_table(folder / "tables", paper, name))
    once = {(result.run, result.metric, result.published, result.ours): result for result in reversed(results)}
    return sorted(once.values(), key=lambda result: (result.run, result.published is None))


def _results_of(table: Table) -> Iterator[Result]:
    """The published hmean of every row whose last stage is a combination of configs without overrides."""
    for row in table.rows:
        for column, value in zip(table.published_columns, row.published, strict=False):
            measured = next((each for each in table.full.columns if each.title == column), None)
            if value is None or measured is None or measured.figure != "hmean" or measured.test is not None:
                continue
            training = table.full.trainings[measured.training]
            run = _plain_run(table, row, training, training.dataset or measured.training)
            if run is not None:
                source = f"{table.source}: {' '.join(label for label in row.labels if label)}"
                before = ", ".join(use.stage for use in row.stages[:-1])
                yield Result(run=run, published=value, source=f"{source}, after {before}" if before else source)


def _plain_run(table: Table, row: Row, training: Training, dataset: str) -> str | None:
    """The configs of a row's last stage; None where there is none, or something is changed."""
    stage = table.stage(row.stages[-1].stage, "full") if row.stages else None
    changed = row.overrides or training.overrides or any(use.overrides for use in row.stages)
    if stage is None or changed or stage.overrides:
        return None
    return stage.run.replace("{dataset}", dataset)
