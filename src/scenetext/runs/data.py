"""The records that a run learns from and is measured on: read, combined, looked through, and told about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from scenetext.data.loading.combination import Part, TrainingSet, chosen_images, parts_of
from scenetext.data.preparation.check_cache import checked_records
from scenetext.data.preparation.checks import RecordsCheck
from scenetext.data.preparation.datasets import dataset_summary
from scenetext.data.records.files import JoinedRecords, RecordFiles, RecordView
from scenetext.distributed import Processes
from scenetext.errors import DataError
from scenetext.pretraining.oclip.targets import usable_texts
from scenetext.pretraining.oclip.weak_supervision import keep_share_of_words
from scenetext.runs.settings import DataSettings, PretrainingRun, Run
from scenetext.structures import ImageRecord
from scenetext.text.charset import CharacterSet


@dataclass(frozen=True, slots=True)
class RunRecords:
    """The data of a run.

    Attributes:
        training, validation: records.
        parts: the datasets that the training records are of, and what an epoch shows of each.
        remarks: what is worth telling about them.
    """

    training: Sequence[ImageRecord]
    validation: Sequence[ImageRecord]
    parts: tuple[Part, ...]
    remarks: tuple[str, ...]


def read_run_records(run: Run, characters: CharacterSet | None, processes: Processes | None = None) -> RunRecords:
    """What a run learns from and is measured on, looked through.

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
    words: list[str] = []
    if isinstance(run, PretrainingRun) and characters is not None:
        sets, validation, words = _with_words(run, characters, sets, validation)
    else:
        _check_all_instances(run.data, sets, validation, check)
    parts = parts_of(run.data.train, [len(records) for records in sets], run.data.epoch_images)
    joined = sets[0] if len(sets) == 1 else JoinedRecords(sets)
    return RunRecords(joined, validation, parts, (*check.remarks, *_remarks(run.data, parts), *words))


def training_sets(data: DataSettings) -> list[Sequence[ImageRecord]]:
    """The records of every dataset to learn from, those of its share alone; they stay on disk until they are asked for.

    Raises:
        DataError: a file cannot be read or has no images, or there are no datasets.
    """
    if not data.train:
        raise DataError("data.train names no dataset to learn from")
    return [_shared(one, read_all_records([one.records], "training")) for one in data.train]


