"""The records that a run learns from and is measured on: read, checked, combined, and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenetext.data.loading.combination import Part, TrainingSet, parts_of
from scenetext.data.loading.orders import chosen_images
from scenetext.data.records.files import JoinedRecords, RecordFiles, RecordView
from scenetext.distributed import Processes
from scenetext.errors import DataError
from scenetext.runs.kinds import kind_of
from scenetext.runs.settings import DataSettings, Run
from scenetext.runs.usable import RunSets, check_run_files
from scenetext.structures import ImageRecord
from scenetext.text.charset import CharacterSet


@dataclass(frozen=True, slots=True)
class RunRecords:
    """The data of a run.

    Attributes:
        training, validation: records.
        parts: the datasets that the training records are of, and what an epoch shows of each.
        remarks: what is worth reporting about them.
    """

    training: Sequence[ImageRecord]
    validation: Sequence[ImageRecord]
    parts: tuple[Part, ...]
    remarks: tuple[str, ...]


def read_run_records(run: Run, characters: CharacterSet | None, processes: Processes | None = None) -> RunRecords:
    """What a run learns from and is measured on, checked.

    Args:
        characters: the dictionary of a pre-training; None for a detector.
        processes: of the run; the first one alone checks files and images, while the others wait.

    Raises:
        DataError: a file cannot be read or has nothing to learn from.
        CharacterError: a character outside the dictionary, where the run's policy is to stop.
        ConfigError: a weight that gives a dataset no image of an epoch.
    """
    check = (processes or Processes()).once(lambda: check_run_files(run.data))
    sets = training_sets(run.data)
    validation: Sequence[ImageRecord] = read_all_records(run.data.validation, "validation")
    usable = kind_of(run).usable(run, characters, RunSets(sets, validation, check))
    sets, validation = usable.training, usable.validation
    parts = parts_of(run.data.train, [len(records) for records in sets], run.data.epoch_images)
    joined = sets[0] if len(sets) == 1 else JoinedRecords(sets)
    return RunRecords(joined, validation, parts, (*check.remarks, *_remarks(run.data, parts), *usable.remarks))


def training_sets(data: DataSettings) -> list[Sequence[ImageRecord]]:
    """The records of every dataset to learn from, those of its share alone; they stay on disk until they are read.

    Raises:
        DataError: a file cannot be read or has no images, or there are no datasets.
    """
    if not data.train:
        raise DataError("data.train names no dataset to learn from")
    return [_shared(one, read_all_records([one.records], "training")) for one in data.train]


def read_all_records(paths: Sequence[Path], purpose: str) -> RecordFiles:
    """The records of several files, one after the other; they stay on disk until they are read.

    Raises:
        DataError: a file cannot be read, or there are no images at all.
    """
    records = RecordFiles(paths)
    if not records:
        raise DataError(f"no images for {purpose} in: {', '.join(map(str, paths))}")
    return records


def _shared(one: TrainingSet, records: Sequence[ImageRecord]) -> Sequence[ImageRecord]:
    if one.share == 1:
        return records
    return RecordView(records, chosen_images(len(records), one.share, one.share_seed))


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
