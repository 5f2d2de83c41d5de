"""Which words are kept, what is reported about the others, and how the kept ones compare with true words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.acquisition.agreement import (
    Agreement,
    TrueText,
    common,
    format_agreement,
    measure_agreement,
    true_texts,
)
from scenetext.acquisition.engine import OcrText
from scenetext.acquisition.journal import Recognition
from scenetext.acquisition.selection import (
    CONFIDENCE_STEPS,
    LOW_CONFIDENCE,
    SHORT,
    UNKNOWN,
    UNUSED,
    WORDLESS,
    SelectionReport,
    SelectionSettings,
    WordSelection,
)
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet


def recognition(name: str, *texts: tuple[str, float]) -> Recognition:
    return Recognition(name, 1, 20, 12, tuple(OcrText(text, confidence) for text, confidence in texts))


def select(
    found: Sequence[Recognition], characters: CharacterSet | None = None, **rules: float
) -> tuple[dict[str, list[str | None]], SelectionReport]:
    report = SelectionReport()
    selection = WordSelection(SelectionSettings(**rules), characters)
    records = list(selection.records(Path("photos"), found, report))
    assert all(instance.polygon is None and not instance.ignore for one in records for instance in one.instances)
    return {one.path.as_posix(): [instance.text for instance in one.instances] for one in records}, report


def test_lines_become_words_and_doubtful_ones_are_dropped() -> None:
    found = [
        recognition("a.jpg", ("OPEN  DAILY\t9", 0.95), ("EXlT", 0.89), ("EXIT", 0.9)),
        recognition("b/c.jpg", ("shut", 0.2)),
        recognition("d.jpg"),
        Recognition("e.jpg", 1, error="broken"),
    ]
    records, report = select(found, minimum_confidence=0.9)
    assert records == {"photos/a.jpg": ["OPEN", "DAILY", "EXIT"]}
    assert (report.images, report.with_text, report.words, report.kept) == (4, 2, 6, 3)
    dropped = {reason: (finding.count, finding.examples) for reason, finding in report.reasons.dropped.items()}
    assert dropped == {
        SHORT.format(2): (1, ["'9' of a.jpg"]),
        LOW_CONFIDENCE.format(0.9): (2, ["'EXlT' of a.jpg", "'shut' of b/c.jpg"]),
        WORDLESS: (2, ["b/c.jpg", "d.jpg"]),
        UNUSED: (1, ["e.jpg"]),
    }


def test_words_outside_the_dictionary_are_dropped_and_reported() -> None:
    records, report = select([recognition("a.jpg", ("Café CAFE 营业", 1.0))], CharacterSet.english())
    assert records == {"photos/a.jpg": ["CAFE"]}
    assert report.reasons.dropped[UNKNOWN].count == 2


def test_shorter_words_can_be_asked_for() -> None:
    found = [recognition("a.jpg", ("A BB CCC", 1.0))]
    assert select(found, minimum_length=1)[0] == {"photos/a.jpg": ["A", "BB", "CCC"]}
    assert select(found, minimum_length=3)[0] == {"photos/a.jpg": ["CCC"]}


def test_the_histogram_counts_words_not_lines() -> None:
    _, report = select([recognition("a.jpg", ("ONE TWO", 0.05), ("THREE", 0.95), ("FOUR", 1.0), ("FIVE", 0.99))])
    filled = {CONFIDENCE_STEPS[index]: count for index, count in enumerate(report.histogram.tolist()) if count}
    assert filled == {0.0: 2, 0.95: 1, 0.99: 2}


confidences = st.floats(min_value=0, max_value=1)
texts = st.lists(st.tuples(st.text(alphabet="ab \t\u3000", min_size=1), confidences), max_size=6)


@given(found=st.lists(texts, max_size=4), low=confidences, high=confidences)
def test_every_word_is_kept_or_reported_and_a_higher_confidence_keeps_fewer(
    found: list[list[tuple[str, float]]], low: float, high: float
) -> None:
    low, high = sorted((low, high))
    recognitions = [recognition(f"{index}.jpg", *lines) for index, lines in enumerate(found)]
    many, report = select(recognitions, minimum_confidence=low)
    few, _ = select(recognitions, minimum_confidence=high)
    reasons = report.reasons.dropped
    dropped = sum(
        reasons[reason].count for reason in (LOW_CONFIDENCE.format(low), SHORT.format(2)) if reason in reasons
    )
    assert report.kept + dropped == report.words == report.histogram.sum()
    assert report.kept == sum(map(len, many.values()))
    for path, words in few.items():
        assert common(map(str, words), map(str, many[path])) == len(words)


def square(left: float, top: float, side: float) -> np.ndarray:
    corners = ((left, top), (left + side, top), (left + side, top + side), (left, top + side))
    return np.array(corners, dtype=np.float32)


def test_true_words_are_those_that_are_known_and_not_ignored(tmp_path: Path) -> None:
    instances = (
        TextInstance(square(0, 0, 5), "EXIT"),
        TextInstance(square(10, 0, 5), "hidden", ignore=True),
        TextInstance(None, "nowhere", ignore=True),
        TextInstance(None, None),
        TextInstance(None, "two words"),
    )
    record = ImageRecord(tmp_path / "x" / ".." / "a.jpg", 1, 1, instances)
    (path, truth), *others = true_texts([record]).items()
    assert not others
    assert path == (tmp_path / "a.jpg").resolve()
    assert truth.words == ("EXIT", "two", "words")
    assert [polygon.tolist() for polygon in truth.ignored] == [square(10, 0, 5).tolist()]


def test_agreement_of_a_case_worked_out_by_hand() -> None:
    """At 0.5: 6 words kept, EXIT (once; true once), Cafe and bar equal but for case; 5 true words."""
    compared = [
        (
            recognition("a.jpg", ("EXIT EXIT", 0.9), ("CAFE", 0.6), ("wrong", 0.5)),
            TrueText(("EXIT", "Cafe", "lost"), (square(0, 0, 5),)),
        ),
        (recognition("b.jpg", ("Bar", 0.7), ("EXIT", 0.8), ("low", 0.4)), TrueText(("bar", "low"))),
    ]
    rows = measure_agreement(compared, SelectionSettings(), confidences=(0.0, 0.5, 0.85, 1.0))
    assert rows == [
        Agreement(0.0, set_aside=0, kept=7, true=5, equal=2, equal_folded=4),
        Agreement(0.5, set_aside=0, kept=6, true=5, equal=1, equal_folded=3),
        Agreement(0.85, set_aside=0, kept=2, true=5, equal=1, equal_folded=1),
        Agreement(1.0, set_aside=0, kept=0, true=5, equal=0, equal_folded=0),
    ]
    assert format_agreement(rows).splitlines()[2:] == [
        "| 0 | 0 | 7 | 28.6 | 40.0 | 57.1 | 80.0 |",
        "| 0.5 | 0 | 6 | 16.7 | 20.0 | 50.0 | 60.0 |",
        "| 0.85 | 0 | 2 | 50.0 | 20.0 | 50.0 | 20.0 |",
        "| 1 | 0 | 0 | - | 0.0 | - | 0.0 |",
    ]
    assert measure_agreement([], SelectionSettings(), confidences=(0.5,)) == [Agreement(0.5, 0, 0, 0, 0, 0)]


def test_words_in_ignored_regions_are_set_aside() -> None:
    """Two ignored squares side by side cover three quarters, half and nothing of a text; one has no place."""
    texts = (
        OcrText("MOST PART", 0.9, square(4, 0, 8)),
        OcrText("HALF", 0.9, np.array([[6, 10], [6, 0], [14, 0], [14, 10]], dtype=np.float32)),
        OcrText("RIGHT", 0.9, square(50, 50, 8)),
        OcrText("UNSURE", 0.4, square(0, 0, 8)),
        OcrText("WRONG", 0.9),
    )
    truth = TrueText(("RIGHT", "MOST"), (square(0, 0, 5), square(5, 0, 5), square(0, 5, 5), square(5, 5, 5)))
    read = Recognition("a.jpg", 1, 100, 100, texts)
    assert measure_agreement([(read, truth)], SelectionSettings(), confidences=(0.5, 0.0)) == [
        Agreement(0.5, set_aside=2, kept=3, true=2, equal=1, equal_folded=1),
        Agreement(0.0, set_aside=3, kept=3, true=2, equal=1, equal_folded=1),
    ]


@given(words=st.lists(st.sampled_from("abc")), others=st.lists(st.sampled_from("abc")))
def test_common_words_by_striking_them_out(words: list[str], others: list[str]) -> None:
    left, count = list(others), 0
    for word in words:
        if word in left:
            left.remove(word)
            count += 1
    assert common(words, others) == count


def test_rules_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="minimum_confidence"):
        SelectionSettings(minimum_confidence=90)
    with pytest.raises(ValueError, match="minimum_length"):
        SelectionSettings(minimum_length=0)
