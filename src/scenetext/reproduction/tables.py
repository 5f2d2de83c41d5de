"""A table as a file: a paper's values exactly as printed, if it is of one, and the runs that measure the same here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from scenetext.config import Settings, load_settings
from scenetext.errors import ConfigError
from scenetext.evaluation.named_rules import ProtocolName
from scenetext.reproduction import MetricName, Paper, Size

RATES: tuple[MetricName, ...] = ("precision", "recall", "hmean", "1-ned")
COUNTS: tuple[MetricName, ...] = ("parameters", "trainable_parameters", "operations")


class SceneSet(Settings):
    """Generated images that the runs of a size learn from or are measured on; made when they are first needed."""

    folder: Path
    """Where they lie, relative to the working directory; `records.jsonl` in it is what runs read."""
    config: str
    """What they look like: a config of `configs/scenes`."""
    count: PositiveInt
    """Number of images."""
    seed: int = Field(ge=0)
    """Another one for every set, so that no image is in two."""
    overrides: tuple[str, ...] = ()
    """Settings of the scenes to change, `key.sub=value`."""
    glyphs: bool = False
    """Glyph layers, which FreeReal pastes on other images, in place of whole scenes."""


class Training(Settings):
    """What the runs of one or more columns learn from."""

    dataset: str | None = None
    """Replaces `{dataset}` in the words of stages; null = the training's own name."""
    records: str = "data/{dataset}/train.jsonl"
    """Replaces `{records}` in the overrides of stages."""
    overrides: tuple[str, ...] = ()
    """Settings of the last stage to change, such as its training images."""
    protocol: ProtocolName = "ic15"
    """Rule by which its validation records are counted, one of `scenetext.evaluation.named_rules`."""
    seeds: tuple[NonNegativeInt, ...] = ()
    """Every row learns from it once with each; empty = those of the experiment."""


class LexiconSettings(Settings):
    """A list of words that readings are corrected with, and how (`scenetext evaluate --lexicon`)."""

    words: Path
    """A file for all images, or a folder with one for each."""
    pairs: Path | None = None
    """How they are written out; null = as they are."""
    distance: Literal["plain", "weighted"] = "weighted"
    """weighted: changes of characters that the reader was not sure of cost less."""
    limit: float | None = None
    """Readings as far as this from every word are dropped; null = none are."""


class Test(Settings):
    """A measurement of a trained model on other images than its own validation records."""

    records: tuple[Path, ...] = Field(min_length=1)
    """Record files, relative to the working directory."""
    overrides: tuple[str, ...] = ()
    """Settings of the run to change for this test, such as its test size."""
    protocol: ProtocolName = "ic15"
    """Rule by which they are counted."""
    choose_on: tuple[Path, ...] = ()
    """Record files of other images, on which the score threshold is chosen; empty = the best one on the test images."""
    text_threshold: float | None = Field(default=None, ge=0, le=1)
    """Detections of a lower text score are dropped; null = none are."""
    lexicon: LexiconSettings | None = None
    """What readings are corrected with; null = nothing."""


class Column(Settings):
    """One metric of every row."""

    title: str
    """If it is that of a column of the paper, the two stand side by side."""
    training: str
    """Which of the size's trainings it belongs to."""
    test: str | None = None
    """Which of the size's tests measures it; null = the run's own validation records."""
    figure: MetricName
    """Rates are in percent; parameters in millions; operations in GFLOP of one image, two a multiply-add;
    images_per_second with one image at a time."""


class Experiment(Settings):
    """How a table is measured at one size."""

    measured_on: str
    """Models and data of the measured values, printed below the table."""
    scenes: tuple[SceneSet, ...] = ()
    """Images to generate first, where a run reads them."""
    values: dict[str, int | float | str] = Field(default={})
    """What `{name}` stands for in the words and overrides of stages, rows and trainings, such as numbers of steps."""
    seeds: tuple[NonNegativeInt, ...] = Field(default=(0,), min_length=1)
    """What `{seed}` stands for there: every row is run once with each. A stage that does not name it is run once for
    all of them."""
    trainings: dict[str, Training] = Field(min_length=1)
    """By name."""
    tests: dict[str, Test] = Field(default={})
    """By name."""
    columns: tuple[Column, ...] = Field(min_length=1)
    """What is measured of every row."""

    def protocol(self, column: Column) -> str:
        """The rule by which a column's rate is counted."""
        return self.trainings[column.training].protocol if column.test is None else self.tests[column.test].protocol

    def choose_on(self, column: Column) -> tuple[Path, ...]:
        """Record files on which a column's score threshold is chosen; empty: the test images themselves."""
        return () if column.test is None else self.tests[column.test].choose_on

    def seeds_of(self, training: str) -> tuple[int, ...]:
        """Those with which rows learn from one of the trainings."""
        return self.trainings[training].seeds or self.seeds

    @model_validator(mode="after")
    def _names_are_known(self) -> Experiment:
        for column in self.columns:
            _require_known(column.training, self.trainings, f"column {column.title!r}: training")
            if column.test is not None:
                _require_known(column.test, self.tests, f"column {column.title!r}: test")
        _require_different((column.title for column in self.columns), "columns")
        for training in self.trainings:
            _require_different(map(str, self.seeds_of(training)), f"seeds of training {training}")
        for name in ("dataset", "records", "seed"):
            if name in self.values:
                raise ValueError(f"values: {{{name}}} already stands for something else")
        return self


