from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import golden_arrays
from scenetext.detectors.dbnet.config import DBNetSettings
from scenetext.detectors.dbnet.targets import targets
from scenetext.structures import ImageMeta, Sample, TextInstance

CONFIG = DBNetSettings()
WORD = np.array([(20, 20), (120, 20), (120, 60), (20, 60)], np.float32)
ELSEWHERE = np.array([(20, 80), (120, 80), (120, 120), (20, 120)], np.float32)
TINY = np.array([(20, 20), (50, 20), (50, 27), (20, 27)], np.float32)
THIN = np.array([(20, 20), (60, 20), (60, 26), (20, 26)], np.float32)


def make_sample(instances: Sequence[TextInstance], size: tuple[int, int] = (140, 160)) -> Sample:
    meta = ImageMeta(path=Path("drawn.png"), original_size=size, to_original=np.eye(3), content_size=size)
    return Sample(np.zeros((*size, 3), np.uint8), tuple(instances), meta)


def word(polygon: np.ndarray | None, ignore: bool = False) -> TextInstance:
    return TextInstance(polygon, "word", ignore)


def distance_to_border(polygon: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Distance of every pixel to the nearest edge, from the definition: projection onto the segment, in float64."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    nearest = np.full(size, np.inf)
    for start, end in zip(polygon.astype(np.float64), np.roll(polygon, -1, axis=0).astype(np.float64), strict=True):
        edge = end - start
        share = ((x - start[0]) * edge[0] + (y - start[1]) * edge[1]) / max(edge @ edge, 1e-12)
        share = np.clip(share, 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - start[0] - share * edge[0], y - start[1] - share * edge[1]))
    return nearest


@pytest.mark.parametrize("layout", ["a640", "b320", "b320x"])
def test_targets_equal_published_ones(layout: str) -> None:
    golden = golden_arrays("detectors", f"targets_db_{layout}")
    instances = [
        word(polygon[:count], bool(ignored))
        for polygon, count, ignored in zip(golden["polygons"], golden["num_points"], golden["ignored"], strict=True)
    ]
    height, width = golden["image_hw"].tolist()
    maps = targets(make_sample(instances, (height, width)), CONFIG)

    assert np.array_equal(maps["probability_valid"], golden["gt_shrink_mask"])
    # OpenCV 4.10, that of the goldens, fills a few more border pixels: docs/detectors.md.
    for name, published in (("probability", "gt_shrink"), ("threshold_valid", "gt_thr_mask")):
        assert (maps[name] != golden[published]).sum() <= 0.002 * np.maximum(maps[name], golden[published]).sum()
    # The published distance is that to a vertex under acute angles; everywhere else the two agree.
    difference = np.abs(maps["threshold"] - golden["gt_thr"])
    assert difference.max() <= 0.044
    assert (difference > 1e-3).sum() <= 0.02 * golden["gt_thr_mask"].sum()


def test_threshold_map_is_the_distance_to_the_border() -> None:
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    wave = np.stack([330 + 260 * np.cos(angle), 150 + (90 + 25 * np.cos(5 * angle)) * np.sin(angle)], axis=1)
    small = np.array([(40.5, 20.25), (90, 28), (86.75, 50), (38, 41)], np.float32)
    for polygon in (WORD, small, wave.astype(np.float32)):
        maps = targets(make_sample([word(polygon)], (320, 640)), CONFIG)
        area, perimeter = cv2.contourArea(polygon), cv2.arcLength(polygon, True)
        closeness = 1 - np.minimum(distance_to_border(polygon, (320, 640)) / (area * 0.84 / perimeter), 1)
        inside = maps["threshold_valid"] > 0
        assert np.allclose(maps["threshold"][inside], 0.3 + 0.4 * closeness[inside], atol=1e-5)
        assert inside.sum() > area


def test_word_by_hand() -> None:
    maps = targets(make_sample([word(WORD)]), CONFIG)
    # A = 4000, L = 280: D = 4000 * 0.84 / 280 = 12.
    expected = np.zeros((140, 160), np.uint8)
    expected[32:49, 32:109] = 1
    assert np.array_equal(maps["probability"], expected)
    assert maps["probability_valid"].all()
    assert maps["threshold"][20, 70] == pytest.approx(0.7)
    assert maps["threshold"][26, 70] == pytest.approx(0.5)
    assert maps["threshold"][14, 70] == pytest.approx(0.5)
    assert maps["threshold"][100, 70] == pytest.approx(0.3)
    assert (maps["threshold_valid"][8, 70], maps["threshold_valid"][7, 70]) == (1, 0)
    assert {name: array.dtype for name, array in maps.items()} == {
        "probability": np.uint8,
        "probability_valid": np.uint8,
        "threshold": np.float32,
        "threshold_valid": np.uint8,
    }


