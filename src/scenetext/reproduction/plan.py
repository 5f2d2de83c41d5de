"""From a table to steps: the commands behind every value, each in a folder that is named after its settings."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scenetext.errors import ConfigError, did_you_mean
from scenetext.pretraining import find_method
from scenetext.reproduction import MetricName, Size
from scenetext.reproduction.tables import COUNTS, RATES, Column, Experiment, LexiconSettings, Row, SceneSet, Table
from scenetext.runs.settings import DEFAULT_METHOD, check_run
from scenetext.runs.words import combine
from scenetext.training.checkpoint import checkpoint_path

COUNTED_SIDE = 640
"""Side of the square image whose operations are counted, in pixels: that of DBNet's training."""

_NAME_IN_BRACES = re.compile(r"\{(\w+)\}")
_DETECTOR = "detector"
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
    """What one row needs on one training set with one seed.

    Attributes:
        row: its name.
        training: name of the training.
        seed: that `{seed}` stands for.
        is_one_of_several: whether it is run with other seeds as well.
        steps: in the order in which they have to be done.
        cells: title of every column of this training -> the step that measures its value.
    """

    row: str
    training: str
    seed: int
    is_one_of_several: bool
    steps: tuple[Step, ...]
    cells: Mapping[str, Step]

    @property
    def name(self) -> str:
        """As it is reported."""
        name = f"{self.row}/{self.training}"
        return f"{name}/{self.seed}" if self.is_one_of_several else name

    @property
    def names(self) -> tuple[str, ...]:
        """As it can be asked for, alone or with others."""
        return tuple(dict.fromkeys((self.row, f"{self.row}/{self.training}", self.name)))


@dataclass(frozen=True)
class _PlannedStage:
    """A stage with its settings: the words that say what is run, its name, all values, and where its weights lie."""

    words: tuple[str, ...]
    name: str
    values: Mapping[str, Any]
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
        _plan_row(table, row, training, seed, options)
        for row in table.rows
        if any(table.stage(use.stage, options.size) for use in row.stages)
        for training in trainings
        for seed in table.experiment(options.size).seeds_of(training)
    ]


def _plan_row(table: Table, row: Row, training: str, seed: int, options: Options) -> RowRun:
    experiment = table.experiment(options.size)
    columns = [column for column in options.columns(table) if column.training == training]
    stages = _plan_stages(table, row, training, seed, options)
    cells = {column.title: _measurement(table, column, stages[-1], options) for column in columns}
    steps: list[Step] = []
    if any(column.figure not in COUNTS for column in columns):
        read = [*(stage.values for stage in stages), *(step.arguments for step in cells.values())]
        steps += _scene_steps(experiment, read)
        steps += [stage.step for stage in stages if stage.step is not None]
    is_one_of_several = len(experiment.seeds_of(training)) > 1
    return RowRun(row.name, training, seed, is_one_of_several, tuple(dict.fromkeys([*steps, *cells.values()])), cells)


def _plan_stages(table: Table, row: Row, training: str, seed: int, options: Options) -> list[_PlannedStage]:
    """The trainings of a row, each from the weights of the one before it."""
    experiment = table.experiment(options.size)
    trained_on = experiment.trainings[training]
    values: dict[str, object] = {**experiment.values, "dataset": trained_on.dataset or training, "seed": seed}
    values["records"] = _filled(trained_on.records, values)
    all_uses = [(use, table.stage(use.stage, options.size)) for use in row.stages]
    uses = [(use, stage) for use, stage in all_uses if stage is not None]
    stages: list[_PlannedStage] = []
    for position, (use, stage) in enumerate(uses, start=1):
        words = (*stage.run.split(), *stage.overrides, *row.overrides, *use.overrides)
        words += trained_on.overrides if position == len(uses) else ()
        filled = tuple(_filled(word, values) for word in words)
        stages.append(_plan_stage(use.stage, filled, stage.weights, stages[-1] if stages else None, options))
    if stages[-1].values["kind"] != "detection":
        raise ConfigError(f"{table.paper} {table.name}, row {row.name}: its last stage has to train a detector")
    return stages


