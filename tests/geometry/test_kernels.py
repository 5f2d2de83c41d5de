from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.geometry.kernels import shrink_to_kernels
from scenetext.geometry.offset import area_and_perimeter, largest_part, offset_polygon

WORD = np.array([(20, 20), (120, 20), (120, 60), (20, 60)], np.float32)
RATIOS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)

coordinates = st.floats(min_value=-200, max_value=900, width=32)
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=14).map(
    lambda points: np.array(points, np.float32)
)


def box(polygon: np.ndarray) -> tuple[list[int], list[int]]:
    return polygon.min(axis=0).tolist(), polygon.max(axis=0).tolist()


@pytest.mark.parametrize("polygon", [WORD, WORD[::-1], WORD + np.float32(0.9)], ids=["word", "reversed", "fractions"])
def test_word_by_hand(polygon: np.ndarray) -> None:
    # A = 4000, L = 280: D = 14.29 (1 - r^2) = 0, 10.7, 12 for r = 1, 0.5, 0.4.
    kernels = shrink_to_kernels(polygon, (1, 0.5, 0.4), 20)
    assert kernels is not None
    assert [box(kernel) for kernel in kernels] == [
        ([20, 20], [120, 60]),
        ([31, 31], [109, 49]),
        ([32, 32], [108, 48]),
    ]
    assert all(kernel.dtype == np.int32 for kernel in kernels)


def test_distance_is_limited() -> None:
    kernels = shrink_to_kernels(WORD, (1, 0.5, 0.4), 7)
    assert kernels is not None
    assert [box(kernel)[0] for kernel in kernels] == [[20, 20], [27, 27], [27, 27]]


@pytest.mark.parametrize(
    "polygon",
    [
        pytest.param([(5, 5), (50, 5), (90, 5)], id="no area"),
        pytest.param([(5, 5), (5, 5), (5, 5)], id="one point"),
        pytest.param([(5, 5), (90, 5), (90, 7), (5, 7)], id="two pixels high"),
    ],
)
def test_text_without_all_kernels_has_none(polygon: list[tuple[int, int]]) -> None:
    assert shrink_to_kernels(np.array(polygon, np.float32), RATIOS, 20) is None


@given(polygons)
def test_every_kernel_is_the_largest_part_of_the_shrunk_polygon(polygon: np.ndarray) -> None:
    before = polygon.copy()
    kernels = shrink_to_kernels(polygon, RATIOS, 20)
    assert np.array_equal(polygon, before)
    area, perimeter = area_and_perimeter(polygon.astype(np.int64))
    parts = [
        largest_part(offset_polygon(polygon, -min(int(area * (1 - ratio**2) / max(perimeter, 1) + 0.5), 20)))
        for ratio in RATIOS
    ]
    if kernels is None:
        assert any(part is None for part in parts)
        return
    for kernel, part in zip(kernels, parts, strict=True):
        assert part is not None
        assert np.array_equal(kernel, part)
