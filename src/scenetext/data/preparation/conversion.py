"""A dataset as its publisher hands it out, to records: what `scenetext prepare` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenetext.data.preparation.dictionaries import CharacterCounts
from scenetext.data.readers import Reader, ReadReport
from scenetext.data.records.format import DatasetCounter, DatasetSummary, write_records


@dataclass(frozen=True, slots=True)
class Preparation:
    """What came out.

    Attributes:
        output: the records file.
        summary: what is in the records.
        report: what is not, or was altered.
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
