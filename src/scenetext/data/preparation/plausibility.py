"""Is a dataset as a whole what somebody could want to learn from or to measure on?

Every record of a set can be right and the whole be a mistake: all of it ignored, coordinates between 0 and 1, the name
of a class in the place of every text. A training on it runs with a loss of 0, an evaluation prints zeros. Preparation,
`prepare check`, training and evaluation count the same things and ask `doubts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import shapely
from pydantic import NonNegativeInt

from scenetext.config import Settings
from scenetext.errors import DataError
from scenetext.structures import ImageRecord, TextInstance

_CLASSES = 3
"""Different texts of a set up to which they may be names of classes."""
_TIMES = 4
"""How often each of them must occur on average before they look like that."""
_SMALLEST = 1.0
"""Pixels; coordinates that are shares of the image's size give polygons below it."""

Use = Literal["detection", "reading"]
"""What the texts of a set are for: where they are, or what they say."""


class TextCounts(Settings):
    """What is in a set. Counts of words are of instances that are not ignored."""

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
    small: NonNegativeInt = 0
    """Polygons of less than a pixel in both directions."""
    texts: tuple[str, ...] | None = ()
    """The different texts of the words, sorted; None = more than a few."""

    @property
    def with_polygon(self) -> int:
        """Words whose polygon is known."""
        return self.instances - self.ignored - self.without_polygon

    @property
    def with_text(self) -> int:
        """Words whose transcription is known."""
        return self.instances - self.ignored - self.without_text


class Doubt(NamedTuple):
    """A reason to think that a set is not what it should be.

    Attributes:
        cause: what is wrong and, where that can be known, why.
        spoils: the uses for which the set is no good; none = it is only worth a look.
        is_mistake: whether nobody could want the set to be like this.
    """

    cause: str
    spoils: tuple[Use, ...] = ()
    is_mistake: bool = False


