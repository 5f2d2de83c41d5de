"""The records that a run learns from and is measured on: read, checked, combined, and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scenetext.config import Settings
from scenetext.data.loading.combination import Part, TrainingSet, parts_of
from scenetext.data.loading.orders import chosen_images
from scenetext.data.loading.settings import DataSettings
from scenetext.data.records.files import RecordFile, RecordFiles, RecordView
from scenetext.data.records.index import records_index
from scenetext.data.records.results import Add
from scenetext.distributed import Processes
from scenetext.errors import DataError
from scenetext.runs.kinds import kind_of
from scenetext.runs.settings import Run
from scenetext.runs.shared_images import refuse_shared_images, shared_images
from scenetext.runs.usable import RecordSet, RunSets, check_run_files, joined
from scenetext.structures import ImageRecord
from scenetext.text.charset import CharacterSet


@dataclass(frozen=True, slots=True)
class RunRecords:
    """The data of a run.

    Attributes:
        training, validation: records.
        parts: the datasets that the training records are of, and what an epoch shows of each.
        remarks: what is worth reporting about them.
        contents: hash of each records file.
        beside: records of further keys, see `DataSettings.beside`.
    """

    training: Sequence[ImageRecord]
    validation: Sequence[ImageRecord]
    parts: tuple[Part, ...]
    remarks: tuple[str, ...]
    contents: Mapping[Path, str]
    beside: Mapping[str, Sequence[ImageRecord]] = field(default_factory=dict)


def read_run_records(run: Run, characters: CharacterSet | None, processes: Processes | None = None) -> RunRecords:
    """What a run learns from and is measured on, checked.

    Args:
        characters: the dictionary of a pre-training; None for a detector.
        processes: of the run; the first one alone looks through files and images, while the others wait; then these
            find what it kept.

    Raises:
        DataError: a file cannot be read or has nothing to learn from.
        CharacterError: a character outside the dictionary, where the run's policy is to stop.
        ConfigError: a weight that gives a dataset no image of an epoch.
    """
    data, processes = run.data, processes or Processes()
    check = processes.once(lambda: check_run_files(data))

    def usable() -> RunSets:
        training, validation = training_sets(data), file_sets(data.validation, data.check_folder, "validation")
        remarks = tuple(shared_images(training, validation))
        beside = {key: _chosen_sets(sets, data) for key, sets in data.sets_beside.items() if sets}
        for key, sets in beside.items():
            refuse_shared_images(sets, validation, f"data.{key}")
        return kind_of(run).usable(run, characters, RunSets(training, validation, check, remarks, beside))

    sets = processes.in_turn(usable)
    parts = parts_of(data.train, [len(one.records) for one in sets.training], data.epoch_images)
    remarks = (*check.remarks, *_remarks(data, parts), *sets.remarks)
    beside = {key: joined(named) for key, named in sets.beside.items()}
    return RunRecords(joined(sets.training), joined(sets.validation), parts, remarks, check.contents, beside)


def training_sets(data: DataSettings) -> list[RecordSet]:
    """The records of every dataset to learn from, those of its share alone; they stay on disk until they are read.

    Raises:
        DataError: a file cannot be read or has no images, or there are no datasets.
    """
    if not data.train:
        raise DataError("data.train names no dataset to learn from")
    return _chosen_sets(data.train, data)


def _chosen_sets(sets: Sequence[TrainingSet], data: DataSettings) -> list[RecordSet]:
    return [_shared(one, _file_set(one.records, data.check_folder)) for one in sets]


def file_sets(paths: Sequence[Path], check_folder: Path | None, purpose: str) -> list[RecordSet]:
    """The records of every file; they stay on disk until they are read.

    Args:
        check_folder: where indexes of the files are kept; None = beside them.

    Raises:
        DataError: a file cannot be read, or there are no images at all.
    """
    sets = [_file_set(path, check_folder) for path in paths]
    _refuse_none(sum(len(one.records) for one in sets), paths, purpose)
    return sets


def read_all_records(paths: Sequence[Path], purpose: str) -> RecordFiles:
    """The records of several files, one after the other; they stay on disk until they are read.

    Raises:
        DataError: a file cannot be read, or there are no images at all.
    """
    records = RecordFiles(paths)
    _refuse_none(len(records), paths, purpose)
    return records


def _refuse_none(count: int, paths: Sequence[Path], purpose: str) -> None:
    if not count:
        raise DataError(f"no images for {purpose} in: {', '.join(map(str, paths))}")


def _file_set(path: Path, check_folder: Path | None) -> RecordSet:
    # What cannot be kept is reported where a run's files are checked.
    index = records_index(path, check_folder, lambda _: None)
    return RecordSet(path, RecordFile(path, index.starts), index.results)


def _shared(one: TrainingSet, whole: RecordSet) -> RecordSet:
    """The share of a dataset that is learnt from."""
    count = len(whole.records)
    _refuse_none(count, [one.records], "training")
    if one.share == 1:
        return whole

    def make(add: Add) -> Settings:
        add(chosen_images(count, one.share, one.share_seed))
        return Settings()

    part = f"share_{one.share!r}_{one.share_seed}"
    _, rows = whole.results.get(part, Settings, make)
    return RecordSet(one.records, RecordView(whole.records, rows), whole.results.of_part(part))


def _remarks(data: DataSettings, parts: Sequence[Part]) -> list[str]:
    """What an epoch shows of every dataset; nothing where that is every image once of a single one."""
    if len(parts) == 1 and data.train[0] == TrainingSet(records=data.train[0].records):
        return []
    total = sum(part.shown for part in parts)
    remarks = [_remark(one, part, total) for one, part in zip(data.train, parts, strict=True)]
    return [*remarks, f"training: an epoch shows {total} images"]


def _remark(one: TrainingSet, part: Part, total: int) -> str:
    details = [] if one.share == 1 else [f"share {one.share:g}, seed {one.share_seed}"]
    if one.weight is None:
        often = "once" if one.repeat == 1 else f"{one.repeat} times"
    else:
        details.append(f"weight {one.weight:g}")
        often = f"{part.shown} of an epoch's {total} images ({part.shown / part.images:.3g} times each)"
    settings = f" ({'; '.join(details)})" if details else ""
    return f"training: {part.images} images of {one.records}{settings}, {often}"
