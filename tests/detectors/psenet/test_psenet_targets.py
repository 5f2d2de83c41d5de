from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings

from golden import golden_arrays
from scenetext.detectors.psenet.config import PSENetSettings
from scenetext.detectors.psenet.targets import targets
from scenetext.geometry.offset import shrink_to_kernels
from scenetext.structures import Sample, TextInstance
from text_samples import WORD, golden_sample, make_sample, wild_samples, word

CONFIG = PSENetSettings()
THIN = np.array([(20, 20), (60, 20), (60, 22), (20, 22)], np.float32)


@pytest.mark.parametrize("layout", ["a640", "b320", "b320x"])
def test_targets_equal_published_ones(layout: str) -> None:
    golden = golden_arrays("detectors", f"targets_pse_{layout}")
    maps = targets(golden_sample(golden), CONFIG)
    assert np.array_equal(maps["valid"], golden["gt_mask"])
    # Ignored text has no kernels, as in MMOCR 0.x; 1.x draws them and masks them, so there the two agree where valid.
    left_out = golden_arrays("detectors", f"targets_legacy04_{layout}")["pse_gt_kernels"]
    known = golden["gt_mask"] > 0
    for index in range(7):
        kernel = maps["level"] > index
        # OpenCV 4.10, that of the goldens, fills a few more border pixels: docs/detectors.md.
        assert (kernel != (left_out[index] > 0)).sum() <= 0.002 * kernel.sum()
        assert (kernel != (golden["gt_kernels"][index] > 0))[known].sum() <= 0.002 * kernel.sum()


def test_word_by_hand() -> None:
    maps = targets(make_sample([word(WORD)]), PSENetSettings(shrink_ratios=(1, 0.5, 0.4)))
    # A = 4000, L = 280: D = 14.29 (1 - r^2) = 0, 11, 12.
    expected = np.zeros((140, 160), np.uint8)
    for level, distance in enumerate((0, 11, 12), start=1):
        expected[20 + distance : 61 - distance, 20 + distance : 121 - distance] = level
    assert np.array_equal(maps["level"], expected)
    assert maps["valid"].all()
    assert {name: array.dtype for name, array in maps.items()} == {"level": np.uint8, "valid": np.uint8}


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param(word(WORD, ignore=True), id="ignored"),
        pytest.param(word(THIN), id="kernel vanishes"),
        pytest.param(word(np.array([(20, 20), (60, 20), (100, 20)], np.float32)), id="no extent"),
    ],
)
def test_ignored_text_is_masked_and_not_drawn(instance: TextInstance) -> None:
    maps = targets(make_sample([instance]), CONFIG)
    assert not maps["level"].any()
    assert instance.polygon is not None
    left, top = instance.polygon.min(axis=0).astype(int)
    right, bottom = instance.polygon.max(axis=0).astype(int)
    expected = np.ones((140, 160), np.uint8)
    expected[top : bottom + 1, left : right + 1] = 0
    assert np.array_equal(maps["valid"], expected)


@pytest.mark.parametrize(
    "instances",
    [
        pytest.param([], id="no text"),
        pytest.param([word(None)], id="without polygon"),
        pytest.param([word(WORD + np.float32(500)), word(WORD - np.float32(500))], id="outside"),
    ],
)
def test_images_without_text_in_them(instances: list[TextInstance]) -> None:
    maps = targets(make_sample(instances), CONFIG)
    assert not maps["level"].any()
    assert maps["valid"].all()


def test_overlapping_texts_keep_the_kernels_of_both() -> None:
    both = targets(make_sample([word(WORD), word(WORD + np.float32(30))]), CONFIG)
    alone = [targets(make_sample([word(WORD + np.float32(shift))]), CONFIG)["level"] for shift in (0, 30)]
    assert np.array_equal(both["level"], np.maximum(*alone))


@settings(max_examples=20)
@given(sample=wild_samples())
def test_level_is_the_smallest_kernel_that_holds_the_pixel(sample: Sample) -> None:
    """Of any text, in whatever order overlapping texts come: the published stack of kernels, each drawn for itself."""
    expected = np.zeros(sample.image.shape[:2], np.uint8)
    for instance in sample.instances:
        if instance.polygon is None or instance.ignore:
            continue
        kernels = shrink_to_kernels(instance.polygon, CONFIG.shrink_ratios, CONFIG.maximum_shrink)
        for number, kernel in enumerate(kernels or [], start=1):
            drawn = cv2.fillPoly(np.zeros_like(expected), [kernel], 1)
            expected = np.maximum(expected, drawn * number)
    assert np.array_equal(targets(sample, CONFIG)["level"], expected)


def test_thousands_of_texts() -> None:
    words = [
        word(np.array([(0, 0), (12, 0), (12, 9), (0, 9)], np.float32) + np.float32((x, y)))
        for x in range(0, 630, 14)
        for y in range(0, 630, 11)
    ]
    assert len(words) > 2500
    maps = targets(make_sample(words, (640, 640)), CONFIG)
    assert (maps["level"] > 0).sum() == len(words) * 13 * 10


@settings(deadline=None)
@given(wild_samples())
def test_any_polygons_give_maps_in_range(sample: Sample) -> None:
    before = [instance.polygon.copy() for instance in sample.instances if instance.polygon is not None]
    maps = targets(sample, CONFIG)
    for instance, polygon in zip(sample.instances, before, strict=True):
        assert np.array_equal(instance.polygon, polygon)
    for name, array in maps.items():
        assert (array.shape, array.dtype) == (sample.image.shape[:2], np.uint8), name
    assert maps["level"].max() <= 7
    assert maps["valid"].max() <= 1
    if all(instance.ignore for instance in sample.instances):
        assert not maps["level"].any()
