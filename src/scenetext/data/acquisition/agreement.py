"""How far the words that an engine has read are those that people have written down, at several confidences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scenetext.data.acquisition.journal import Recognition
from scenetext.data.acquisition.selection import SelectionSettings, WordSelection, words_of
from scenetext.structures import ImageRecord
from scenetext.text.charset import CharacterSet

CONFIDENCES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kept words against true ones, summed over photographs; a true word accounts for one kept word.

    Attributes:
        minimum_confidence: at which words were kept.
        kept, true: words.
        equal: kept words that are among the true words of their photograph.
        equal_folded: the same, case aside.
    """

    minimum_confidence: float
    kept: int
    true: int
    equal: int
    equal_folded: int


def true_words(records: Iterable[ImageRecord]) -> dict[Path, list[str]]:
    """Absolute path of an image to its words, those that are ignored or unknown left out."""
    return {
        record.path.resolve(): [
            word
            for instance in record.instances
            if instance.text is not None and not instance.ignore
            for word in instance.text.split()
        ]
        for record in records
    }


def measure_agreement(
    recognitions: Sequence[tuple[Recognition, Sequence[str]]],
    settings: SelectionSettings,
    characters: CharacterSet | None = None,
    confidences: Sequence[float] = CONFIDENCES,
) -> list[Agreement]:
    """The agreement at several confidences.

    An engine also reads words that people have marked as illegible and not written down; they count against it.

    Args:
        recognitions: of photographs, each with its true words.
        settings: the rules for words; `minimum_confidence` is replaced by each of `confidences`.
        characters: as `WordSelection` has them.
    """
    rows = []
    for confidence in confidences:
        selection = WordSelection(settings.model_copy(update={"minimum_confidence": confidence}), characters)
        kept = true = equal = equal_folded = 0
        for recognition, truth in recognitions:
            words = [word for word, sure in words_of(recognition) if selection.reason_against(word, sure) is None]
            kept, true = kept + len(words), true + len(truth)
            equal += common(words, truth)
            equal_folded += common(map(str.casefold, words), map(str.casefold, truth))
        rows.append(Agreement(confidence, kept, true, equal, equal_folded))
    return rows


def common(words: Iterable[str], others: Iterable[str]) -> int:
    """The number of words in both, each as often as in the one that has fewer of it."""
    return (Counter(words) & Counter(others)).total()


def format_agreement(rows: Sequence[Agreement]) -> str:
    """A table in Markdown, precision and recall in percent."""
    lines = [
        "| confidence | words kept | precision | recall | precision, any case | recall, any case |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        shares = [_percent(equal, of) for equal in (row.equal, row.equal_folded) for of in (row.kept, row.true)]
        lines.append(f"| {row.minimum_confidence:g} | {row.kept} | {' | '.join(shares)} |")
    return "\n".join(lines)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"
