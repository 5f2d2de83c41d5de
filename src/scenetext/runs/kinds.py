"""The kinds of run: all that differs between a pre-training and a detector's training, as one record for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from torch import nn

from scenetext.config import validate
from scenetext.contracts import DetectorSpec, PretrainingParts, PretrainingTask
from scenetext.detectors import find_detector
from scenetext.evaluation.named_rules import find_protocol
from scenetext.pretraining import find_method
from scenetext.runs.encoders import auxiliary_loss, build_encoder
from scenetext.runs.granularity import Granularity
from scenetext.runs.initial_weights import initialise_detector, initialise_pretraining
from scenetext.runs.settings import DetectionRun, DetectorPretrainingRun, PretrainingRun, Run, RunType
from scenetext.runs.usable import RunSets, sets_for_method, sets_to_read, sets_with_text
from scenetext.spotters.reader import with_reader
from scenetext.structures import ImageRecord
from scenetext.tasks.detection import DetectionTask
from scenetext.text.charset import CharacterSet

AnyTask = Any
"""A task of any kind: a `DetectionTask`, or what a pre-training method makes."""
TaskType = TypeVar("TaskType", bound=nn.Module)
AnyPretraining = PretrainingRun[Any, Any, Any]


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
        study: (task, records by the key of `data` that names them) -> looks through them before the start; remarks.
    """

    name: str
    dictionary: Callable[[RunType], str | None]
    characters: Callable[[RunType], CharacterSet | None]
    build: Callable[[RunType, CharacterSet | None, bool], TaskType]
    initialise: Callable[[TaskType, RunType, Granularity], list[str]]
    starts_trained: Callable[[RunType], bool]
    usable: Callable[[RunType, CharacterSet | None, RunSets], RunSets]
    study: Callable[[TaskType, Mapping[str, Sequence[ImageRecord]]], list[str]]


def kind_of(run: Run) -> Kind[Any, Any]:
    """The kind of a run."""
    return KINDS[run.kind]


def read_characters(run: Run) -> CharacterSet | None:
    """The characters that a run knows, read from its dictionary; None for a run without any.

    Raises:
        DataError: the dictionary cannot be read or is broken.
    """
    return kind_of(run).characters(run)


def build_pretraining_task(run: AnyPretraining, characters: CharacterSet | None = None, augment: bool = True) -> Any:
    """The task of a run's method; without `characters`, the run's dictionary is read."""
    known = _method_characters(run) if characters is None else characters
    detection = _detector_of(run, augment) if isinstance(run, DetectorPretrainingRun) else None
    return find_method(run.method.name).task(PretrainingParts(run, known, augment, detection))


def build_detection_task(
    run: DetectionRun[Any, Any], characters: CharacterSet | None = None, augment: bool = True
) -> DetectionTask:
    """A detector on its encoder, with a reader where the run has one; without `characters`, its dictionary is read."""
    spec, config = known_detector(run, characters)
    return _detector_of(run.model_copy(update={"detector": config}), augment, spec)


def known_detector(run: DetectionRun[Any, Any], characters: CharacterSet | None = None) -> tuple[DetectorSpec, Any]:
    """The detector of a run, with its reader where it has one, and its settings with the characters that it knows."""
    spec, config = find_detector(run.detector.name), run.detector
    known = _read_by(run) if characters is None else characters
    if known is not None and run.reader is not None:
        spec = with_reader(spec, run.reader, known)
    elif known is not None and spec.reads:
        values = {**config.model_dump(mode="json"), "alphabet": "".join(known.characters), "alphabet_file": None}
        config = validate(type(config), values, "detector")
    return spec, config


def known_characters(content: Mapping[str, Any], path: Path) -> CharacterSet | None:
    """The characters that a stored model knows; None where its run knows none, or stored none as earlier versions."""
    known = content.get("characters")
    return CharacterSet(known, path) if known else None


def _detector_of(run: Any, augment: bool, spec: DetectorSpec | None = None) -> DetectionTask:
    """The task of the detector that a run of either kind describes."""
    return DetectionTask(
        build_encoder(run.encoder),
        spec or find_detector(run.detector.name),
        run.detector,
        run.transform,
        run.evaluation_transform,
        run.evaluation,
        augment,
        auxiliary_loss(run.encoder),
    )


def _method_characters(run: AnyPretraining) -> CharacterSet | None:
    if _method_dictionary(run) is None:
        return None
    file: Path | None = run.method.characters
    return CharacterSet.english() if file is None else CharacterSet.from_file(file)


def _method_dictionary(run: AnyPretraining) -> str | None:
    return "method.characters" if "characters" in type(run.method).model_fields else None


def _usable_for_method(run: AnyPretraining, characters: CharacterSet | None, sets: RunSets) -> RunSets:
    known = _method_characters(run) if characters is None else characters
    return sets_for_method(run, find_method(run.method.name), known, sets)


def _usable_text(run: DetectionRun[Any, Any], characters: CharacterSet | None, sets: RunSets) -> RunSets:
    usable = sets_with_text(run, sets)
    spec, config = known_detector(run, characters)
    if (unread := spec.unread) is not None:
        policy = (run.reader or config).unknown_characters
        usable = sets_to_read(lambda instance: unread(instance, config), policy, usable)
    rule = find_protocol(run.evaluation.protocol)
    return replace(usable, remarks=(*usable.remarks, f"{rule.name}: {rule.note}")) if rule.note else usable


def _read_by(run: DetectionRun[Any, Any]) -> CharacterSet | None:
    """The characters of its reader, or of a detector that reads by itself."""
    if run.reader is not None:
        return run.reader.alphabet()
    found: CharacterSet | None = run.detector.characters if find_detector(run.detector.name).reads else None
    return found


def _dictionary_key(run: DetectionRun[Any, Any]) -> str | None:
    if run.reader is not None:
        return "reader.characters"
    return "detector.alphabet_file" if find_detector(run.detector.name).reads else None


PRETRAINING: Kind[AnyPretraining, Any] = Kind(
    name="pretraining",
    dictionary=_method_dictionary,
    characters=_method_characters,
    build=build_pretraining_task,
    initialise=initialise_pretraining,
    starts_trained=lambda run: run.initial_weights is not None,
    usable=_usable_for_method,
    study=lambda task, records: cast(PretrainingTask, task).study(records),
)
DETECTION: Kind[DetectionRun[Any, Any], DetectionTask] = Kind(
    name="detection",
    dictionary=_dictionary_key,
    characters=_read_by,
    build=build_detection_task,
    initialise=initialise_detector,
    starts_trained=lambda run: run.initial_weights is not None,
    usable=_usable_text,
    study=lambda _task, _records: [],
)
KINDS: Mapping[str, Kind[Any, Any]] = MappingProxyType({kind.name: kind for kind in (PRETRAINING, DETECTION)})
