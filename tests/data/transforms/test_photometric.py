"""Colours: each change does what its name says, and the one-pass matrix equals the steps one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from scenetext.data.transforms.photometric import GREY_WEIGHTS, PhotometricSettings, draw_colour_matrix, vary_colours

OFF = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def test_all_off_changes_nothing() -> None:
    np.testing.assert_array_equal(vary_colours(IMAGE, PhotometricSettings(**OFF), np.random.default_rng(0)), IMAGE)


def test_the_matrix_equals_the_steps() -> None:
    settings = PhotometricSettings(brightness=0.3, contrast=0.4, saturation=0.5)
    brightness, contrast, saturation = np.random.default_rng(7).uniform([0.7, 0.6, 0.5], [1.3, 1.4, 1.5])
    pixels = IMAGE.astype(np.float64)
    grey = (pixels @ GREY_WEIGHTS)[..., None]
    mean_grey = grey.mean()
    expected = grey + saturation * (pixels - grey)
    expected = brightness * (mean_grey + contrast * (expected - mean_grey))
    result = vary_colours(IMAGE, settings, np.random.default_rng(7))
    np.testing.assert_allclose(result, np.clip(expected, 0, 255), atol=1.01)


@pytest.mark.parametrize("name", list(OFF))
def test_each_setting_does_what_its_name_says(name: str) -> None:
    settings = PhotometricSettings(**{**OFF, name: 0.5})
    matrices = np.array([draw_colour_matrix(100.0, settings, np.random.default_rng(seed)) for seed in range(200)])
    grey, mean_grey, colour = [50.0, 50, 50, 1], [100.0, 100, 100, 1], [200.0, 50, 20, 1]
    if name == "saturation":
        np.testing.assert_allclose(matrices @ grey, np.full((200, 3), 50.0))
        lumas = (matrices @ colour) @ GREY_WEIGHTS
        np.testing.assert_allclose(lumas, lumas[0])
        factors = np.ptp(matrices @ colour, axis=1) / 180
    elif name == "contrast":
        np.testing.assert_allclose(matrices @ mean_grey, np.full((200, 3), 100.0))
        factors = (matrices @ mean_grey - matrices @ grey)[:, 0] / 50
    else:
        factors = (matrices @ grey)[:, 0] / 50
        np.testing.assert_allclose(matrices @ colour, factors[:, None] * colour[:3])
    assert 0.5 <= factors.min() < 0.55
    assert 1.45 < factors.max() <= 1.5
