"""Turns between stored pixels and the upright image, against Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from scenetext.data.records.orientation import ORIENTATIONS, turn_upright, upright_size, upright_to_stored


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_turns_equal_those_of_a_viewer(orientation: int) -> None:
    stored = np.random.default_rng(0).integers(0, 255, (3, 5, 3), dtype=np.uint8)
    tagged = Image.fromarray(stored)
    tagged.getexif()[0x0112] = orientation
    tagged.info["exif"] = tagged.getexif().tobytes()
    upright = np.asarray(ImageOps.exif_transpose(tagged))
    np.testing.assert_array_equal(turn_upright(stored, orientation), upright)
    assert upright_size((3, 5), orientation) == upright.shape[:2]
    matrix = upright_to_stored((3, 5), orientation)
    for y, x in np.ndindex(*upright.shape[:2]):
        column, row, one = matrix @ (x + 0.5, y + 0.5, 1)
        assert one == 1
        np.testing.assert_array_equal(stored[int(row), int(column)], upright[y, x])
