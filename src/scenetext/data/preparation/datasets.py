"""Published datasets to records; and counts of what is in a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenetext.data.preparation.dictionaries import CharacterCounts
from scenetext.data.readers import Reader, ReadReport
from scenetext.data.records.files import write_records
from scenetext.structures import ImageRecord


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What is in a dataset.

    Attributes:
        images: number of images.
        words: number of text instances, ignored ones included.
        ignored: instances that are neither learnt from nor scored.
        with_polygon, with_text: instances, not ignored, whose polygon or transcription is known.
    """

    images: int
    words: int
    ignored: int
    with_polygon: int
    with_text: int


@dataclass(frozen=True, slots=True)
class Preparation:
    """The result of preparing a dataset.

    Attributes:
        output: the records file.
        summary: what is in the records.
        report: what was dropped or altered.
    """

    output: Path
    summary: DatasetSummary
    report: ReadReport


def prepare_dataset(
    reader: Reader, values: Mapping[str, Any], output: Path, characters: CharacterCounts | None = None
) -> Preparation:
    """Reads a dataset and writes its records, one after the other: memory does not grow with their number.

    Args:
        reader: one of `READERS`.
        values: by the names of its arguments; `reader.find` gives them for every split in a folder.
        output: records file to write, whole or not at all.
        characters: counts those of the words as well.

    Raises:
        DataError: what the reader raises.
    """
    report, counter = ReadReport(), DatasetCounter()
    records = counter.watch(reader.read(values, report))
    write_records(output, records if characters is None else characters.watch(records))
    return Preparation(output, counter.summary(), report)


class DatasetCounter:
    """Counts the images and the text of records, one after the other."""

    def __init__(self) -> None:
        self._images = self._words = self._ignored = self._with_polygon = self._with_text = 0

    def watch(self, records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
        """Passes the records through unchanged and counts them."""
        for record in records:
            self._images += 1
            self._words += len(record.instances)
            for instance in record.instances:
                self._ignored += instance.ignore
                self._with_polygon += instance.polygon is not None and not instance.ignore
                self._with_text += instance.text is not None and not instance.ignore
            yield record

    def summary(self) -> DatasetSummary:
        """The counts so far."""
        return DatasetSummary(self._images, self._words, self._ignored, self._with_polygon, self._with_text)


def dataset_summary(records: Iterable[ImageRecord]) -> DatasetSummary:
    """Counts the images and the text of a dataset; a dataset with nothing to learn from shows here."""
    counter = DatasetCounter()
    for _ in counter.watch(records):
        pass
    return counter.summary()
