"""Which of a run's records can be learnt from: what is faulty, and what has the words or the text that a run needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from scenetext.contracts import PretrainingSpec
from scenetext.data.loading.settings import DataSettings, PretrainingDataSettings
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
from scenetext.data.preparation.word_shares import keep_share_of_words
from scenetext.data.records.files import JoinedRecords
from scenetext.data.records.index import records_index
from scenetext.data.records.results import Results
from scenetext.errors import CharacterError, DataError
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.rules import Protocol, SpottingProtocol
from scenetext.recognition.recognizer import OUTSIDE_ALPHABET
from scenetext.runs.settings import DetectionRun, PretrainingRun
from scenetext.structures import ImageRecord, SkippedImage, TextInstance
from scenetext.text.charset import CharacterSet

Policy = Literal["skip", "stop"]
"""What becomes of a text with characters outside the alphabet: it is skipped, or it stops the run."""
_COUNTED_IMAGES = 10_000
"""Images of a dataset whose texts are counted for a reader: a start must not read all of a large collection."""


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What the checks of a run's files found.

    Attributes:
        contents: hash of each records file.
        files: by records file; none where nothing was checked.
        remarks: what is worth reporting.
    """

    contents: Mapping[Path, str]
    files: Mapping[Path, RecordsCheck]
    remarks: tuple[str, ...]


def check_run_files(data: DataSettings) -> DataCheck:
    """Makes the index of every records file of a run, where none holds, and checks the file unless `data.check` is off.

    Raises:
        DataError: a file cannot be read, has broken lines, or more faulty images than `data.maximum_faulty_share`
            allows; they are counted, and the first ones listed.
    """
    contents: dict[Path, str] = {}
    checks: dict[Path, RecordsCheck] = {}
    remarks: list[str] = []
    learnt = [one.records for sets in (data.train, *data.sets_beside.values()) for one in sets]
    for path in dict.fromkeys([*learnt, *data.validation]):
        index = records_index(path, data.check_folder, remarks.append)
        contents[path] = index.content
        if data.check:
            check = checks[path] = checked_records(path, index)
            _refuse_faulty(path, check, data.maximum_faulty_share)
            remarks += _check_remarks(path, check)
    return DataCheck(contents, checks, tuple(dict.fromkeys(remarks)))


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
class RecordSet:
    """Records of one file.

    Attributes:
        path: the file.
        records: all of the file's, or some.
        results: about these records.
    """

    path: Path
    records: Sequence[ImageRecord]
    results: Results


@dataclass(frozen=True, slots=True)
class RunSets:
    """The datasets of a run.

    Attributes:
        training: in the order of the settings.
        validation: what to be measured on.
        check: what was found when their files were looked through.
        remarks: what is worth reporting about them.
        beside: those of further keys, see `DataSettings.beside`.
    """

    training: list[RecordSet]
    validation: list[RecordSet]
    check: DataCheck
    remarks: tuple[str, ...] = ()
    beside: Mapping[str, list[RecordSet]] = field(default_factory=dict)


def joined(sets: Sequence[RecordSet]) -> Sequence[ImageRecord]:
    """The records of several sets, one after the other."""
    return sets[0].records if len(sets) == 1 else JoinedRecords([one.records for one in sets])


def sets_for_method(
    run: PretrainingRun[Any, Any, Any], spec: PretrainingSpec, characters: CharacterSet | None, sets: RunSets
) -> RunSets:
    """The same records with nothing but what a pre-training method can use, and remarks."""
    data = run.data
    kept: list[RecordSet] = []
    remarks = []
    for one in sets.training:
        purpose = "training" if len(sets.training) == 1 else f"training: {one.path}"
        (usable,), remark = usable_sets([one], spec, run.method, characters, purpose)
        kept.append(_share_of_words(usable, data))
        remarks.append(remark)
    for path, check in sets.check.files.items():
        remarks += [f"warning: {path}: {doubt.cause}" for doubt in doubts(check) if not doubt.spoils]
    validation, remark = usable_sets(sets.validation, spec, run.method, characters, "validation")
    remarks.append(remark)
    if isinstance(data, PretrainingDataSettings) and data.word_share < 1:
        share = f"{100 * data.word_share:g} % of each image's words, at least one"
        remarks.append(f"training: {share} (data.word_share_seed {data.word_share_seed})")
    return replace(sets, training=kept, validation=validation, remarks=(*sets.remarks, *remarks))


