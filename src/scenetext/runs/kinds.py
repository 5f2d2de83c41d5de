"""The kinds of run: all that differs between a pre-training and a detector's training, as one record for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from torch import nn

from scenetext.detectors import find_detector
from scenetext.evaluation.named_rules import find_protocol
from scenetext.runs.encoders import auxiliary_loss, build_encoder
from scenetext.runs.granularity import Granularity
from scenetext.runs.initial_weights import initialise_detector
from scenetext.runs.settings import DetectionRun, PretrainingRun, Run, RunType
from scenetext.runs.usable import RunSets, sets_to_read, sets_with_text, sets_with_words
from scenetext.spotters.reader import with_reader
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.text.charset import CharacterSet

AnyTask = PretrainingTask | DetectionTask
TaskType = TypeVar("TaskType", bound=nn.Module)


@dataclass(frozen=True)
class Kind(Generic[RunType, TaskType]):
    """A kind of run.

    A run that knows characters reads its dictionary once and passes it on; its checkpoints hold it.

    Attributes:
        name: value of the key `kind` in its configs and checkpoints.
        dictionary: run -> the key of its settings that names the file of its character dictionary; None = it knows no
            characters.
        characters: run -> the characters that it knows, from this file.
        build: (run, characters, augment) -> the task, with random weights.
        initialise: (task, run, its labels) -> loads the weights that the run starts from; what fitted, a line each.
        starts_trained: run -> whether those are of a whole network, which can be evaluated before the first step.
        usable: (run, characters, datasets) -> the usable part of them, with remarks.
    """

    name: str
    dictionary: Callable[[RunType], str | None]
    characters: Callable[[RunType], CharacterSet | None]
    build: Callable[[RunType, CharacterSet | None, bool], TaskType]
    initialise: Callable[[TaskType, RunType, Granularity], list[str]]
    starts_trained: Callable[[RunType], bool]
    usable: Callable[[RunType, CharacterSet | None, RunSets], RunSets]


def kind_of(run: Run) -> Kind[Any, Any]:
    """The kind of a run."""
    return KINDS[run.kind]


def read_characters(run: Run) -> CharacterSet | None:
    """The characters that a run knows, read from its dictionary; None for a run without any.

    Raises:
        DataError: the dictionary cannot be read or is broken.
    """
    return kind_of(run).characters(run)


def build_pretraining_task(
    run: PretrainingRun, characters: CharacterSet | None = None, augment: bool = True
) -> PretrainingTask:
    """The oCLIP model with its losses, preparation and metric; without `characters`, the run's dictionary is read."""
    return PretrainingTask(run.method, _known(run, characters), run.transform, augment)


def build_detection_task(
    run: DetectionRun[Any, Any], characters: CharacterSet | None = None, augment: bool = True
) -> DetectionTask:
    """A detector on its encoder, with a reader where the run has one; without `characters`, its dictionary is read."""
    spec = find_detector(run.detector.name)
    if run.reader is not None:
        spec = with_reader(spec, run.reader, run.reader.alphabet() if characters is None else characters)
    return DetectionTask(
        build_encoder(run.encoder),
        spec,
        run.detector,
        run.transform,
        run.evaluation_transform,
        run.evaluation,
        augment,
        auxiliary_loss(run.encoder),
    )


def _characters_of(dictionary: Path | None) -> CharacterSet:
    return CharacterSet.english() if dictionary is None else CharacterSet.from_file(dictionary)


def _known(run: PretrainingRun, characters: CharacterSet | None) -> CharacterSet:
    return _characters_of(run.method.characters) if characters is None else characters


def _usable_words(run: PretrainingRun, characters: CharacterSet | None, sets: RunSets) -> RunSets:
    return sets_with_words(run, _known(run, characters), sets)


def _usable_text(run: DetectionRun[Any, Any], characters: CharacterSet | None, sets: RunSets) -> RunSets:
    usable = sets_with_text(run, sets)
    if run.reader is not None and characters is not None:
        usable = sets_to_read(run.reader, characters, usable)
    rule = find_protocol(run.evaluation.protocol)
    return replace(usable, remarks=(*usable.remarks, f"{rule.name}: {rule.note}")) if rule.note else usable


def _reader_characters(run: DetectionRun[Any, Any]) -> CharacterSet | None:
    return None if run.reader is None else run.reader.alphabet()


def _reader_dictionary(run: DetectionRun[Any, Any]) -> str | None:
    return None if run.reader is None else "reader.characters"


def _initialise_encoder(task: PretrainingTask, run: PretrainingRun, labels: Granularity) -> list[str]:
    return task.encoder.load_weights()


PRETRAINING: Kind[PretrainingRun, PretrainingTask] = Kind(
    name="pretraining",
    dictionary=lambda _: "method.characters",
    characters=lambda run: _characters_of(run.method.characters),
    build=build_pretraining_task,
    initialise=_initialise_encoder,
    starts_trained=lambda _: False,
    usable=_usable_words,
)
DETECTION: Kind[DetectionRun[Any, Any], DetectionTask] = Kind(
    name="detection",
    dictionary=_reader_dictionary,
    characters=_reader_characters,
    build=build_detection_task,
    initialise=initialise_detector,
    starts_trained=lambda run: run.initial_weights is not None,
    usable=_usable_text,
)
KINDS: Mapping[str, Kind[Any, Any]] = MappingProxyType({kind.name: kind for kind in (PRETRAINING, DETECTION)})
