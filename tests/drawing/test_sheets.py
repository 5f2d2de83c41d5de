"""Grids of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from scenetext.drawing.sheets import GAP, add_legend, sheet
from scenetext.errors import DataError


def picture(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def test_tiles_lie_row_by_row_between_white_gaps() -> None:
    drawn = sheet([picture(20, 40, value) for value in (10, 20, 30)], columns=2, tile_width=80)
    assert drawn.shape == (2 * 40 + 3 * GAP, 2 * 80 + 3 * GAP, 3)
    step_y, step_x = 40 + GAP, 80 + GAP
    assert [
        drawn[GAP + 20, GAP + 40, 0],
        drawn[GAP + 20, GAP + 40 + step_x, 0],
        drawn[GAP + 20 + step_y, GAP + 40, 0],
    ] == [10, 20, 30]
    assert (drawn[:GAP] == 255).all()
    assert (drawn[:, :GAP] == 255).all()
    assert (drawn[:, GAP + 80 : GAP + 80 + GAP] == 255).all()
    assert (drawn[GAP + step_y :, GAP + step_x :] == 255).all()


def test_every_picture_of_any_shape_is_whole() -> None:
    """Pictures keep their aspect: the number of pixels of each colour gives their scaled sizes."""
    drawn = sheet([picture(50, 200, 10), picture(400, 100, 20), picture(3, 3, 30)], tile_width=100)
    sizes = {value: int((drawn[..., 0] == value).sum()) for value in (10, 20, 30)}
    assert sizes == {10: 100 * 25, 20: 38 * 150, 30: 100 * 100}


def test_titles_are_written_and_never_leave_their_tile() -> None:
    pictures = [picture(40, 40, 200)] * 2
    plain = sheet(pictures, ["", ""], tile_width=60)
    drawn = sheet(pictures, ["a title that is much too long for it", ""], tile_width=60)
    rows, columns = np.nonzero((plain != drawn).any(axis=2))
    assert len(rows)
    assert columns.max() < GAP + 60
    assert (drawn == 200).sum() == (plain == 200).sum()


def test_fewer_pictures_than_columns() -> None:
    assert sheet([picture(10, 10, 0)], columns=4, tile_width=50).shape == (50 + 2 * GAP, 50 + 2 * GAP, 3)


@pytest.mark.parametrize("arguments", [{"images": []}, {"columns": 0}, {"tile_width": 0}, {"titles": ["one", "two"]}])
def test_what_makes_no_sheet_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(DataError):
        sheet(**{"images": [picture(10, 10, 0)], **arguments})  # type: ignore[arg-type]


ENTRIES = (("hit", (0, 230, 100)), ("ignored, or excluded because of it", (90, 170, 255)), ("missed", (255, 210, 0)))


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