class TextTally:
    """Counts the text of records."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._texts: set[str] = set()

    def watch(self, records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
        """Passes the records through unchanged and counts them."""
        for record in records:
            self._counts["images"] += 1
            self.add_words(record)
            self.add_polygons([record])
            yield record

    def add_words(self, record: ImageRecord) -> None:
        """Counts the words of an image."""
        self._counts["instances"] += len(record.instances)
        for instance in record.instances:
            if instance.ignore:
                self._counts["ignored"] += 1
                continue
            self._counts["without_text"] += instance.text is None
            self._counts["without_polygon"] += instance.polygon is None
            if instance.text is not None and len(self._texts) <= _CLASSES:
                self._texts.add(instance.text)

    def add_polygons(self, records: Sequence[ImageRecord]) -> None:
        """Counts what is wrong with the polygons of words; of many images at a time in less time."""
        pairs = [(record, polygon) for record in records for polygon in _polygons(record.instances)]
        if not pairs:
            return
        outlines = _outlines([polygon for _, polygon in pairs])
        # Area of the convex hull: the lobes of a crossing outline would cancel in the area of the outline itself.
        flat = shapely.area(shapely.convex_hull(outlines)) == 0
        sizes = np.array([(record.width, record.height) for record, _ in pairs], dtype=np.float64)
        bounds = shapely.bounds(outlines)
        outside = (bounds[:, 2:] <= 0).any(axis=1) | (bounds[:, :2] >= sizes).any(axis=1)
        small = (bounds[:, 2:] - bounds[:, :2] <= _SMALLEST).all(axis=1)
        self._counts["flat"] += int(flat.sum())
        self._counts["crossing"] += int((~flat & ~shapely.is_valid(outlines)).sum())
        self._counts["outside"] += int((~flat & outside).sum())
        self._counts["small"] += int((~flat & ~outside & small).sum())

    @property
    def images(self) -> int:
        """Images so far."""
        return self._counts["images"]

    def include_text(self, other: TextTally) -> None:
        """Adds what was counted in records that follow."""
        self._counts.update(other._counts)
        if len(self._texts) <= _CLASSES:
            self._texts |= other._texts

    def counts(self) -> TextCounts:
        """What was counted so far."""
        return TextCounts(**self._counts, texts=self.few_texts())

    def few_texts(self) -> tuple[str, ...] | None:
        """The different texts so far, sorted; None = more than a few."""
        return None if len(self._texts) > _CLASSES else tuple(sorted(self._texts))


def count_text(records: Iterable[ImageRecord]) -> TextCounts:
    """What is in a set, whose records are read once."""
    tally = TextTally()
    for _ in tally.watch(records):
        pass
    return tally.counts()


def sum_of(counts: Sequence[TextCounts]) -> TextCounts:
    """What is in several sets together."""
    numbers = {name: sum(getattr(one, name) for one in counts) for name in TextCounts.model_fields if name != "texts"}
    texts = {text for one in counts for text in one.texts or ()}
    is_few = len(texts) <= _CLASSES and all(one.texts is not None for one in counts)
    return TextCounts(**numbers, texts=tuple(sorted(texts)) if is_few else None)


def doubts(counts: TextCounts, purpose: str = "") -> list[Doubt]:
    """What is implausible about a set as a whole.

    Args:
        purpose: as in " for training in x.jsonl", for the messages.
    """
    if not counts.instances:
        return [Doubt(f"no image{purpose} has any text", ("detection", "reading"))]
    if counts.ignored == counts.instances:
        cause = f"every one of the {counts.instances} instances{purpose} is marked as ignored"
        return [Doubt(cause, ("detection", "reading"), is_mistake=True)]
    words = counts.instances - counts.ignored
    found = [_polygon_doubt(counts, words, purpose), _text_doubt(counts, words, purpose)]
    return [doubt for doubt in found if doubt is not None]


def refuse_implausible(counts: TextCounts, use: Use, purpose: str) -> None:
    """Refuses a set that is no good for a use.

    Raises:
        DataError: says why.
    """
    for doubt in doubts(counts, f" for {purpose}"):
        if use in doubt.spoils:
            raise DataError(doubt.cause)


def _polygon_doubt(counts: TextCounts, words: int, purpose: str) -> Doubt | None:
    polygons = counts.with_polygon
    if not polygons:
        return Doubt(
            f"none of the {words} words{purpose} has a polygon, without which no detector learns", ("detection",)
        )
    if counts.outside + counts.small + counts.flat < polygons:
        return None
    if counts.small > counts.outside:
        cause = (
            f"all {polygons} polygons{purpose} are smaller than a pixel: their coordinates seem to be shares of the "
        )
        return Doubt(cause + "image's width and height, which must be multiplied by them", ("detection",), True)
    cause = (
        f"all {polygons} polygons{purpose} lie outside their images: were the images resized, or do their coordinates "
    )
    return Doubt(cause + "belong to other images?", ("detection",), True)


def _text_doubt(counts: TextCounts, words: int, purpose: str) -> Doubt | None:
    if not counts.with_text:
        return Doubt(
            f"none of the {words} words{purpose} has a text, without which nothing learns to read", ("reading",)
        )
    texts = counts.texts
    if texts is None or counts.with_text < _TIMES * len(texts):
        return None
    shown = ", ".join(f"{text!r:.40}" for text in texts)
    cause = f"each of the {counts.with_text} texts{purpose} is {shown}: names of classes, not what is written? "
    return Doubt(f"{cause}(prepare labelme --class-labels says so)")


def _polygons(instances: Sequence[TextInstance]) -> list[np.ndarray]:
    return [one.polygon for one in instances if one.polygon is not None and not one.ignore]


def _outlines(polygons: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) shapely polygons."""
    # Closed here: shapely makes no ring of three points of which the last is the first.
    points = np.concatenate([part for polygon in polygons for part in (polygon, polygon[:1])]).astype(np.float64)
    numbers = np.repeat(np.arange(len(polygons)), [len(polygon) + 1 for polygon in polygons])
    return np.asarray(shapely.polygons(shapely.linearrings(points, indices=numbers)))
