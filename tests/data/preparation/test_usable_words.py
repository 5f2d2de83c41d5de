from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenetext.data.preparation import processes
from scenetext.data.preparation.words import usable_texts
from scenetext.errors import CharacterError
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet

ENGLISH = CharacterSet.english()

SQUARE = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.float32)


def record(name: str, *texts: str | None, ignore: bool = False) -> ImageRecord:
    return ImageRecord(Path(name), 10, 10, tuple(TextInstance(SQUARE, text, ignore) for text in texts))


@pytest.mark.parametrize("at_a_time", [1, 3, 4096])
def test_usable_texts_counts_all_it_drops(monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(processes, "_RANGE", at_a_time)
    records = [
        record("a.jpg", "TWO WORDS", "fine"),
        record("b.jpg", "café", "", "  ", None, "ok naïve"),
        record("c.jpg", "hidden", ignore=True),
        record("d.jpg"),
        record("e.jpg", "日本"),
    ]
    usable, report = usable_texts(records, ENGLISH, "skip")
    assert [(one.path.name, [instance.text for instance in one.instances]) for one in usable] == [
        ("a.jpg", ["TWO", "WORDS", "fine"]),
        ("b.jpg", ["ok"]),
    ]
    assert usable[0].instances[1].polygon is SQUARE
    assert (report.words, report.images, report.wordless_images) == (4, 2, 3)
    assert (report.unknown_words, report.empty_texts, report.without_text) == (3, 2, 2)
    assert report.examples == (
        ("café", "é", Path("b.jpg")),
        ("naïve", "ï", Path("b.jpg")),
        ("日本", "日", Path("e.jpg")),
    )
    assert "3 words with unknown characters" in str(report)
    assert "'é' in 'café' (b.jpg)" in str(report)


def test_usable_texts_can_stop_at_the_first_unknown_character() -> None:
    records = [record("a.jpg", "fine"), record("b.jpg", "ok café")]
    with pytest.raises(CharacterError, match=r"b\.jpg: 'é' .*'café'"):
        usable_texts(records, ENGLISH, "stop")
    assert usable_texts(records[:1], ENGLISH, "stop")[1].words == 1
