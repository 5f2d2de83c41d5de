"""Which labelled images can be learnt from: all of them, as long as some have text whose polygon is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scenetext.data.preparation.plausibility import TextCounts, count_text
from scenetext.data.records.results import Results
from scenetext.structures import ImageRecord


@dataclass(frozen=True, slots=True)
class RecordReport:
    """How many images there are, and texts in them with a polygon; no images count where there is no such text."""

    images: int
    texts: int

    def __add__(self, other: RecordReport) -> RecordReport:
        return RecordReport(self.images + other.images, self.texts + other.texts)

    def __str__(self) -> str:
        return f"{self.images} images with {self.texts} texts whose polygon is known"


def usable_records(
    records: Sequence[ImageRecord], _settings: Any, _characters: Any, results: Results
) -> tuple[Sequence[ImageRecord], RecordReport]:
    """The same records; a file without any text to learn counts as none."""
    counts, _ = results.get("text", TextCounts, lambda _: count_text(records))
    return records, RecordReport(counts.images if counts.with_polygon else 0, counts.with_polygon)