class StageConfig(Settings):
    """A stage at one size."""

    run: str
    """Names of configs, as on the command line; `{dataset}` stands for the training's."""
    overrides: tuple[str, ...] = ()
    """Settings of it to change; `{dataset}` and `{records}` stand for the training's, `{seed}` for one of its seeds,
    other names for what the experiment's `values` say."""
    weights: Literal["best", "last"] = "best"
    """Which of its weights the next stage starts from: the best by its own evaluations, or those after the last step.
    Where a stage starts from trained weights, the best may be those."""


class Stage(Settings):
    """One training: the last of a row, or one whose weights the next stage starts from."""

    full: StageConfig | None = None
    """As published; null = there is no such stage at this size."""
    small: StageConfig | None = None
    """With a tiny model."""


class StageUse(Settings):
    """A stage as a row has it."""

    stage: str
    """Which of the table's stages."""
    overrides: tuple[str, ...] = ()
    """Settings that this row changes, with the same names as in `StageConfig.overrides`."""


class Row(Settings):
    """One method or variant."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    """By which it is asked for."""
    labels: tuple[str, ...]
    """Its first cells, as printed."""
    published: tuple[float | None, ...] = ()
    """The paper's values, one for each of its columns, null where it has none; empty: the row is not in the paper."""
    stages: tuple[StageUse, ...] = ()
    """What is trained for it, one after the other; empty: quoted from the paper, not offered here."""
    overrides: tuple[str, ...] = ()
    """Settings that it changes in all of its stages."""


class Table(Settings):
    """A table of a paper, or of an experiment of this library (paper: scenetext)."""

    paper: Paper
    """Which paper."""
    name: str = Field(pattern=r"^(table|figure)_[0-9]+$")
    """Its number there."""
    title: str
    """What it shows."""
    source: str
    """Where the values stand."""
    remarks: tuple[str, ...] = ()
    """What to know of the comparison: what differs, what is not legible or not stated."""
    labels: tuple[str, ...] = Field(min_length=1)
    """Titles of the rows' first cells."""
    published_columns: tuple[str, ...] = ()
    """Titles of the paper's columns; empty where it has a plot without numbers."""
    stages: dict[str, Stage]
    """Trainings that rows are made of, by name."""
    rows: tuple[Row, ...] = Field(min_length=1)
    """In the order of the paper."""
    compared_with: dict[str, tuple[str, ...]] = Field(default={})
    """Row -> rows that the report compares it with, seed by seed."""
    full: Experiment
    """How it is measured at full size."""
    small: Experiment
    """How it is measured at small size."""

    def experiment(self, size: Size) -> Experiment:
        """How the table is measured at a size."""
        return self.full if size == "full" else self.small

    def stage(self, name: str, size: Size) -> StageConfig | None:
        """A stage at a size, None if there is none."""
        stage = self.stages[name]
        return stage.full if size == "full" else stage.small

    @model_validator(mode="after")
    def _rows_fit(self) -> Table:
        _require_different((row.name for row in self.rows), "rows")
        for row in self.rows:
            if len(row.labels) != len(self.labels):
                raise ValueError(f"row {row.name}: {len(row.labels)} labels, the table has {len(self.labels)}")
            if row.published and len(row.published) != len(self.published_columns):
                count = len(self.published_columns)
                raise ValueError(f"row {row.name}: {len(row.published)} published values for {count} columns")
            for use in row.stages:
                _require_known(use.stage, self.stages, f"row {row.name}: stage")
        names = [row.name for row in self.rows]
        for compared, references in self.compared_with.items():
            for name in (compared, *references):
                _require_known(name, names, "compared_with: row")
        return self


def load_table(folder: Path, paper: str, name: str) -> Table:
    """Reads `<paper>_<name>.yaml` of a folder of tables, such as `tcm_table_6.yaml`.

    Raises:
        ConfigError: there is none, with those there are; or it cannot be used.
    """
    path = folder / f"{paper}_{name}.yaml"
    if not path.is_file():
        known = sorted(other.stem.removeprefix(f"{paper}_") for other in folder.glob(f"{paper}_*_*.yaml"))
        raise ConfigError(f"{path}: there is no {name} of {paper}; there are: {', '.join(known) or 'none'}")
    table = load_settings(Table, path)
    if (table.paper, table.name) != (paper, name):
        raise ConfigError(f"{path}: describes {table.paper} {table.name}; name the file after what is in it")
    return table


def _require_known(name: str, known: Iterable[str], what: str) -> None:
    if name not in known:
        raise ValueError(f"{what} {name!r} is not among {', '.join(known) or 'none'}")


def _require_different(names: Iterable[str], what: str) -> None:
    given = list(names)
    if len(set(given)) != len(given):
        raise ValueError(f"two {what} have the same name: {', '.join(given)}")
