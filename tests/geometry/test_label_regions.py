from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from shapely import Polygon

from scenetext.geometry.label_regions import find_regions, label_components

masks = arrays.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def two_boxes() -> np.ndarray:
    labels = np.zeros((20, 30), np.int32)
    labels[2:7, 3:13] = 1
    labels[10:15, 3:13] = 3
    return labels


def test_components_by_hand() -> None:
    mask = np.array([[1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 1, 0]], bool)
    assert label_components(mask).tolist() == [[1, 1, 0, 2], [0, 0, 3, 0], [3, 3, 3, 0]]
    assert label_components(mask, minimum_area=2).tolist() == [[1, 1, 0, 0], [0, 0, 3, 0], [3, 3, 3, 0]]
    assert not label_components(mask, minimum_area=5).any()


@given(masks, st.integers(0, 6))
def test_components_are_those_of_the_mask(mask: np.ndarray, minimum_area: int) -> None:
    labels = label_components(mask, minimum_area)
    assert labels.dtype == np.int32
    _, expected = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    for number in range(1, expected.max() + 1):
        (given_number,) = set(labels[expected == number].tolist())
        assert given_number == (number if (expected == number).sum() >= minimum_area else 0)
    assert not labels[~mask].any()


@pytest.mark.parametrize("shape", ["quad", "polygon"])
def test_regions_become_their_boxes(shape: str) -> None:
    probability = np.full((20, 30), 0.25)
    probability[2:7, 3:8] = 0.75
    first, second = find_regions(two_boxes(), probability, 0, 0, shape)
    assert sorted(map(tuple, first.polygon.tolist())) == [(3, 2), (3, 6), (12, 2), (12, 6)]
    assert sorted(map(tuple, second.polygon.tolist())) == [(3, 10), (3, 14), (12, 10), (12, 14)]
    assert (first.score, second.score) == (pytest.approx(0.5), pytest.approx(0.25))
    assert first.polygon.dtype == np.float32


def test_thresholds_are_kept_at_equality_and_both_count() -> None:
    labels, probability = two_boxes(), np.full((20, 30), 0.5)
    assert len(find_regions(labels, probability, 50, 0.5, "quad")) == 2
    assert find_regions(labels, probability, 51, 0.5, "quad") == []
    assert find_regions(labels, probability, 50, 0.51, "quad") == []


def test_outline_follows_a_bend_and_its_rectangle_does_not() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[5:35, 5:12] = labels[28:35, 5:35] = 1
    (outline,) = find_regions(labels, np.ones((40, 40)), 0, 0, "polygon")
    (rectangle,) = find_regions(labels, np.ones((40, 40)), 0, 0, "quad")
    # 29 x 6 and 23 x 6 between the middles of the pixels, and half a pixel where OpenCV cuts the inner corner.
    assert Polygon(outline.polygon).area == pytest.approx(29 * 6 + 23 * 6, abs=1)
    assert len(rectangle.polygon) == 4
    assert Polygon(rectangle.polygon).area == pytest.approx(29 * 29, rel=0.35)


@pytest.mark.parametrize("shape", ["quad", "polygon"])
@pytest.mark.parametrize("region", [np.s_[3:4, 3:4], np.s_[3:4, 2:9], np.s_[2:9, 3:4]], ids=["pixel", "row", "column"])
def test_regions_without_extent_are_dropped(shape: str, region: tuple[slice, slice]) -> None:
    labels = np.zeros((10, 10), np.int32)
    labels[region] = 1
    assert find_regions(labels, np.ones((10, 10)), 0, 0, shape) == []


@given(masks, st.sampled_from(["quad", "polygon"]), st.integers(0, 2**31))
def test_any_regions_give_proper_polygons_around_their_pixels(mask: np.ndarray, shape: str, seed: int) -> None:
    labels = label_components(mask)
    probability = np.random.default_rng(seed).random(mask.shape)
    found = find_regions(labels, probability, 0, 0, shape)
    assert len(found) <= labels.max()
    covered = np.zeros(mask.shape, bool)
    for region in found:
        assert region.polygon.shape == (len(region.polygon), 2)
        assert len(region.polygon) >= 3
        assert 0 <= region.score <= 1
        assert Polygon(region.polygon).area > 0
        y, x = np.nonzero(labels)
        if shape == "polygon":
            assert set(map(tuple, region.polygon.astype(int).tolist())) <= set(zip(x.tolist(), y.tolist(), strict=True))
        covered |= cv2.fillPoly(np.zeros(mask.shape, np.uint8), [region.polygon.round().astype(np.int32)], 1) > 0
    large = [label for label in range(1, labels.max() + 1) if (labels == label).sum() > 25]
    for label in large:
        assert covered[labels == label].mean() > 0.9
