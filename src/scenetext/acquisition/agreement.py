"""Precision and recall of the words that an engine has read against ground truth, at several confidences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scenetext.acquisition.journal import Recognition
from scenetext.acquisition.selection import SelectionSettings, WordSelection, words_of
from scenetext.geometry.overlap import intersection_matrix, make_regions
from scenetext.structures import ImageRecord
from scenetext.text.charset import CharacterSet

CONFIDENCES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
_IGNORED_SHARE = 0.5
"""Share of a text's area inside ignored regions above which it is set aside, as the ICDAR 2015 protocol has it."""


@dataclass(frozen=True, slots=True, eq=False)
class TrueText:
    """The ground truth of an image.

    Attributes:
        words: those that are known and not ignored.
        ignored: (V, 2) polygons of ignored regions, pixels of the stored image.
    """

    words: tuple[str, ...]
    ignored: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kept words against true ones, summed over images; a true word matches one kept word.

    Attributes:
        minimum_confidence: at which words were kept.
        set_aside: kept words in ignored regions, for which there is no ground truth.
        kept: the other kept words.
        true: true words.
        equal: kept words that are among the true words of their image.
        equal_folded: the same, case aside.
    """

    minimum_confidence: float
    set_aside: int
    kept: int
    true: int
    equal: int
    equal_folded: int


def true_texts(records: Iterable[ImageRecord]) -> dict[Path, TrueText]:
    """The true text of images, by their absolute paths."""
    texts = {}
    for record in records:
        known = (one.text for one in record.instances if one.text is not None and not one.ignore)
        ignored = (one.polygon for one in record.instances if one.polygon is not None and one.ignore)
        words = tuple(word for text in known for word in text.split())
        texts[record.path.resolve()] = TrueText(words, tuple(ignored))
    return texts


def measure_agreement(
    compared: Sequence[tuple[Recognition, TrueText]],
    settings: SelectionSettings,
    characters: CharacterSet | None = None,
    confidences: Sequence[float] = CONFIDENCES,
) -> list[Agreement]:
    """The agreement at several confidences.

    Args:
        compared: images as they were read, with their true texts. Words without polygon are
            never set aside, and count as wrong where they are in an ignored region.
        settings: the rules for words; `minimum_confidence` is replaced by each of `confidences`.
        characters: as `WordSelection` has them.
    """
    divided = [(*_divide(recognition, truth.ignored), truth.words) for recognition, truth in compared]
    rows = []
    for confidence in confidences:
        selection = WordSelection(settings.model_copy(update={"minimum_confidence": confidence}), characters)
        counts = np.zeros(5, dtype=np.int64)
        for outside, inside, truth in divided:
            counts += _compare(_kept_words(selection, outside), len(_kept_words(selection, inside)), truth)
        rows.append(Agreement(confidence, *counts.tolist()))
    return rows


def common(words: Iterable[str], others: Iterable[str]) -> int:
    """The number of words in both, each as often as in the one that has fewer of it."""
    return (Counter(words) & Counter(others)).total()


def format_agreement(rows: Sequence[Agreement]) -> str:
    """A table in Markdown, precision and recall in percent."""
    lines = [
        "| confidence | set aside | words kept | precision | recall | precision, any case | recall, any case |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        shares = [_percent(equal, of) for equal in (row.equal, row.equal_folded) for of in (row.kept, row.true)]
        lines.append(f"| {row.minimum_confidence:g} | {row.set_aside} | {row.kept} | {' | '.join(shares)} |")
    return "\n".join(lines)


def _divide(recognition: Recognition, ignored: Sequence[np.ndarray]) -> tuple[Recognition, Recognition]:
    """The texts outside ignored regions, and those inside."""
    indices = [index for index, text in enumerate(recognition.texts) if text.polygon is not None]
    polygons = [text.polygon for text in recognition.texts if text.polygon is not None]
    inside: set[int] = set()
    if polygons and ignored:
        regions = make_regions(polygons)
        covered = intersection_matrix(regions, make_regions(ignored)).sum(axis=1) > _IGNORED_SHARE * regions.areas
        inside = {index for index, is_covered in zip(indices, covered, strict=True) if is_covered}
    outside, within = (
        tuple(text for index, text in enumerate(recognition.texts) if (index in inside) == is_inside)
        for is_inside in (False, True)
    )
    return replace(recognition, texts=outside), replace(recognition, texts=within)


def _kept_words(selection: WordSelection, recognition: Recognition) -> list[str]:
    return [word for word, confidence in words_of(recognition) if selection.reason_against(word, confidence) is None]


def _compare(words: Sequence[str], set_aside: int, truth: Sequence[str]) -> tuple[int, int, int, int, int]:
    """The counts of one image, in the order of `Agreement`."""
    folded = common(map(str.casefold, words), map(str.casefold, truth))
    return set_aside, len(words), len(truth), common(words, truth), folded


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"
