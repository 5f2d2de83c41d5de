"""Checks of a dataset before training: are its images there, and what are its words like?

Of images only the headers are read. `check_cache.py` keeps the result beside the records file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import shapely
from pydantic import Field, NonNegativeInt
from tqdm import tqdm

from scenetext.config import Settings
from scenetext.data.records.files import RecordFiles
from scenetext.data.records.shards import record_image_size
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet, describe

FAULTS_LISTED = 20
"""Faults that a check quotes; the rest is only counted."""
_THREADS = 16
"""Headers are read from disk or network: mostly waiting, so more threads than cores."""
_CHUNK = 1024
_CHARACTERS_SHOWN = 20
_WIDTH = 34
"""Characters of the names in a report."""

ImageFault = Literal["missing", "unreadable", "other_size"]


class RecordsCheck(Settings):
    """What is in a records file, and what is wrong with it. Counts of words are of instances that are not ignored."""

    images: NonNegativeInt = 0
    """Images, those of broken lines included."""
    instances: NonNegativeInt = 0
    """Text instances, ignored ones included."""
    ignored: NonNegativeInt = 0
    """Instances that are neither learnt from nor scored."""
    without_text: NonNegativeInt = 0
    """Words of unknown transcription."""
    without_polygon: NonNegativeInt = 0
    """Words without a polygon."""
    crossing: NonNegativeInt = 0
    """Polygons whose outline crosses or touches itself."""
    flat: NonNegativeInt = 0
    """Polygons without an area: all points on one line."""
    outside: NonNegativeInt = 0
    """Polygons that lie wholly outside the image."""
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
    def is_all_ignored(self) -> bool:
        """Whether there is text, all of it marked as ignored."""
        return self.instances > 0 and self.ignored == self.instances

    @property
    def is_usable(self) -> bool:
        """Whether nothing is wrong that would cost images or stop a training."""
        return self.images > 0 and not (self.broken_lines or self.faulty_images or self.is_all_ignored)


def check_records(path: Path) -> RecordsCheck:
    """Looks through a records file and at the headers of its images; a progress bar shows how far it is.

    Raises:
        DataError: the file cannot be read. Broken lines are counted instead.
    """
    records = RecordFiles([path])
    tally = _Tally()
    with (
        ThreadPoolExecutor(_THREADS) as threads,
        tqdm(total=len(records), desc=f"checking {path.name}", unit="image", delay=1, disable=None) as progress,
    ):
        for start in range(0, len(records), _CHUNK):
            indices = range(start, min(start + _CHUNK, len(records)))
            readable = tally.read(records, indices)
            faults = threads.map(_image_fault, readable.values())
            for (index, record), fault in zip(readable.items(), faults, strict=True):
                tally.add(index, record, fault)
            tally.add_polygons(list(readable.values()))
            progress.update(len(indices))
    return tally.result()


def has_same_faulty_images(path: Path, check: RecordsCheck) -> bool:
    """Whether the images of a records file that were faulty in an earlier check still are, in the same way.

    Only these images are looked at, a few at a time and until one differs: where a folder that was not mounted is back,
    the first ones show it.
    """
    records, faulty = RecordFiles([path]), list(check.faulty.items())
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
    ]
    lines = [str(path), *(f"  {name:<{_WIDTH}}{count:>9}" for name, count in rows)]
    lines += _characters(check, known)
    if check.faults:
        lines += ["  the first faults:", *(f"    {fault}" for fault in check.faults)]
    return [*lines, f"  {verdict(check)}"]


def verdict(check: RecordsCheck) -> str:
    """Whether a training could use the file as it is, and why not."""
    reasons = []
    if not check.images:
        reasons.append("it has no images")
    if check.broken_lines:
        reasons.append("lines are broken")
    if check.faulty_images:
        reasons.append(f"{check.faulty_images} of {check.images} images cannot be used")
    if check.is_all_ignored:
        reasons.append("every instance is ignored")
    return f"NOT USABLE as it is: {', '.join(reasons)}" if reasons else "usable"


class _Tally:
    """Counts what is in a records file."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._characters: Counter[str] = Counter()
        self._faults: list[str] = []
        self._faulty: dict[int, ImageFault] = {}

    def read(self, records: RecordFiles, indices: Sequence[int]) -> dict[int, ImageRecord]:
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
        self._counts["instances"] += len(record.instances)
        for instance in record.instances:
            if instance.ignore:
                self._counts["ignored"] += 1
                continue
            self._counts["without_text"] += instance.text is None
            self._counts["without_polygon"] += instance.polygon is None
            self._characters.update("".join((instance.text or "").split()))

    def add_polygons(self, records: Sequence[ImageRecord]) -> None:
        """Counts what is wrong with the polygons of words."""
        pairs = [(record, polygon) for record in records for polygon in _polygons(record.instances)]
        if not pairs:
            return
        outlines = _outlines([polygon for _, polygon in pairs])
        # Area of the convex hull: the lobes of a crossing outline would cancel in the area of the outline itself.
        flat = shapely.area(shapely.convex_hull(outlines)) == 0
        sizes = np.array([(record.width, record.height) for record, _ in pairs], dtype=np.float64)
        bounds = shapely.bounds(outlines)
        outside = (bounds[:, 2:] <= 0).any(axis=1) | (bounds[:, :2] >= sizes).any(axis=1)
        self._counts["flat"] += int(flat.sum())
        self._counts["crossing"] += int((~flat & ~shapely.is_valid(outlines)).sum())
        self._counts["outside"] += int((~flat & outside).sum())

    def result(self) -> RecordsCheck:
        """What was counted so far."""
        return RecordsCheck(
            **self._counts, faults=tuple(self._faults), faulty=self._faulty, characters=dict(self._characters)
        )

    def _count_fault(self, kind: str, message: str) -> None:
        self._counts[kind] += 1
        if len(self._faults) < FAULTS_LISTED:
            self._faults.append(message)


def _polygons(instances: Sequence[TextInstance]) -> list[np.ndarray]:
    return [one.polygon for one in instances if one.polygon is not None and not one.ignore]


def _outlines(polygons: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) shapely polygons."""
    # Closed here: shapely makes no ring of three points of which the last is the first.
    points = np.concatenate([part for polygon in polygons for part in (polygon, polygon[:1])]).astype(np.float64)
    numbers = np.repeat(np.arange(len(polygons)), [len(polygon) + 1 for polygon in polygons])
    return np.asarray(shapely.polygons(shapely.linearrings(points, indices=numbers)))


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
