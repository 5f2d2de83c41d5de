from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenetext.data.records.samples import whole_sample
from scenetext.pretraining.freereal.config import PartnerSettings
from scenetext.pretraining.freereal.glyphs import make_readable, paste_glyphs
from scenetext.pretraining.freereal.mixing import choose_box, mix_box, mix_with_partners
from scenetext.structures import Sample, TextInstance


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


def grey(level: int, *polygons: np.ndarray, size: tuple[int, int] = (60, 80)) -> Sample:
    instances = [TextInstance(polygon, None) for polygon in polygons]
    return whole_sample(np.full((*size, 3), level, dtype=np.uint8), Path(f"{level}.png"), instances)


def test_a_box_brings_pixels_and_texts_and_what_it_cuts_is_ignored() -> None:
    own = grey(10, box(2, 2, 12, 8), box(30, 20, 40, 26), box(10, 40, 30, 46))
    partner = grey(200, box(22, 22, 38, 30), box(50, 30, 70, 36))
    mixed = mix_box(own, partner, np.array([20, 15, 60, 50]))
    assert (mixed.image[15:50, 20:60] == 200).all()
    assert mixed.image.sum() == 10 * 3 * (60 * 80 - 35 * 40) + 200 * 3 * 35 * 40
    left = {
        tuple(i.polygon[0].tolist()): (i.ignore, i.polygon[2].tolist())
        for i in mixed.instances
        if i.polygon is not None
    }
    assert left == {
        (2.0, 2.0): (False, [12, 8]),  # outside: stays
        (10.0, 40.0): (True, [20, 46]),  # cut: what is outside is ignored; the one inside is gone
        (22.0, 22.0): (False, [38, 30]),  # of the partner, inside
        (50.0, 30.0): (True, [60, 36]),  # of the partner, cut
    }
    assert (own.image == 10).all(), "records are not changed in place"


def test_the_box_cuts_as_few_texts_as_can_be_had_and_brings_the_most_text() -> None:
    settings = PartnerSettings(candidates=300, side=(0.4, 0.5))
    partner = grey(200, box(50, 5, 75, 15), box(5, 45, 9, 50))
    own = grey(10, box(20, 30, 40, 40))
    for seed in range(5):
        left, top, right, bottom = choose_box(own, partner, settings, np.random.default_rng(seed))
        assert max(left - 50, top - 5, 75 - right, 15 - bottom) <= 0, "the larger text is inside"
        assert left >= 40 or bottom <= 30, "and the other image's is not touched"


def test_a_single_image_has_no_partner_and_pairs_follow_from_the_seed() -> None:
    always = PartnerSettings(probability=1.0)
    single = grey(10)
    assert mix_with_partners([single], always, np.random.default_rng(0))[0] is single
    samples = [grey(level) for level in (10, 90, 170, 250)]
    one, two = (mix_with_partners(samples, always, np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, two, strict=True))
    assert all(len(np.unique(sample.image)) == 2 for sample in one), "each has a box of exactly one other"
    assert mix_with_partners(samples, PartnerSettings(probability=0.0), np.random.default_rng(3)) == samples


def layer_with(color: int, polygon: np.ndarray) -> np.ndarray:
    """Letters that fill the polygon's box but for a frame of 2 pixels."""
    layer = np.zeros((60, 80, 4), dtype=np.uint8)
    left, top, right, bottom = (*polygon[0].astype(int), *polygon[2].astype(int))
    layer[top + 2 : bottom - 2, left + 2 : right - 2] = (color, color, color, 255)
    return layer


@pytest.mark.parametrize(
    ("color", "shown"),
    [pytest.param(250, 250, id="readable: as it is"), pytest.param(60, None, id="recoloured")],
)
def test_pasted_letters_can_be_read(color: int, shown: int | None) -> None:
    word = TextInstance(box(10, 10, 40, 25), "word")
    sample, pasted = paste_glyphs(grey(50), layer_with(color, word.polygon), [word], 20, 0.1, np.random.default_rng(0))  # type: ignore[arg-type]
    assert pasted == (word,)
    letters = sample.image[12:23, 12:38]
    assert (letters == letters[0, 0]).all()
    if shown is None:
        assert letters[0, 0].max() > 150, "one of the paints that can be read on dark grey"
    else:
        assert (letters == shown).all()
    outside = np.ones((60, 80), dtype=bool)
    outside[12:23, 12:38] = False
    assert (sample.image[outside] == 50).all()


def test_a_word_that_no_paint_makes_readable_is_left_out_with_its_label() -> None:
    word = TextInstance(box(10, 10, 40, 25), "word")
    assert word.polygon is not None
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    image[:, ::2] = 255
    layer = layer_with(120, word.polygon)
    assert not make_readable(layer, word, image, 60, np.random.default_rng(0))
    assert not layer[..., 3].any()
    empty = np.zeros_like(layer)
    assert not make_readable(empty, word, image, 0, np.random.default_rng(0)), "nothing of it is in the layer"


def test_a_pasted_word_wins_over_what_the_teacher_found_there() -> None:
    word = TextInstance(box(10, 10, 40, 25), "word")
    assert word.polygon is not None
    sample, _ = paste_glyphs(
        grey(50, box(20, 5, 70, 30), box(60, 40, 70, 45)), layer_with(250, word.polygon), [word], 20, 0.1,
        np.random.default_rng(0),
    )  # fmt: skip
    assert [instance.ignore for instance in sample.instances] == [True, False, False]
    assert sample.instances[-1] is word
