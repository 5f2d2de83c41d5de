"""From a table to steps: the commands behind every value, each in a folder that is named after its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scenetext.errors import ConfigError
from scenetext.reproduction import MetricName, Size
from scenetext.reproduction.tables import COUNTS, RATES, Column, LexiconSettings, Row, SceneSet, Table
from scenetext.runs.settings import check_run
from scenetext.runs.words import combine

COUNTED_SIDE = 640
"""Side of the square image whose operations are counted, in pixels: that of DBNet's training."""

_ONE_IMAGE = ("loader.evaluation_batch_size=1", "loader.batch_size=1")
"""For speed: one image at a time, also in the training steps that the benchmark runs as well."""


@dataclass(frozen=True)
class Options:
    """How tables are to be run.

    Attributes:
        size: of models and data.
        output: folder of all runs; each has a folder of its own in it.
        overrides: settings to change in every training, `key.sub=value`.
        given: weight files that replace stages, by the stages' names.
        metrics: those to measure; None = all.
        device: of every command that computes; None = as the runs say.
    """

    size: Size
    output: Path
    overrides: tuple[str, ...] = ()
    given: Mapping[str, Path] = field(default_factory=dict)
    metrics: frozenset[MetricName] | None = None
    device: str | None = None

    def columns(self, table: Table) -> list[Column]:
        """What is to be measured of every row."""
        columns = table.experiment(self.size).columns
        return [column for column in columns if self.metrics is None or column.figure in self.metrics]


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        kind: what it does.
        title: the same for people.
        verb: of `scenetext`.
        arguments: its command line, but for the device.
        folder: that it alone writes to; the same step of another row or table has the same.
        result: the file that it leaves there.
    """

    kind: Literal["scenes", "training", "test", "count", "speed"]
    title: str
    verb: str
    arguments: tuple[str, ...]
    folder: Path
    result: Path


@dataclass(frozen=True)
class RowRun:
    """What one row needs on one training set.

    Attributes:
        row: its name.
        training: name of the training.
        steps: in the order in which they have to be done.
        cells: title of every column of this training -> the step that measures its value.
    """

    row: str
    training: str
    steps: tuple[Step, ...]
    cells: Mapping[str, Step]

    @property
    def name(self) -> str:
        """As it is asked for and reported."""
        return f"{self.row}/{self.training}"


@dataclass(frozen=True)
class _PlannedStage:
    """A stage with its settings: the words that say what is run, its name, and where its weights lie."""

    words: tuple[str, ...]
    name: str
    kind: Literal["pretraining", "detection"]
    weights: Path
    step: Step | None


def plan_table(table: Table, options: Options) -> list[RowRun]:
    """The runs of a table at a size: every row that is offered there, on every training set with a column.

    Raises:
        ConfigError: a config or an override of a row cannot be used, `given` names no stage of the table, or the table
            has none of the metrics that are asked for.
    """
    if not options.columns(table):
        known = ", ".join(dict.fromkeys(column.figure for column in table.experiment(options.size).columns))
        raise ConfigError(
            f"{table.paper} {table.name} at {options.size} size has none of these metrics; it has {known}"
        )
    for name in options.given:
        if name not in table.stages:
            raise ConfigError(f"{table.paper} {table.name} has no stage {name!r}; it has {', '.join(table.stages)}")
    trainings = dict.fromkeys(column.training for column in options.columns(table))
    return [
        _plan_row(table, row, training, options)
        for row in table.rows
        if any(table.stage(use.stage, options.size) for use in row.stages)
        for training in trainings
    ]


def _plan_row(table: Table, row: Row, training: str, options: Options) -> RowRun:
    columns = [column for column in options.columns(table) if column.training == training]
    stages = _plan_stages(table, row, training, options)
    cells = {column.title: _measurement(table, column, stages[-1], options) for column in columns}
    steps: list[Step] = []
    if any(column.figure not in COUNTS for column in columns):
        steps += [_scene_step(scenes, options) for scenes in table.experiment(options.size).scenes]
        steps += [stage.step for stage in stages if stage.step is not None]
    return RowRun(row.name, training, tuple(dict.fromkeys([*steps, *cells.values()])), cells)


def _plan_stages(table: Table, row: Row, training: str, options: Options) -> list[_PlannedStage]:
    """The trainings of a row, each from the weights of the one before it."""
    trained_on = table.experiment(options.size).trainings[training]
    dataset = trained_on.dataset or training
    records = trained_on.records.replace("{dataset}", dataset)
    all_uses = [(use, table.stage(use.stage, options.size)) for use in row.stages]
    uses = [(use, stage) for use, stage in all_uses if stage is not None]
    stages: list[_PlannedStage] = []
    for position, (use, stage) in enumerate(uses, start=1):
        overrides = tuple(
            each.replace("{records}", records) for each in (*stage.overrides, *row.overrides, *use.overrides)
        )
        overrides += trained_on.overrides if position == len(uses) else ()
        overrides += _start_from(stages[-1]) if stages else ()
        configs = stage.run.replace("{dataset}", dataset).split()
        stages.append(_plan_stage(use.stage, (*configs, *overrides, *options.overrides), options))
    if stages[-1].kind != "detection":
        raise ConfigError(f"{table.paper} {table.name}, row {row.name}: its last stage has to train a detector")
    return stages


def _plan_stage(name: str, words: tuple[str, ...], options: Options) -> _PlannedStage:
    run = combine(words)
    kind = check_run(run.values, run.source).kind
    if name in options.given:
        return _PlannedStage(words, run.name, kind, options.given[name], None)
    folder = options.output / f"{name}-{run.name}-{_digest(run.values)}"
    verb = "pretrain" if kind == "pretraining" else "train"
    arguments = (*words, "--output", str(folder))
    step = Step("training", f"{name} ({run.source})", verb, arguments, folder, folder / "best.pt")
    return _PlannedStage(words, run.name, kind, step.result, step)


def _start_from(stage: _PlannedStage) -> tuple[str, ...]:
    """A pre-training gives its encoder, a detector its whole network."""
    key = "encoder.weights" if stage.kind == "pretraining" else "initial_weights"
    return (f"{key}={stage.weights}",)


def _measurement(table: Table, column: Column, stage: _PlannedStage, options: Options) -> Step:
    if column.figure in RATES:
        return _test_step(table, column, stage, options)
    if column.figure in COUNTS:
        counted = ("size", *stage.words, "--size", str(COUNTED_SIDE))
        return _benchmark_step("count", "parameters and operations", counted, stage, options)
    measured = ("run", *stage.words, f"initial_weights={stage.weights}", *_ONE_IMAGE)
    return _benchmark_step("speed", "speed", measured, stage, options)


def _benchmark_step(
    kind: Literal["count", "speed"], title: str, arguments: tuple[str, ...], stage: _PlannedStage, options: Options
) -> Step:
    folder = options.output / f"{kind}-{stage.name}-{_digest(arguments)}"
    result = folder / "figures.json"
    return Step(kind, title, "benchmark", (*arguments, "--json", str(result)), folder, result)


def _test_step(table: Table, column: Column, stage: _PlannedStage, options: Options) -> Step:
    experiment = table.experiment(options.size)
    arguments: tuple[str, ...] = (str(stage.weights), "--pictures", "0", "--protocol", experiment.protocol(column))
    if column.test is not None:
        test = experiment.tests[column.test]
        arguments += ("--records", *map(str, test.records))
        arguments += ("--set", *test.overrides) if test.overrides else ()
        arguments += () if test.text_threshold is None else ("--text-threshold", f"{test.text_threshold:g}")
        arguments += () if test.lexicon is None else _lexicon_flags(test.lexicon)
    folder = options.output / f"test-{column.test or column.training}-{_digest(arguments)}"
    arguments += ("--output", str(folder))
    title = f"test on {column.test or 'the validation records'}"
    return Step("test", title, "evaluate", arguments, folder, folder / "evaluation.json")


def _lexicon_flags(lexicon: LexiconSettings) -> tuple[str, ...]:
    flags: tuple[str, ...] = ("--lexicon", str(lexicon.words), "--lexicon-distance", lexicon.distance)
    flags += () if lexicon.pairs is None else ("--lexicon-pairs", str(lexicon.pairs))
    return flags if lexicon.limit is None else (*flags, "--lexicon-limit", f"{lexicon.limit:g}")


def _scene_step(scenes: SceneSet, options: Options) -> Step:
    arguments = (scenes.config, *scenes.overrides, "--output", str(scenes.folder))
    arguments += ("--count", str(scenes.count), "--seed", str(scenes.seed), "--overwrite")
    title = f"scenes {scenes.folder}"
    return Step("scenes", title, "generate", arguments, scenes.folder, scenes.folder / "records.jsonl")


def _digest(content: object) -> str:
    """Ten hexadecimal digits that stand for settings."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
