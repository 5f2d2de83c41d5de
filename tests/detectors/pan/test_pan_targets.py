from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from golden import golden_arrays
from scenetext.detectors.pan.config import PANSettings
from scenetext.detectors.pan.targets import targets
from scenetext.structures import Sample, TextInstance
from text_samples import WORD, golden_sample, make_sample, wild_samples, word

CONFIG = PANSettings()
ELSEWHERE = np.array([(20, 80), (120, 80), (120, 120), (20, 120)], np.float32)
THIN = np.array([(20, 20), (60, 20), (60, 22), (20, 22)], np.float32)


@pytest.mark.parametrize("layout", ["a640", "b320", "b320x"])
def test_targets_equal_published_ones(layout: str) -> None:
    golden = golden_arrays("detectors", f"targets_pan_{layout}")
    maps = targets(golden_sample(golden), CONFIG)
    assert np.array_equal(maps["valid"], golden["gt_mask"])
    # Ignored text has no kernels, as in MMOCR 0.x; 1.x draws them and masks them, so there the two agree where valid.
    left_out = golden_arrays("detectors", f"targets_legacy04_{layout}")["pan_gt_kernels"]
    known = golden["gt_mask"] > 0
    for name, older, newer in zip(("text", "kernel"), left_out, golden["gt_kernels"], strict=True):
        drawn = maps[name] > 0
        # OpenCV 4.10, that of the goldens, fills a few more border pixels: docs/detectors.md.
        assert (drawn != (older > 0)).sum() <= 0.002 * drawn.sum()
        assert (drawn != (newer > 0))[known].sum() <= 0.002 * drawn.sum()
    # The numbers separate the same texts; the published ones count ignored text as well.
    both = (maps["text"] > 0) & (golden["gt_kernels"][0] > 0) & known
    pairs = set(zip(maps["text"][both].tolist(), golden["gt_kernels"][0][both].tolist(), strict=True))
    assert len(pairs) == maps["text"].max() == (~golden["ignored"]).sum()


def test_words_by_hand() -> None:
    maps = targets(make_sample([word(WORD), word(ELSEWHERE)]), CONFIG)
    # A = 4000, L = 280: D = 14.29 * 0.75 = 11.
    text, kernel = np.zeros((140, 160), np.int32), np.zeros((140, 160), np.uint8)
    text[20:61, 20:121], text[80:121, 20:121] = 1, 2
    kernel[31:50, 31:110] = kernel[91:110, 31:110] = 1
    assert np.array_equal(maps["text"], text)
    assert np.array_equal(maps["kernel"], kernel)
    assert maps["valid"].all()
    assert {name: array.dtype for name, array in maps.items()} == {
        "text": np.int32,
        "kernel": np.uint8,
        "valid": np.uint8,
    }


def test_distance_is_limited() -> None:
    kernel = targets(make_sample([word(WORD)]), PANSettings(maximum_shrink=3))["kernel"]
    assert kernel.sum() == (101 - 6) * (41 - 6)


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param(word(WORD, ignore=True), id="ignored"),
        pytest.param(word(THIN), id="kernel vanishes"),
        pytest.param(word(np.array([(20, 20), (60, 20), (100, 20)], np.float32)), id="no extent"),
    ],
)
def test_ignored_text_is_masked_and_not_drawn(instance: TextInstance) -> None:
    maps = targets(make_sample([instance, word(ELSEWHERE)]), CONFIG)
    assert instance.polygon is not None
    left, top = instance.polygon.min(axis=0).astype(int)
    right, bottom = instance.polygon.max(axis=0).astype(int)
    expected = np.ones((140, 160), np.uint8)
    expected[top : bottom + 1, left : right + 1] = 0
    assert np.array_equal(maps["valid"], expected)
    assert set(np.unique(maps["text"])) == {0, 1}
    assert not maps["text"][:75].any()
    assert not maps["kernel"][:75].any()


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
    assert not maps["text"].any()
    assert not maps["kernel"].any()
    assert maps["valid"].all()


def test_thousands_of_texts_have_numbers_of_their_own() -> None:
    words = [
        word(np.array([(0, 0), (12, 0), (12, 9), (0, 9)], np.float32) + np.float32((x, y)))
        for x in range(0, 630, 14)
        for y in range(0, 630, 11)
    ]
    text = targets(make_sample(words, (640, 640)), CONFIG)["text"]
    assert len(words) > 2500
    assert np.array_equal(np.bincount(text.ravel())[1:], np.full(len(words), 13 * 10))


@settings(deadline=None)
@given(wild_samples())
def test_any_polygons_give_maps_in_range(sample: Sample) -> None:
    before = [instance.polygon.copy() for instance in sample.instances if instance.polygon is not None]
    maps = targets(sample, CONFIG)
    for instance, polygon in zip(sample.instances, before, strict=True):
        assert np.array_equal(instance.polygon, polygon)
    learnt = sum(not instance.ignore for instance in sample.instances)
    for name, largest in (("text", learnt), ("kernel", min(learnt, 1)), ("valid", 1)):
        assert maps[name].shape == sample.image.shape[:2], name
        assert 0 <= maps[name].min() <= maps[name].max() <= largest, name
