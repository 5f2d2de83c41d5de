"""Which of a run's records can be learnt from: what is faulty, and what has the words or the text that a run needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from scenetext.data.preparation.check_cache import checked_records
from scenetext.data.preparation.checks import RecordsCheck
from scenetext.data.preparation.plausibility import (
    TextCounts,
    Use,
    count_text,
    doubts,
    refuse_implausible,
    sum_of,
)
from scenetext.errors import DataError
from scenetext.pretraining.oclip.targets import usable_texts
from scenetext.pretraining.oclip.weak_supervision import keep_share_of_words
from scenetext.runs.settings import DataSettings, DetectionRun, PretrainingRun
from scenetext.structures import ImageRecord, SkippedImage
from scenetext.text.charset import CharacterSet


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What the checks of a run's files found.

    Attributes:
        files: by records file; none where nothing was checked.
        remarks: what is worth reporting.
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


@dataclass(frozen=True, slots=True)
class RunSets:
    """The datasets of a run.

    Attributes:
        training: the records of each, in the order of the settings.
        validation: all records to be measured on.
        check: what was found when their files were looked through.
        remarks: what is worth reporting about them.
    """

    training: list[Sequence[ImageRecord]]
    validation: Sequence[ImageRecord]
    check: DataCheck
    remarks: tuple[str, ...] = ()


def sets_with_words(run: PretrainingRun, characters: CharacterSet, sets: RunSets) -> RunSets:
    """The same records with nothing but words that a pre-training can use, and remarks."""
    policy, data = run.method.unknown_characters, run.data
    kept: list[Sequence[ImageRecord]] = []
    remarks = []
    for one, records in zip(data.train, sets.training, strict=True):
        purpose = "training" if len(sets.training) == 1 else f"training: {one.records}"
        usable, remark = records_with_words(records, characters, policy, purpose)
        kept.append(keep_share_of_words(usable, data.word_share, data.word_share_seed))
        remarks.append(remark)
    for path, check in sets.check.files.items():
        remarks += [f"warning: {path}: {doubt.cause}" for doubt in doubts(check) if not doubt.spoils]
    validation, remark = records_with_words(sets.validation, characters, policy, "validation")
    remarks.append(remark)
    if data.word_share < 1:
        share = f"{100 * data.word_share:g} % of each image's words, at least one"
        remarks.append(f"training: {share} (data.word_share_seed {data.word_share_seed})")
    return RunSets(kept, validation, sets.check, tuple(remarks))


def sets_with_text(run: DetectionRun[Any, Any], sets: RunSets) -> RunSets:
    """The same records; refuses sets that no detector could learn from or be measured on.

    A dataset may have no text, such as backgrounds beside others. Files whose check answers this are not read.
    """
    data, files = run.data, sets.check.files
    training = []
    for one, records in zip(data.train, sets.training, strict=True):
        is_known = one.share == 1 and one.records in files
        counts = files[one.records] if is_known else _counted(records, f"training in {one.records}")
        if counts.instances:
            refuse_implausible(counts, "detection", f"training in {one.records}")
        training.append(counts)
    refuse_implausible(sum_of(training), "detection", f"training in {_listed([one.records for one in data.train])}")
    purpose = f"validation in {_listed(data.validation)}"
    is_known = all(path in files for path in data.validation)
    counts = sum_of([files[path] for path in data.validation]) if is_known else _counted(sets.validation, purpose)
    refuse_implausible(counts, "detection", purpose)
    return sets


def check_plausible(records: Sequence[ImageRecord], uses: Iterable[Use], purpose: str) -> None:
    """Looks through all records before something is measured on them.

    Args:
        purpose: evaluation or the like, for messages; with the files.

    Raises:
        DataError: a line is broken, or the set as a whole is no good for one of the uses.
    """
    counts = _counted(records, purpose)
    for use in uses:
        refuse_implausible(counts, use, purpose)


def refuse_all_skipped(skipped: Sequence[SkippedImage], images: int, purpose: str) -> None:
    """Refuses to measure on images of which none could be read: all values would be 0, or those of no image.

    Args:
        images: how many there are.
        purpose: as of `check_plausible`.

    Raises:
        DataError: says why the first could not be read.
    """
    if len(skipped) == images:
        raise DataError(f"none of the {images} images for {purpose} can be read; the first: {skipped[0].reason}")


def _counted(records: Sequence[ImageRecord], purpose: str) -> TextCounts:
    return count_text(tqdm(records, purpose, unit="image", delay=1, disable=None))


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def records_with_words(
    records: Sequence[ImageRecord], characters: CharacterSet, policy: Literal["skip", "stop"], purpose: str
) -> tuple[Sequence[ImageRecord], str]:
    """The records that pre-training can use, and a remark on what was dropped.

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