def usable_sets(
    sets: Sequence[RecordSet], spec: PretrainingSpec, settings: Any, characters: CharacterSet | None, purpose: str
) -> tuple[list[RecordSet], str]:
    """The records that a pre-training method can use, and a remark on what was dropped.

    Args:
        settings: of the method.
        purpose: training or validation, for messages.

    Raises:
        CharacterError: a character outside the dictionary, where the method's policy is to stop.
        DataError: nothing remains.
    """
    made = [spec.usable(one.records, settings, characters, one.results) for one in sets]
    usable = [replace(one, records=records) for one, (records, _) in zip(sets, made, strict=True)]
    report = made[0][1]
    for _, other in made[1:]:
        report += other
    if not report.images:
        raise DataError(f"no image for {purpose} has a word that pre-training could use: {report}")
    return usable, f"{purpose}: {report}"


def _share_of_words(one: RecordSet, data: DataSettings) -> RecordSet:
    """The part of a dataset's words that is learnt from, of a method that learns from words."""
    if not isinstance(data, PretrainingDataSettings):
        return one
    return replace(one, records=keep_share_of_words(one.records, data.word_share, data.word_share_seed))


def sets_with_text(run: DetectionRun[Any, Any], sets: RunSets) -> RunSets:
    """The same records; refuses sets that no detector could learn from or be measured on.

    A dataset may have no text, such as backgrounds beside others. Files whose check answers this are not read.
    """
    data, files = run.data, sets.check.files
    training = []
    for settings, one in zip(data.train, sets.training, strict=True):
        is_known = settings.share == 1 and one.path in files
        counts = files[one.path] if is_known else _text_counts(one, f"training in {one.path}")
        if counts.instances:
            refuse_implausible(counts, "detection", f"training in {one.path}")
        training.append(counts)
    refuse_implausible(sum_of(training), "detection", f"training in {_listed([one.records for one in data.train])}")
    purpose = f"validation in {_listed(data.validation)}"
    validation = [files.get(one.path) or _text_counts(one, purpose) for one in sets.validation]
    for use in uses_of([find_protocol(run.evaluation.protocol)]):
        refuse_implausible(sum_of(validation), use, purpose)
    return sets


def uses_of(protocols: Iterable[Protocol]) -> tuple[Use, ...]:
    """What rules look at: where texts are, and some also at what they say."""
    are_texts_scored = any(isinstance(protocol, SpottingProtocol) for protocol in protocols)
    return ("detection", "reading") if are_texts_scored else ("detection",)


def sets_to_read(unread: Callable[[TextInstance], str | None], policy: Policy, sets: RunSets) -> RunSets:
    """The same records, and a remark on the texts that no reader learns, among the first images of every dataset.

    Args:
        unread: why a text is not learnt, in words; None = it is.
        policy: what a text with a character outside the alphabet leads to.

    Raises:
        CharacterError: there is one, where the policy is to stop.
        DataError: none can be learnt.
    """
    counts: Counter[str | None] = Counter()
    seen = annotated = 0
    for one in sets.training:
        for record in islice(one.records, _COUNTED_IMAGES):
            seen += 1
            for instance in record.instances:
                reason = unread(instance)
                counts[reason] += 1
                annotated += reason is None and instance.characters is not None
                if reason == OUTSIDE_ALPHABET and policy == "stop":
                    message = f"the text {instance.text!r:.60} has characters outside the alphabet; add them to it, or"
                    raise CharacterError(f"{message} skip such texts (unknown_characters: skip)", record.path)
    learnt = counts.pop(None, 0)
    left_out = ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "none"
    if not learnt:
        raise DataError(f"the reader can learn none of the texts of the first {seen} training images: {left_out}")
    boxes = f", {annotated} of them with boxes of their characters" if annotated else ""
    remark = f"training: of the texts of {seen} images the reader learns {learnt}{boxes}; left out: {left_out}"
    return replace(sets, remarks=(*sets.remarks, remark))


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


def _text_counts(one: RecordSet, purpose: str) -> TextCounts:
    """What is in a set; the result is kept."""
    return one.results.get("text", TextCounts, lambda _: _counted(one.records, purpose))[0]


def _counted(records: Sequence[ImageRecord], purpose: str) -> TextCounts:
    return count_text(tqdm(records, purpose, unit="image", delay=1, disable=None))


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
