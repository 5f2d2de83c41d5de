"""Checks of a dataset before training: are its images there, and what are its words like?

Of images only the headers are read. `check_cache.py` keeps the result with the index of the records file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt
from tqdm import tqdm

from scenetext.data.preparation.plausibility import TextCounts, TextTally, doubts
from scenetext.data.preparation.processes import in_ranges
from scenetext.data.records.files import RecordFile
from scenetext.data.records.shards import record_image_size
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord
from scenetext.text.charset import CharacterSet, describe

FAULTS_LISTED = 20
"""Faults that a check quotes; the rest is only counted."""
_THREADS = 16
"""Headers are read from disk or network: mostly waiting, so more threads than cores."""
_LOOKED_AT_AGAIN = 1000
"""Faulty images that a start looks at again."""
_CHARACTERS_SHOWN = 20
_WIDTH = 34
"""Characters of the names in a report."""

ImageFault = Literal["missing", "unreadable", "other_size"]


class RecordsCheck(TextCounts):
    """What is in a records file, and what is wrong with it."""

    broken_lines: NonNegativeInt = 0
    """Lines that are no records."""
    missing: NonNegativeInt = 0
    """Images whose file does not exist."""
    unreadable: NonNegativeInt = 0
    """Images whose header cannot be read."""
    other_size: NonNegativeInt = 0
    """Images of another size than their record says."""
    faults: tuple[str, ...] = ()
    """The first broken lines and faulty images, one message each."""
    faulty: dict[NonNegativeInt, ImageFault] = Field(default_factory=dict)
    """By its number in the file, from 0, what is wrong with each faulty image."""
    characters: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """How often each character occurs in the words."""

    @property
    def faulty_images(self) -> int:
        """Images that cannot be learnt from."""
        return self.missing + self.unreadable + self.other_size

    @property
    def reasons(self) -> list[str]:
        """Why a training could not use the file as it is."""
        reasons = [] if self.images else ["it has no images"]
        if self.broken_lines:
            reasons.append("lines are broken")
        if self.faulty_images:
            reasons.append(f"{self.faulty_images} of {self.images} images cannot be used")
        return reasons + [doubt.cause for doubt in doubts(self) if doubt.is_mistake]

    @property
    def is_usable(self) -> bool:
        """Whether nothing is wrong that would cost images or stop a training."""
        return not self.reasons


def check_records(records: RecordFile) -> RecordsCheck:
    """Looks through a records file and at the headers of its images; a progress bar shows how far it is.

    Raises:
        DataError: the file cannot be read. Broken lines are counted instead.
    """
    tally = _Tally()
    name = f"checking {records.path.name}"
    with tqdm(total=len(records), desc=name, unit="image", delay=1, disable=None) as progress:
        for part in in_ranges(partial(_check_range, records), len(records)):
            tally.include(part)
            progress.update(part.images)
    return tally.result()


def _check_range(records: RecordFile, indices: range) -> _Tally:
    tally = _Tally()
    readable = tally.read(records, indices)
    with ThreadPoolExecutor(_THREADS) as threads:
        for (index, record), fault in zip(readable.items(), threads.map(_image_fault, readable.values()), strict=True):
            tally.add(index, record, fault)
    tally.add_polygons(list(readable.values()))
    return tally


def has_same_faulty_images(records: RecordFile, check: RecordsCheck) -> bool:
    """Whether the images of a records file that were faulty in an earlier check still are, in the same way.

    Only these images are looked at (of many, a thousand, spread over all), a few at a time and until one differs: where
    a folder that was not mounted is back, the first ones show it.
    """
    every = -(-len(check.faulty) // _LOOKED_AT_AGAIN) or 1
    faulty = list(check.faulty.items())[::every]
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(faulty), _THREADS):
            part = faulty[start : start + _THREADS]
            found = threads.map(_image_fault, [records[index] for index, _ in part])
            if any(fault is None or fault[0] != kind for fault, (_, kind) in zip(found, part, strict=True)):
                return False
    return True


def check_report(path: Path, check: RecordsCheck, known: CharacterSet | None) -> list[str]:
    """Lines of a table, the first faults, and a verdict.

    Args:
        path: of the records file.
        known: a dictionary to check the words against.
    """
    rows = [
        ("images", check.images),
        ("  missing", check.missing),
        ("  unreadable", check.unreadable),
        ("  of another size than recorded", check.other_size),
        ("broken lines", check.broken_lines),
        ("words", check.instances),
        ("  ignored", check.ignored),
        ("  of unknown text", check.without_text),
        ("  without polygon", check.without_polygon),
        ("polygons that cross themselves", check.crossing),
        ("polygons without area", check.flat),
        ("polygons outside the image", check.outside),
        ("polygons smaller than a pixel", check.small),
    ]
    lines = [str(path), *(f"  {name:<{_WIDTH}}{count:>9}" for name, count in rows)]
    lines += _characters(check, known)
    if check.faults:
        lines += ["  the first faults:", *(f"    {fault}" for fault in check.faults)]
    lines += [f"  warning: {doubt.cause}" for doubt in doubts(check) if not doubt.is_mistake]
    return [*lines, f"  {verdict(check)}"]


def verdict(check: RecordsCheck) -> str:
    """Whether a training could use the file as it is, and why not."""
    return "usable" if check.is_usable else f"NOT USABLE as it is: {', '.join(check.reasons)}"


class _Tally(TextTally):
    """Counts what is in a records file."""

    def __init__(self) -> None:
        super().__init__()
        self._characters: Counter[str] = Counter()
        self._faults: list[str] = []
        self._faulty: dict[int, ImageFault] = {}

    def read(self, records: RecordFile, indices: Sequence[int]) -> dict[int, ImageRecord]:
        """The records that can be read, by their numbers."""
        readable = {}
        for index in indices:
            self._counts["images"] += 1
            try:
                readable[index] = records[index]
            except DataError as error:
                self._count_fault("broken_lines", str(error))
        return readable

    def add(self, index: int, record: ImageRecord, fault: tuple[ImageFault, str] | None) -> None:
        """Counts an image with its words."""
        if fault is not None:
            self._faulty[index] = fault[0]
            self._count_fault(*fault)
        self.add_words(record)
        for instance in record.instances:
            if not instance.ignore:
                self._characters.update("".join((instance.text or "").split()))

    def include(self, other: _Tally) -> None:
        """Adds what was counted in records that follow."""
        self.include_text(other)
        self._characters.update(other._characters)
        self._faults += other._faults[: FAULTS_LISTED - len(self._faults)]
        self._faulty |= other._faulty

    def result(self) -> RecordsCheck:
        """What was counted so far."""
        return RecordsCheck(
            **self._counts,
            texts=self.few_texts(),
            faults=tuple(self._faults),
            faulty=self._faulty,
            characters=dict(self._characters),
        )

    def _count_fault(self, kind: str, message: str) -> None:
        self._counts[kind] += 1
        if len(self._faults) < FAULTS_LISTED:
            self._faults.append(message)


def _image_fault(record: ImageRecord) -> tuple[ImageFault, str] | None:
    """What is wrong with an image, if anything, and a message that says so."""
    try:
        height, width = record_image_size(record)
    except ImageError as error:
        file = record.path if record.span is None else record.path.parent
        # Path.exists raises where a name is too long for a file.
        return ("unreadable" if os.path.exists(file) else "missing"), str(error)  # noqa: PTH110
    if (width, height) == (record.width, record.height):
        return None
    return "other_size", (
        f"{record.path}: image is {width} x {height} pixels (width x height), its record says "
        f"{record.width} x {record.height}"
    )


def _characters(check: RecordsCheck, known: CharacterSet | None) -> list[str]:
    lines = [f"  {'different characters':<{_WIDTH}}{len(check.characters):>9}"]
    if known is None:
        return lines
    unknown = {one: count for one, count in check.characters.items() if not known.knows(one)}
    lines.append(f"  {'  unknown to the dictionary':<{_WIDTH}}{len(unknown):>9}")
    ordered = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    lines += [f"    {describe(one)}: {count} times" for one, count in ordered[:_CHARACTERS_SHOWN]]
    if len(ordered) > _CHARACTERS_SHOWN:
        lines.append(f"    and {len(ordered) - _CHARACTERS_SHOWN} more")
    return lines