def _filled(word: str, values: Mapping[str, object]) -> str:
    """A word with values in place of names in braces.

    Raises:
        ConfigError: a name that has no value.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise ConfigError(f"{word}: nothing says what {match.group()} stands for{did_you_mean(name, values)}")
        return str(values[name])

    return _NAME_IN_BRACES.sub(value_of, word)


def _plan_stage(
    name: str,
    words: tuple[str, ...],
    weights: Literal["best", "last"],
    before: _PlannedStage | None,
    options: Options,
) -> _PlannedStage:
    if before is not None:
        words += _start_from(before, combine((*words, *options.overrides)).values)
    words = _without_overridden((*words, *options.overrides))
    run = combine(words)
    check_run(run.values, run.source)
    if name in options.given:
        return _PlannedStage(words, run.name, run.values, options.given[name], None)
    folder = options.output / f"{name}-{run.name}-{_digest(run.values)}"
    verb = "pretrain" if run.values["kind"] == "pretraining" else "train"
    arguments = (*words, "--output", str(folder))
    result = folder / "best.pt" if weights == "best" else _last_checkpoint(folder, name, run.values)
    step = Step("training", f"{name} ({run.source})", verb, arguments, folder, result)
    return _PlannedStage(words, run.name, run.values, step.result, step)


def _last_checkpoint(folder: Path, name: str, values: Mapping[str, Any]) -> Path:
    steps = values["training"].get("steps")
    if steps is None:
        raise ConfigError(f"stage {name}: weights: last needs training.steps; it has training.epochs")
    return checkpoint_path(folder, steps)


def _without_overridden(words: Sequence[str]) -> tuple[str, ...]:
    """Of every setting the last word that sets it, so that runs of the same settings have the same command line."""
    last: dict[str, str] = {}
    for word in words:
        key = word.partition("=")[0]
        last.pop(key, None)
        last[key] = word
    return tuple(last.values())


def _start_from(before: _PlannedStage, values: Mapping[str, Any]) -> tuple[str, ...]:
    """How a run of these values takes over what the stage before it has trained.

    The same network is taken as a whole, a detector's by a method that trains one, too. Of another one the image
    encoder is taken, which methods that train no detector have among their own settings.
    """
    network = _network(values)
    if _network(before.values) == network:
        key = "initial_weights"
    else:
        key = "encoder.weights" if network == _DETECTOR else "method.encoder.weights"
    return (f"{key}={before.weights}",)


def _network(values: Mapping[str, Any]) -> str:
    """What a run trains: a detector, or what a method of pre-training has, by the method's name."""
    if values.get("kind") != "pretraining":
        return _DETECTOR
    name = str((values.get("method") or {}).get("name", DEFAULT_METHOD))
    return _DETECTOR if find_method(name).trains_detector else name


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
        arguments += ("--choose-on", *map(str, test.choose_on)) if test.choose_on else ()
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


def _scene_steps(experiment: Experiment, read: Sequence[object]) -> list[Step]:
    """The sets of scenes of which a file is named in what runs read."""
    files = [Path(text) for text in _texts(read)]
    sets = [scenes for scenes in experiment.scenes if any(file.is_relative_to(scenes.folder) for file in files)]
    return [_scene_step(scenes) for scenes in sets]


def _texts(content: object) -> Iterator[str]:
    """All texts in nested values."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        yield from _texts(list(content.values()))
    elif isinstance(content, Sequence):
        for each in content:
            yield from _texts(each)


def _scene_step(scenes: SceneSet) -> Step:
    arguments = (scenes.config, *scenes.overrides, *(("--glyphs",) if scenes.glyphs else ()))
    arguments += (
        "--output",
        str(scenes.folder),
        "--count",
        str(scenes.count),
        "--seed",
        str(scenes.seed),
        "--overwrite",
    )
    title = f"scenes {scenes.folder}"
    return Step("scenes", title, "generate", arguments, scenes.folder, scenes.folder / "records.jsonl")


def _digest(content: object) -> str:
    """Ten hexadecimal digits that stand for settings."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
