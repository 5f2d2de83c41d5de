from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from golden import golden_arrays
from scenetext.detectors.textsnake.config import TextSnakeSettings
from scenetext.detectors.textsnake.targets import targets
from scenetext.structures import Sample, TextInstance
from text_samples import golden_sample, make_sample, wild_samples, word

CONFIG = TextSnakeSettings()
WORD = np.array([(20, 20), (120, 20), (120, 60), (20, 60)], np.float32)
UPRIGHT = WORD[:, ::-1]


@pytest.mark.parametrize("layout", ["a640", "b320", "b320x"])
def test_targets_equal_published_ones(layout: str) -> None:
    golden = golden_arrays("detectors", f"targets_textsnake_{layout}")
    maps = targets(golden_sample(golden), CONFIG)
    # The goldens come from OpenCV 4.10, whose fillPoly paints some border pixels otherwise than 5.0 does.
    assert (maps["text"] != golden["gt_text_mask"]).sum() <= 3
    assert np.array_equal(maps["valid"], golden["gt_mask"])
    allowed = 0.004 * golden["gt_center_region_mask"].sum()
    assert (maps["centre"] != golden["gt_center_region_mask"]).sum() <= allowed
    for name in ("sin", "cos", "radius"):
        assert (np.abs(maps[name] - golden[f"gt_{name}_map"]) > 1e-4).sum() <= allowed, name


def test_word_by_hand() -> None:
    maps = targets(make_sample([word(WORD)]), CONFIG)
    expected = dict.fromkeys(("text", "centre", "valid"), np.uint8)
    expected |= dict.fromkeys(("sin", "cos", "radius"), np.float32)
    assert {name: (array.shape, array.dtype) for name, array in maps.items()} == {
        name: ((140, 160), kind) for name, kind in expected.items()
    }
    y, x = np.nonzero(maps["text"])
    assert (x.min(), x.max(), y.min(), y.max()) == (20, 120, 20, 60)
    # 0.3 of a height of 40 around y = 40; a quarter of the height, in whole steps of 100 / 25, is cut off at both ends.
    y, x = np.nonzero(maps["centre"])
    assert (x.min(), x.max(), y.min(), y.max()) == (28, 112, 34, 46)
    centre = maps["centre"] == 1
    assert np.allclose(maps["sin"][centre], 0)
    assert np.allclose(maps["cos"][centre], 1)
    assert np.allclose(maps["radius"][centre], 20)
    assert not any(maps[name][~centre].any() for name in ("sin", "cos", "radius"))


@pytest.mark.parametrize(
    ("polygon", "direction"),
    [
        pytest.param(WORD, (0, 1), id="level"),
        pytest.param(WORD[[2, 3, 0, 1]], (0, 1), id="from the other corner"),
        pytest.param(WORD[::-1], (0, 1), id="anti-clockwise"),
        pytest.param(UPRIGHT, (1, 0), id="upright"),
        pytest.param(UPRIGHT[[2, 3, 0, 1]], (1, 0), id="upright, from the other corner"),
        pytest.param(np.array([(20, 90), (90, 30), (110, 50), (40, 110)]), (-0.651, 0.759), id="rising"),
        pytest.param(np.array([(20, 110), (100, 30), (120, 50), (40, 130)]), (0.707, -0.707), id="steeper than 0.9"),
    ],
)
def test_texts_read_to_the_right_or_downwards(polygon: np.ndarray, direction: tuple[float, float]) -> None:
    maps = targets(make_sample([word(polygon.astype(np.float32))]), CONFIG)
    centre = maps["centre"] == 1
    assert (maps["sin"][centre].mean(), maps["cos"][centre].mean()) == pytest.approx(direction, abs=1e-3)


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param(word(WORD, ignore=True), id="ignored"),
        pytest.param(word(WORD[[0, 1, 1, 0]]), id="no height"),
        pytest.param(word(np.repeat(WORD[:1], 4, axis=0)), id="a point"),
    ],
)
def test_ignored_text_is_masked_and_not_drawn(instance: TextInstance) -> None:
    maps = targets(make_sample([instance]), CONFIG)
    assert not maps["valid"].all()
    assert not any(array.any() for name, array in maps.items() if name != "valid")


def test_repeated_points_do_not_matter() -> None:
    repeated = np.repeat(WORD, 3, axis=0)
    first, second = (targets(make_sample([word(polygon)]), CONFIG) for polygon in (WORD, repeated))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_later_texts_overwrite_earlier_ones() -> None:
    below = WORD + np.float32((0, 4))
    alone, both = (targets(make_sample(list(map(word, texts))), CONFIG) for texts in ([below], [UPRIGHT, below]))
    later = alone["centre"] == 1
    assert (both["centre"].sum(), both["sin"].max()) > (later.sum(), 0.9)
    for name in ("sin", "cos", "radius"):
        assert np.array_equal(both[name][later], alone[name][later])


@given(wild_samples())
def test_any_polygons_give_maps_in_range(sample: Sample) -> None:
    maps = targets(sample, CONFIG)
    for name in ("text", "centre", "valid"):
        assert set(np.unique(maps[name])) <= {0, 1}
    for name in ("sin", "cos", "radius"):
        assert np.isfinite(maps[name]).all()
        assert not maps[name][maps["centre"] == 0].any()
    assert np.abs(maps["sin"]).max() <= 1
    assert np.abs(maps["cos"]).max() <= 1
    assert maps["radius"].min() >= 0
