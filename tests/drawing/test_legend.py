"""A legend says what every colour means, under the picture and in as many lines as it takes."""

from __future__ import annotations

import numpy as np

from scenetext.drawing.legend import add_legend

ENTRIES = (("hit", (0, 230, 100)), ("ignored, or left out because of it", (90, 170, 255)), ("missed", (255, 210, 0)))


def test_every_entry_has_its_colour_and_the_picture_stays() -> None:
    picture = np.full((50, 600, 3), 70, dtype=np.uint8)
    drawn = add_legend(picture, ENTRIES)
    np.testing.assert_array_equal(drawn[:50], picture)
    for _, colour in ENTRIES:
        assert (drawn[50:] == colour).all(axis=2).sum() > 100
    assert (drawn[50:] == 0).all(axis=2).any(), "black letters"


def test_a_narrow_picture_gets_more_lines() -> None:
    heights = [add_legend(np.zeros((10, width, 3), dtype=np.uint8), ENTRIES).shape[0] for width in (900, 420, 40)]
    assert heights[0] < heights[1] < heights[2]
