"""The Text-Controller, and that prompt and map always agree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.data.records.samples import whole_sample
from scenetext.pretraining.odm.config import ControllerSettings, OdmSettings
from scenetext.pretraining.odm.controller import control
from scenetext.pretraining.odm.targets import evaluation_targets, training_targets
from scenetext.structures import Sample, TextInstance
from scenetext.text.charset import CharacterSet

ENGLISH = CharacterSet.english()
POOL = ("RED", "Blue", "hotel", "SALE")


def controlled(texts: list[str], seed: int, slots: int = 6, **settings: Any) -> tuple[list[int], list[str]]:
    generator = np.random.default_rng(seed)
    return control(texts, texts, slots, POOL, ENGLISH.characters, ControllerSettings(**settings), generator)


def test_words_leave_and_come_as_often_as_the_settings_say() -> None:
    texts = ["one", "two", "three", "four"]
    counts: Counter[str] = Counter()
    for seed in range(2000):
        kept, foreign = controlled(texts, seed)
        counts["removed"] += len(kept) < 4
        counts["foreign"] += bool(foreign)
        counts["both"] += len(kept) < 4 and bool(foreign)
        assert len(kept) in (3, 4), "0.1 to 0.3 of four words, at least one"
        assert len(foreign) <= 1
    assert abs(counts["removed"] - 1000) < 100
    assert abs(counts["foreign"] - 1000) < 100
    assert abs(counts["both"] - 500) < 80, "independently"


def test_no_foreign_word_is_one_of_the_image_and_equal_words_leave_together() -> None:
    for seed in range(300):
        kept, foreign = controlled(["Hotel", "SALE", "SALE", "red"], seed, removed_share=(0.3, 0.9))
        assert (1 in kept) == (2 in kept)
        assert not {word.casefold() for word in foreign} & {"hotel", "sale", "red"}
        assert all(word == "Blue" or len(word) in (3, 4, 5) for word in foreign)
        assert kept or foreign, "something is asked for"


def test_more_words_than_slots_and_no_words_at_all() -> None:
    many = [f"word{number}" for number in range(20)]
    seen = set()
    for seed in range(100):
        kept, foreign = controlled(many, seed, slots=3, remove_probability=0)
        assert len(kept) == 3
        assert not foreign, "no slot is free"
        seen |= set(kept)
    assert seen == set(range(20)), "drawn anew each time"
    kept, foreign = controlled([], 0)
    assert (kept, len(foreign)) == ([], 1)
    nothing = control([], [], 3, (), ("a",), ControllerSettings(), np.random.default_rng(0))
    assert nothing == ([], [])


def word(left: float, top: float, text: str | None, height: float = 20, **more: Any) -> TextInstance:
    box = [[left, top], [left + 40, top], [left + 40, top + height], [left, top + height]]
    return TextInstance(np.array(box, np.float32), text, **more)


def sample(*instances: TextInstance) -> Sample:
    return whole_sample(np.zeros((64, 96, 3), np.uint8), Path("x"), instances)


SETTINGS = OdmSettings(maximum_words=4, context_length=8)
PLAIN = SETTINGS.model_copy(update={"controller": ControllerSettings(remove_probability=0, foreign_probability=0)})


def texts_of(made: dict[str, np.ndarray], chosen: str) -> list[str]:
    rows = made["characters"][made[chosen]]
    return sorted("".join(ENGLISH.decode(int(one)) for one in ids if 0 < one <= 94) for ids in rows)


def test_what_cannot_be_drawn_is_neither_asked_for_nor_in_the_map() -> None:
    whole = sample(
        word(2, 2, "AB"),
        word(50, 2, None),
        word(2, 30, "no", ignore=True),
        word(50, 30, "tiny", height=5),
        TextInstance(None, "weak"),
    )
    made = training_targets(whole, PLAIN, ENGLISH, POOL, np.random.default_rng(0))
    assert texts_of(made, "prompt") == ["AB"]
    assert texts_of(made, "own") == ["AB", "weak"], "a word of unknown place is matched only"
    assert made["map"].shape == (32, 48)
    rows, columns = np.nonzero(made["map"])
    assert (columns.max(), rows.max()) == (20, 10), "of AB alone"
    assert made["map"].max() == 4
    assert made["located"]
    assert "grey" not in made, "no text detector looks at it"


def test_an_image_of_weak_words_alone_has_no_map_to_learn() -> None:
    weak = sample(TextInstance(None, "weak"), TextInstance(None, "words"))
    assert not training_targets(weak, PLAIN, ENGLISH, POOL, np.random.default_rng(0))["located"]
    empty = training_targets(sample(), PLAIN, ENGLISH, POOL, np.random.default_rng(0))
    assert empty["located"], "without words it is background"
    assert not empty["map"].any()
    assert texts_of(empty, "prompt"), "a foreign word is asked for"
    assert not empty["own"].any()


def test_prompt_and_map_agree_under_the_controller() -> None:
    whole = sample(word(2, 2, "LEFT"), word(50, 2, "RIGHT"))
    outcomes = set()
    for seed in range(60):
        made = training_targets(whole, SETTINGS, ENGLISH, POOL, np.random.default_rng(seed))
        asked = set(texts_of(made, "prompt"))
        shown = {"LEFT": made["map"][:, :24].any(), "RIGHT": made["map"][:, 24:].any()}
        assert {text for text, is_shown in shown.items() if is_shown} == asked & set(shown)
        assert set(texts_of(made, "own")) == asked & set(shown), "foreign and removed words are not matched"
        outcomes.add(frozenset(asked & set(shown)))
    assert outcomes == {frozenset({"LEFT"}), frozenset({"RIGHT"}), frozenset({"LEFT", "RIGHT"})}


def test_evaluation_asks_for_all_words_and_for_half_of_them() -> None:
    whole = sample(word(2, 2, "LEFT"), word(50, 2, "RIGHT"), TextInstance(None, "weak"))
    made = evaluation_targets(whole, SETTINGS, ENGLISH, np.random.default_rng(0))
    assert texts_of(made, "prompt") == ["LEFT", "RIGHT"]
    assert made["half"].sum() == 1
    half = made["half_map"][:, :24].any(), made["half_map"][:, 24:].any()
    assert half == ((True, False) if texts_of(made, "half") == ["LEFT"] else (False, True))
    one = evaluation_targets(sample(word(2, 2, "ONE")), SETTINGS, ENGLISH, np.random.default_rng(0))
    assert not one["half"].any()