def read_all_records(paths: Sequence[Path], purpose: str) -> RecordFiles:
    """The records of several files, one after the other; they stay on disk until they are asked for.

    Raises:
        DataError: a file cannot be read, or there are no images at all.
    """
    records = RecordFiles(paths)
    if not records:
        raise DataError(f"no images for {purpose} in: {', '.join(map(str, paths))}")
    return records


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What the checks of a run's files found.

    Attributes:
        files: by records file; none where nothing was checked.
        remarks: what is worth telling.
    """

    files: Mapping[Path, RecordsCheck]
    remarks: tuple[str, ...]


def check_run_files(data: DataSettings) -> DataCheck:
    """Checks every records file of a run once; nothing where `data.check` is off.

    Raises:
        DataError: a file cannot be read, has broken lines, or more faulty images than `data.maximum_faulty_share`
            allows; they are counted, and the first ones listed.
    """
    checks: dict[Path, RecordsCheck] = {}
    remarks: list[str] = []
    for path in dict.fromkeys([*(one.records for one in data.train), *data.validation] if data.check else []):
        check = checks[path] = checked_records(path, data.check_folder, remarks.append)
        _refuse_faulty(path, check, data.maximum_faulty_share)
        remarks += _check_remarks(path, check)
    return DataCheck(checks, tuple(remarks))


def describe_faulty_images(check: RecordsCheck) -> str:
    """How many images cannot be learnt from, and why."""
    return (
        f"{check.faulty_images} of {check.images} images cannot be used: {check.missing} missing, "
        f"{check.unreadable} unreadable, {check.other_size} of another size than their record says"
    )


def _refuse_faulty(path: Path, check: RecordsCheck, maximum_share: float) -> None:
    listed = "".join(f"\n  {fault}" for fault in check.faults)
    if check.broken_lines:
        raise DataError(f"{check.broken_lines} lines are broken; the first faults:{listed}", path)
    if check.faulty_images > maximum_share * check.images:
        raise DataError(
            f"{describe_faulty_images(check)}, more than data.maximum_faulty_share = {maximum_share:g} allows; "
            f"the first:{listed}",
            path,
        )


def _check_remarks(path: Path, check: RecordsCheck) -> list[str]:
    remarks = []
    if check.faulty_images:
        listed = "".join(f"\n  {fault}" for fault in check.faults)
        remarks.append(f"warning: {path}: {describe_faulty_images(check)}; the first:{listed}")
    odd = {"cross themselves": check.crossing, "have no area": check.flat, "lie outside the image": check.outside}
    if any(odd.values()):
        counts = ", ".join(f"{count} {what}" for what, count in odd.items() if count)
        remarks.append(f"warning: {path}: of the polygons, {counts}")
    return remarks


def check_instances(records: Sequence[ImageRecord], purpose: str) -> None:
    """Looks through all records before a detector is trained or measured on them.

    Args:
        purpose: training, validation or the like, for messages; with the file, where there are several.

    Raises:
        DataError: a line is broken, or every instance is marked as ignored.
    """
    summary = dataset_summary(tqdm(records, purpose, unit="image", delay=1, disable=None))
    if summary.words and summary.ignored == summary.words:
        raise DataError(f"every one of the {summary.words} instances for {purpose} is marked as ignored")


def records_with_words(
    records: Sequence[ImageRecord], characters: CharacterSet, policy: Literal["skip", "stop"], purpose: str
) -> tuple[Sequence[ImageRecord], str]:
    """The records that pre-training can use, and a remark on what was left out.

    Args:
        policy: what a word with an unknown character leads to, see `usable_texts`.
        purpose: training or validation, for messages.

    Raises:
        CharacterError: a character outside the dictionary, where the run's policy is to stop.
        DataError: nothing remains.
    """
    usable, report = usable_texts(records, characters, policy)
    if not usable:
        raise DataError(f"no image for {purpose} has a word that pre-training could use: {report}")
    return usable, f"{purpose}: {report}"


def _check_all_instances(
    data: DataSettings, sets: Sequence[Sequence[ImageRecord]], validation: Sequence[ImageRecord], check: DataCheck
) -> None:
    """Refuses data of which every instance is ignored; looks through no file of which the check tells as much."""
    for one, records in zip(data.train, sets, strict=True):
        if one.share < 1 or one.records not in check.files or check.files[one.records].is_all_ignored:
            check_instances(records, f"training in {one.records}")
    if all(path not in check.files or check.files[path].is_all_ignored for path in data.validation):
        check_instances(validation, f"validation in {', '.join(map(str, data.validation))}")


def _shared(one: TrainingSet, records: Sequence[ImageRecord]) -> Sequence[ImageRecord]:
    if one.share == 1:
        return records
    return RecordView(records, chosen_images(len(records), one.share, one.share_seed))


def _with_words(
    run: PretrainingRun,
    characters: CharacterSet,
    sets: Sequence[Sequence[ImageRecord]],
    validation: Sequence[ImageRecord],
) -> tuple[list[Sequence[ImageRecord]], Sequence[ImageRecord], list[str]]:
    """The same records with nothing but words that the pre-training can use, and remarks."""
    policy, data = run.method.unknown_characters, run.data
    kept, remarks = [], []
    for one, records in zip(data.train, sets, strict=True):
        purpose = "training" if len(sets) == 1 else f"training: {one.records}"
        usable, remark = records_with_words(records, characters, policy, purpose)
        kept.append(keep_share_of_words(usable, data.word_share, data.word_share_seed))
        remarks.append(remark)
    validation, remark = records_with_words(validation, characters, policy, "validation")
    remarks.append(remark)
    if data.word_share < 1:
        share = f"{100 * data.word_share:g} % of each image's words, at least one"
        remarks.append(f"training: {share} (data.word_share_seed {data.word_share_seed})")
    return kept, validation, remarks


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
