"""Detection and reading together: the rules for texts, 1-NED, lexicons."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.errors import DataError
from scenetext.evaluation.evaluator import DetectionEvaluator, evaluate_image
from scenetext.evaluation.lexicon import Lexicon, Lexicons
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.report import format_sweep
from scenetext.evaluation.rules import Reading
from scenetext.evaluation.scores import ThresholdScore
from scenetext.evaluation.spotting import edit_distance, reads_alike, spotted_word, text_similarity
from scenetext.structures import Detection, TextInstance

texts = st.text("abcdß ,", max_size=7)


@cache
def plain_distance(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    return min(
        plain_distance(one[1:], other[1:]) + (one[0] != other[0]),
        plain_distance(one[1:], other) + 1,
        plain_distance(one, other[1:]) + 1,
    )


@given(one=texts, other=texts)
def test_edit_distance_is_that_of_its_definition(one: str, other: str) -> None:
    assert edit_distance(one, other) == plain_distance(one, other)


@given(text=texts, words=st.lists(texts, min_size=1, max_size=5))
def test_nearest_word_of_a_lexicon(text: str, words: list[str]) -> None:
    word, distance = Lexicon(words).nearest(text)
    distances = [edit_distance(text.upper(), each.upper()) for each in words]
    assert distance == min(distances)
    assert word == words[distances.index(distance)]


@pytest.mark.parametrize(
    ("truth", "found", "reading", "alike"),
    [
        ("Café", "CAFÉ", "end_to_end", True),
        ("(exit)", "exit", "end_to_end", True),
        ("(exit)", "exit)", "end_to_end", True),
        ("((exit", "exit", "end_to_end", False),
        ("exit", "exit!", "end_to_end", False),
        ("12:30", "1230", "end_to_end", False),
        ("exit", None, "end_to_end", False),
        ("((Exit!", "exit", "word_spotting", True),
        ("Joe's", "joe", "word_spotting", True),
        ("Joe's", "joe's", "word_spotting", False),
        ("ＡＢ 1", "ab1", "exact", True),
        ("exit!", "exit", "exact", False),
    ],
)
def test_texts_that_read_alike(truth: str, found: str | None, reading: Reading, alike: bool) -> None:
    assert reads_alike(truth, found, reading) is alike


@pytest.mark.parametrize(
    ("truth", "word"),
    [("STOP", "STOP"), ("-well-known-", "well-known"), ("it's", None), ("Joe's", "Joe"), ("two words", None),
     ("a.b.c", None), ("42nd", None), ("(Exit)", "Exit"), ("", None),
     ("Ωmega", "Ωmega"), ("Łódź", "Łódź"), ("выход", None), ("安全出口", None), ("a×b", None)],
)  # fmt: skip
def test_what_word_spotting_looks_for(truth: str, word: str | None) -> None:
    assert spotted_word(truth) == word


def test_similarity() -> None:
    assert text_similarity("STOP", "stop") == 1.0
    assert text_similarity("STOP", "shop!") == pytest.approx(1 - 2 / 5)
    assert text_similarity("STOP", None) == 0.0
    assert text_similarity("", "") == 1.0


def box(left: float) -> np.ndarray:
    return np.array([(left, 0), (left + 50, 0), (left + 50, 20), (left, 20)], dtype=np.float32)


def scored(detections: list[Detection], instances: list[TextInstance], name: str) -> ThresholdScore:
    return evaluate_image(detections, instances, find_protocol(name), (0.0,)).counts[0]


def test_a_wrong_text_takes_its_place_from_a_right_one() -> None:
    wrong, right = Detection(box(0), 0.9, "SHOP"), Detection(box(1), 0.9, "STOP")
    assert scored([wrong, right], [TextInstance(box(0), "STOP")], "ic15_end_to_end").found == 0
    assert scored([right, wrong], [TextInstance(box(0), "STOP")], "ic15_end_to_end").found == 1


def test_words_that_do_not_count() -> None:
    """No transcription: ignored by both; a number: by word spotting. Detections there are excluded."""
    instances = [TextInstance(box(0), None), TextInstance(box(100), "42"), TextInstance(box(200), "STOP")]
    detections = [Detection(box(0), 0.9, "A"), Detection(box(100), 0.9, "42"), Detection(box(200), 0.9, "stop")]
    whole, spotting = (scored(detections, instances, f"ic15_{rule}") for rule in ("end_to_end", "word_spotting"))
    assert (whole.found, whole.ground_truths, whole.detections) == (2, 2, 2)
    assert (spotting.found, spotting.ground_truths, spotting.detections) == (1, 1, 1)


def test_1_ned_counts_pairs_and_what_has_no_partner() -> None:
    """A pair that reads 3 of 4 characters right, a missed text, a false one: 0.75 of 3."""
    instances = [TextInstance(box(0), "STOP"), TextInstance(box(100), "EXIT")]
    detections = [Detection(box(0), 0.9, "SHOP"), Detection(box(300), 0.9, "EXIT")]
    score = scored(detections, instances, "lsvt_end_to_end")
    assert (score.found, score.position_matches) == (0, 1)
    assert score.edit_similarity == pytest.approx(0.75 / 3)
    assert score.word_accuracy == 0
    right = [Detection(box(0), 0.9, "stop"), Detection(box(100), 0.9, "EXIST"), Detection(box(300), 0.9, "EXIT")]
    assert scored(right, instances, "lsvt_end_to_end").word_accuracy == 0.5, "of the two in the right position"
    evaluator = DetectionEvaluator(find_protocol("lsvt_end_to_end"), (0.5,))
    evaluator.add(Path("a.jpg"), detections, instances)
    text = format_sweep(evaluator.scores())
    assert "| threshold | precision | recall | hmean | 1-NED |" in text
    assert "| 0.5 | 0.0 | 0.0 | 0.0 | 25.0 |" in text


def test_lexicons_of_all_images_and_of_each(tmp_path: Path) -> None:
    (tmp_path / "common.txt").write_text("\ufeffSTOP\r\n\nEXIT\r\n")
    folder = tmp_path / "each"
    folder.mkdir()
    (folder / "voc_img_1.txt").write_text("SHOP\n")
    detections = [Detection(box(0), 0.9, "st0p"), Detection(box(9), 0.9)]
    common = Lexicons(tmp_path / "common.txt").correct(detections, Path("img_1.jpg"))
    assert [found.text for found in common] == ["STOP", None]
    each = Lexicons(folder)
    assert [found.text for found in each.correct(detections, Path("x/img_1.jpg"))] == ["SHOP", None]
    assert each.correct([], Path("img_2.jpg")) == []
    with pytest.raises(DataError, match=r"holds no lexicon for img_2\.jpg: voc_img_2\.txt"):
        each.correct(detections, Path("img_2.jpg"))
    for name, content in (("empty.txt", b"\n"), ("latin.txt", b"A\n\xe9\n")):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="at least one word"):
        Lexicons(tmp_path / "empty.txt")
    with pytest.raises(DataError, match=r"latin\.txt:2: lexicon is not UTF-8"):
        Lexicons(tmp_path / "latin.txt")
    with pytest.raises(DataError, match="cannot be read"):
        Lexicons(tmp_path / "none.txt")
