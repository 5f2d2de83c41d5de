"""Maps as colours."""

from __future__ import annotations

import numpy as np
import pytest

from scenetext.drawing.heatmaps import blend_heatmap, colorize
from scenetext.errors import DataError


def brightness(colours: np.ndarray) -> np.ndarray:
    return colours.astype(float) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.float16])
def test_brightness_rises_with_the_value(kind: type) -> None:
    colours = colorize(np.arange(64).reshape(1, 64).astype(kind))
    assert colours.shape == (1, 64, 3)
    assert colours.dtype == np.uint8
    assert (np.diff(brightness(colours)[0]) > 0).all()
    assert colours[0, 32, 0] > colours[0, 32, 2], "the middle of the scale is red, not blue"


def test_range_may_be_given() -> None:
    np.testing.assert_array_equal(
        colorize(np.array([[0.0, 0.5, 2.0]]), 0.0, 1.0), colorize(np.array([[0.0, 0.5, 1.0]]))
    )


def test_booleans_and_constant_maps() -> None:
    assert brightness(colorize(np.array([[False, True]])))[0, 1] > 200
    assert brightness(colorize(np.full((3, 3), 7.0))).max() < 5


def test_blend_is_brightest_where_the_map_is_highest() -> None:
    image = np.full((60, 80, 3), 100, dtype=np.uint8)
    heat = np.zeros((6, 8))
    heat[1, 6] = 3.0
    blended = blend_heatmap(image, heat)
    assert blended.shape == image.shape
    row, column = np.unravel_index(brightness(blended).argmax(), (60, 80))
    assert (row // 10, column // 10) == (1, 6)


def test_blend_by_its_share() -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    heat = np.arange(12 * 16).reshape(12, 16)
    np.testing.assert_array_equal(blend_heatmap(image, heat, 0.0), image)
    np.testing.assert_array_equal(blend_heatmap(image, heat, 1.0), colorize(heat))


@pytest.mark.parametrize(
    "values", [np.zeros(5), np.zeros((2, 2, 3)), np.zeros((0, 4)), np.array([[0, np.nan]]), np.array([[0, np.inf]])]
)
def test_bad_maps_are_refused(values: np.ndarray) -> None:
    with pytest.raises(DataError, match="cannot colour a map"):
        colorize(values)
    with pytest.raises(DataError, match="cannot colour a map"):
        blend_heatmap(np.zeros((4, 4, 3), np.uint8), values)


def test_share_out_of_range_is_refused() -> None:
    with pytest.raises(DataError, match="alpha"):
        blend_heatmap(np.zeros((4, 4, 3), np.uint8), np.zeros((2, 2)), 1.5)
