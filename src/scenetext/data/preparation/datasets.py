"""Datasets to records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenetext.data.preparation.dictionaries import CharacterCounts
from scenetext.data.preparation.plausibility import TextCounts, TextTally
from scenetext.data.readers import Policy, Reader, ReadReport
from scenetext.data.records.files import write_records


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


def prepare_dataset(
    reader: Reader,
    values: Mapping[str, Any],
    output: Path,
    characters: CharacterCounts | None = None,
    policy: Policy | None = None,
) -> Preparation:
    """Reads a dataset and writes its records, one after the other: memory does not grow with their number.

    Args:
        reader: one of `READERS`.
        values: by the names of its arguments; `reader.find` gives them for every split in a folder.
        output: records file to write, whole or not at all.
        characters: counts those of the words as well.
        policy: what to do with images that cannot be used; None = that of the reader.

    Raises:
        DataError: what the reader raises.
    """
    report, tally = ReadReport(policy or reader.policy), TextTally()
    records = tally.watch(reader.read(values, report))
    write_records(output, records if characters is None else characters.watch(records))
    return Preparation(output, tally.counts(), report)
