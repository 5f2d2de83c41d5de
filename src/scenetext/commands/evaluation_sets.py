"""Which sets a detector, or a file of detections, is measured on, and how each of them is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scenetext.config import Settings, load_settings
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.errors import ConfigError, did_you_mean
from scenetext.evaluation.files.submission import SubmissionFormat
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.rules import Protocol
from scenetext.tasks.evaluation_settings import DatasetEvaluationSettings, EvaluationSettings


class EvaluationSetsFile(Settings):
    """A file of sets for `scenetext evaluate --datasets`."""

    datasets: dict[str, DatasetEvaluationSettings]
    """By name; they add to, and replace, those of the run."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says about all sets; it overrides the settings of one.

    Attributes:
        protocols: names of rules; empty: as set.
        threshold: the fixed one; None: as set.
        choose_on: record files to choose a threshold on; empty: as set.
        submission: format of a result file; None: as set.
    """

    protocols: Sequence[str] = ()
    threshold: float | None = None
    choose_on: Sequence[Path] = ()
    submission: SubmissionFormat | None = None


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """One set and how it is measured.

    Attributes:
        name: also of its folder of results.
        records: record files.
        choose_on: record files of another set, to choose a threshold on.
        protocols: the rules, at least one.
        threshold: the fixed score threshold.
        thresholds: all that are tried, rising; `threshold` is among them.
        test_size: None: as the run has it.
        submission: format of a result file, if one is to be written.
    """

    name: str
    records: tuple[Path, ...]
    choose_on: tuple[Path, ...]
    protocols: tuple[Protocol, ...]
    threshold: float
    thresholds: tuple[float, ...]
    test_size: EvaluationTransformSettings | None = None
    submission: SubmissionFormat | None = None


@dataclass(frozen=True, slots=True)
class SetSources:
    """Where sets come from.

    Attributes:
        named: items NAME=RECORDS, RECORDS or NAME, of the command line.
        records: record files of one set without a name, of the command line.
        file: a file of sets.
        default: record files where nothing else says what to measure on.
    """

    named: Sequence[str] = ()
    records: Sequence[Path] = ()
    file: Path | None = None
    default: Sequence[Path] = field(default=())


def evaluation_sets(sources: SetSources, evaluation: EvaluationSettings, choices: Choices) -> list[EvaluationSet]:
    """The sets to measure, in order.

    Those named on the command line; where none is, all that the file or the run describes; where there are none, the
    default ones as `validation`.

    Args:
        evaluation: of the run; holds for every set as far as that says nothing else.

    Raises:
        ConfigError: a set without records, two of one name, an unknown rule, a file that cannot be used, or nothing to
            measure at all.
    """
    described = dict(evaluation.datasets)
    if sources.file is not None:
        described.update(load_settings(EvaluationSetsFile, sources.file).datasets)
    chosen: dict[str, DatasetEvaluationSettings] = {}
    if sources.records:
        chosen["records"] = DatasetEvaluationSettings(records=tuple(sources.records))
    for item in sources.named:
        name, settings = _named_set(item, described)
        if name in chosen:
            raise ConfigError(f"two datasets are named {name}; write --dataset NAME=RECORDS with another name")
        chosen[name] = settings
    if not chosen and not described and sources.default:
        described = {"validation": DatasetEvaluationSettings(records=tuple(sources.default))}
    if not chosen and not described:
        raise ConfigError("no dataset to measure on: write --dataset NAME=RECORDS")
    return [_resolved(name, settings, evaluation, choices) for name, settings in (chosen or described).items()]


def _named_set(item: str, described: Mapping[str, DatasetEvaluationSettings]) -> tuple[str, DatasetEvaluationSettings]:
    """The set that NAME=RECORDS, RECORDS or NAME means; several record files are separated by commas."""
    name, separator, records = item.partition("=")
    if not separator and item in described:
        return item, described[item]
    if not separator:
        if not Path(item).is_file():
            hint = did_you_mean(item, described)
            raise ConfigError(f"--dataset {item}: neither a record file nor a dataset that the run describes{hint}")
        name, records = Path(item).stem, item
    if not name or not records or Path(name).name != name:
        raise ConfigError(f"--dataset {item}: write NAME=RECORDS, the name without folders")
    files = tuple(Path(file) for file in records.split(","))
    return name, described.get(name, DatasetEvaluationSettings()).model_copy(update={"records": files})


def _resolved(
    name: str, settings: DatasetEvaluationSettings, evaluation: EvaluationSettings, choices: Choices
) -> EvaluationSet:
    if not settings.records:
        raise ConfigError(
            f"dataset {name}: has no records; set evaluation.datasets.{name}.records or write NAME=RECORDS"
        )
    names = choices.protocols or settings.protocols or (evaluation.protocol,)
    given = (choices.threshold, settings.threshold, evaluation.threshold)
    threshold = next(value for value in given if value is not None)
    tried = settings.thresholds or evaluation.thresholds
    return EvaluationSet(
        name=name,
        records=settings.records,
        choose_on=tuple(choices.choose_on) or settings.choose_on,
        protocols=tuple(find_protocol(protocol) for protocol in dict.fromkeys(names)),
        threshold=threshold,
        thresholds=tuple(sorted({*tried, threshold})),
        test_size=settings.evaluation_transform,
        submission=choices.submission or settings.submission,
    )
