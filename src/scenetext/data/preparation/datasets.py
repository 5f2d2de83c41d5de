"""Datasets to records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenetext.data.preparation.dictionaries import CharacterCounts
from scenetext.data.preparation.plausibility import TextCounts, TextTally
from scenetext.data.readers import Policy, Reader, ReadReport
from scenetext.data.records.files import write_records
from scenetext.structures import ImageRecord


@dataclass(frozen=True, slots=True)
class Preparation:
    """The result of preparing a dataset.

    Attributes:
        output: the records file.
        summary: what is in the records.
        report: what was dropped or altered.
    """

    output: Path
    summary: TextCounts
    report: ReadReport


class SplitImages:
    """The images of the splits of a dataset that were prepared so far, known by their files, whatever leads to them."""

    def __init__(self) -> None:
        self._splits: dict[tuple[int, int], str] = {}

    def watch(self, records: Iterable[ImageRecord], split: str, report: ReadReport) -> Iterator[ImageRecord]:
        """Passes the records of a split through unchanged; images of an earlier split are noted."""
        for record in records:
            if record.span is None:
                status = record.path.stat()
                earlier = self._splits.setdefault((status.st_dev, status.st_ino), split)
                report.note(f"images that are also in {earlier}", record.path.name, count=int(earlier != split))
            yield record


def prepare_dataset(
    reader: Reader,
    values: Mapping[str, Any],
    output: Path,
    characters: CharacterCounts | None = None,
    policy: Policy | None = None,
    others: SplitImages | None = None,
) -> Preparation:
    """Reads a dataset and writes its records, one after the other: memory does not grow with their number.

    Args:
        reader: one of `READERS`.
        values: by the names of its arguments; `reader.find` gives them for every split in a folder.
        output: records file to write, whole or not at all.
        characters: counts those of the words as well.
        policy: what to do with images that cannot be used; None = that of the reader.
        others: the images of the splits before; those that are in this one as well are noted.

    Raises:
        DataError: what the reader raises.
    """
    report, tally = ReadReport(policy or reader.policy), TextTally()
    records = tally.watch(reader.read(values, report))
    if others is not None:
        records = others.watch(records, output.stem, report)
    write_records(output, records if characters is None else characters.watch(records))
    return Preparation(output, tally.counts(), report)