@pytest.mark.parametrize(
    ("instance", "config"),
    [
        pytest.param(word(WORD, ignore=True), CONFIG, id="ignored"),
        pytest.param(word(TINY), CONFIG, id="side below the minimum"),
        pytest.param(word(WORD), DBNetSettings(minimum_side=41), id="minimum raised"),
        pytest.param(word(THIN), DBNetSettings(minimum_side=0, shrink_ratio=0.01), id="kernel vanishes"),
        pytest.param(word(np.array([(20, 20), (60, 20), (100, 20)], np.float32)), CONFIG, id="no extent"),
    ],
)
def test_ignored_text_is_masked_and_not_drawn(instance: TextInstance, config: DBNetSettings) -> None:
    maps = targets(make_sample([instance]), config)
    assert not maps["probability"].any()
    assert not maps["threshold_valid"].any()
    assert (maps["threshold"] == np.float32(0.3)).all()
    polygon = instance.polygon
    assert polygon is not None
    left, top = polygon.min(axis=0).astype(int)
    right, bottom = polygon.max(axis=0).astype(int)
    expected = np.ones((140, 160), np.uint8)
    expected[top : bottom + 1, left : right + 1] = 0
    assert np.array_equal(maps["probability_valid"], expected)


@pytest.mark.parametrize(
    "instances",
    [
        pytest.param([], id="no text"),
        pytest.param([word(None)], id="without polygon"),
        pytest.param([word(WORD - np.float32(500))], id="outside"),
        pytest.param([word(WORD + np.float32(500))], id="outside below"),
    ],
)
def test_images_without_text_in_them(instances: list[TextInstance]) -> None:
    maps = targets(make_sample(instances), CONFIG)
    assert not maps["probability"].any()
    assert not maps["threshold_valid"].any()
    assert maps["probability_valid"].all()


def test_text_across_the_border_is_cut() -> None:
    whole = targets(make_sample([word(WORD)]), CONFIG)
    shifted = targets(make_sample([word(WORD - np.float32(60))]), CONFIG)
    for name, array in whole.items():
        assert np.array_equal(array[60:, 60:], shifted[name][:80, :100]), name


def test_overlapping_borders_take_the_higher_threshold() -> None:
    both = targets(make_sample([word(WORD), word(WORD + np.float32(30))]), CONFIG)
    alone = [targets(make_sample([word(WORD + np.float32(shift))]), CONFIG) for shift in (0, 30)]
    assert np.array_equal(both["threshold"], np.maximum(alone[0]["threshold"], alone[1]["threshold"]))
    assert np.array_equal(both["probability"], alone[0]["probability"] | alone[1]["probability"])


coordinates = st.floats(min_value=-100, max_value=300, width=32)
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(polygons, st.booleans()), max_size=4), st.integers(1, 200), st.integers(1, 200))
def test_any_polygons_give_maps_in_range(
    drawn: list[tuple[list[tuple[float, float]], bool]], height: int, width: int
) -> None:
    sample = make_sample([word(np.array(points, np.float32), ignore) for points, ignore in drawn], (height, width))
    before = [instance.polygon.copy() for instance in sample.instances if instance.polygon is not None]
    maps = targets(sample, CONFIG)
    for instance, polygon in zip(sample.instances, before, strict=True):
        assert np.array_equal(instance.polygon, polygon)
    for name, array in maps.items():
        assert array.shape == (height, width), name
        low, high = (0.3, 0.7) if name == "threshold" else (0, 1)
        assert low - 1e-6 <= array.min() <= array.max() <= high + 1e-6, name
    repeated = targets(sample, CONFIG)
    assert all(np.array_equal(maps[name], repeated[name]) for name in maps)


def test_loops_that_cancel_are_no_text() -> None:
    """Of a bow-tie the area is 0, and so the width of the border."""
    crossing = np.array([(20, 20), (100, 80), (100, 20), (20, 80)], np.float32)
    maps = targets(make_sample([word(crossing)]), CONFIG)
    assert not maps["probability"].any()
    assert not maps["threshold_valid"].any()
    assert not maps["probability_valid"].all()
