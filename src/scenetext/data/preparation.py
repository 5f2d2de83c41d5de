"""A dataset as its publisher hands it out, to records: what `tools/prepare_dataset.py` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenetext.data.dictionary import CharacterCounts
from scenetext.data.readers import Reader, ReadReport
from scenetext.data.records import DatasetCounter, DatasetSummary, write_records
from scenetext.text.charset import CharacterSet


@dataclass(frozen=True, slots=True)
class Preparation:
    """What came out.

    Attributes:
        summary: what is in the records.
        report: what is not, or was altered.
        characters: of the words, counted.
    """

    summary: DatasetSummary
    report: ReadReport
    characters: CharacterCounts


def prepare_dataset(
    reader: Reader, values: Mapping[str, Any], output: Path, known: CharacterSet | None = None
) -> Preparation:
    """Reads a dataset and writes its records, one after the other: memory does not grow with their number.

    Args:
        reader: one of `READERS`.
        values: by the names of its arguments.
        output: records file to write, whole or not at all.
        known: a dictionary to check the words against.

    Raises:
        DataError: what the reader raises.
    """
    report, counter, characters = ReadReport(), DatasetCounter(), CharacterCounts(known)
    write_records(output, counter.watch(characters.watch(reader.read(values, report))))
    return Preparation(counter.summary(), report, characters)
