from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from golden import golden_arrays
from scenetext.geometry.growth import grow_labels


def grow_by_queue(
    labels: np.ndarray, masks: Sequence[np.ndarray], accept: Callable[[int, int], bool] = lambda pixel, label: True
) -> np.ndarray:
    """The definition: one pixel after the other from a queue."""
    grown, (height, width) = labels.copy(), labels.shape
    done = list(zip(*np.nonzero(labels), strict=True))
    for mask in masks:
        queue = deque(done)
        while queue:
            y, x = queue.popleft()
            for row, column in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= row < height and 0 <= column < width
                if not inside or not mask[row, column] or grown[row, column]:
                    continue
                if accept(row * width + column, grown[y, x]):
                    grown[row, column] = grown[y, x]
                    queue.append((row, column))
                    done.append((row, column))
    return grown


@st.composite
def labels_and_masks(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray]]:
    """Scattered labels, and masks that are neither nested nor hold the labels."""
    size = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    scattered = draw(arrays.arrays(np.int32, size, elements=st.sampled_from([0, 0, 0, 0, 1, 2, 3, 7])))
    count = draw(st.integers(0, 4))
    return scattered, [draw(arrays.arrays(bool, size, elements=st.sampled_from([0, 1, 1]))) for _ in range(count)]


@given(labels_and_masks())
def test_growth_equals_the_queue(case: tuple[np.ndarray, list[np.ndarray]]) -> None:
    labels, masks = case
    before = labels.copy()
    assert np.array_equal(grow_labels(labels, masks), grow_by_queue(labels, masks))
    assert np.array_equal(labels, before)


@given(labels_and_masks(), st.integers(0, 2**31))
def test_growth_with_conditions_equals_the_queue(case: tuple[np.ndarray, list[np.ndarray]], seed: int) -> None:
    labels, masks = case
    allowed = np.random.default_rng(seed).random((labels.size, 8)) < 0.7
    found = grow_labels(labels, masks, lambda pixels, asking: allowed[pixels, asking])
    assert np.array_equal(found, grow_by_queue(labels, masks, lambda pixel, label: bool(allowed[pixel, label])))


def test_texts_of_real_sizes_grow_as_by_the_queue() -> None:
    generator = np.random.default_rng(0)
    field = cv2.GaussianBlur(generator.normal(size=(90, 120)).astype(np.float32), (0, 0), 4)
    masks = [field > np.quantile(field, share) for share in (0.9, 0.8, 0.7, 0.6)]
    labels = cv2.connectedComponents(masks[0].view(np.uint8), connectivity=4)[1]
    assert labels.max() > 5
    found = grow_labels(labels, masks[1:])
    assert np.array_equal(found, grow_by_queue(labels, masks[1:]))
    assert (found > 0).sum() > 2 * (labels > 0).sum()


def test_ties_by_hand() -> None:
    # The middle is reached by both at once: the upper and then the left one stand first in the queue.
    assert grow_labels(np.array([[1, 0, 2]], np.int32), [np.ones((1, 3))]).tolist() == [[1, 1, 2]]
    assert grow_labels(np.array([[2], [0], [1]], np.int32), [np.ones((3, 1))]).tolist() == [[2], [2], [1]]
    # In the smaller mask only label 2 reaches the middle.
    narrow = np.array([[0, 0, 1, 1, 1]])
    assert grow_labels(np.array([[1, 0, 0, 0, 2]], np.int32), [narrow, np.ones((1, 5))]).tolist() == [[1, 1, 2, 2, 2]]


@pytest.mark.parametrize("layout", ["a640", "b320"])
def test_expansion_equals_the_published_operator(layout: str) -> None:
    golden = golden_arrays("detectors", f"post_pse_{layout}")
    masks, labels, expected = golden["kernel_masks"], golden["kernel_labels"], golden["expanded_labels"]
    # mmcv's operator gives what growing straight into the largest mask gives, for any masks in between.
    assert np.array_equal(grow_labels(labels, masks[:1]), expected)
    # The paper's way through all masks reaches the same pixels, and shares those between neighbouring texts otherwise.
    progressive = grow_labels(labels, masks[-2::-1])
    assert np.array_equal(progressive > 0, expected > 0)
    assert (progressive != expected).sum() <= 0.005 * (expected > 0).sum()
    assert np.array_equal(progressive, grow_by_queue(labels, masks[-2::-1]))
