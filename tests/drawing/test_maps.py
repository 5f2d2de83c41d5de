"""Arrays of any detector as pictures: what kind they are decides how they look."""

from __future__ import annotations

import numpy as np
import pytest

from scenetext.drawing.maps import (
    IMAGE_SHARE,
    MOST_CHANNELS,
    MOST_CROPS,
    OUTLINE_COLOUR,
    colorize_labels,
    crop_panels,
    is_crops,
    is_map,
    map_panels,
    outline_panels,
)
from scenetext.errors import DataError

DARK = np.zeros((40, 60, 3), dtype=np.uint8)


def test_masks_labels_and_real_numbers_are_told_apart() -> None:
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[:, :30] = 1
    labels = mask.astype(np.int32) * 3
    labels[0, 0] = 7
    panels = dict(map_panels({"mask": mask, "labels": labels, "heat": mask * np.float32(0.25)}, DARK))
    assert list(panels) == ["mask: mask, 50.0%", "labels: 2 labels", "heat: 0 to 0.25"]
    drawn = panels["mask: mask, 50.0%"]
    assert (drawn[:, :30] == round(255 * (1 - IMAGE_SHARE))).all()
    assert not drawn[:, 30:].any()
    coloured = panels["labels: 2 labels"]
    assert len(np.unique(coloured.reshape(-1, 3), axis=0)) == 3


def test_lower_stride_is_enlarged_pixel_by_pixel_over_the_image() -> None:
    coarse = np.zeros((10, 15), dtype=np.uint8)
    coarse[2, 3] = 1
    ((title, panel),) = map_panels({"kernel": coarse}, DARK)
    assert title == "kernel: mask, 0.7%"
    rows, columns = np.nonzero(panel[..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 11, 12, 15)
    bright = map_panels({"kernel": coarse}, np.full_like(DARK, 200))[0][1]
    assert bright[0, 0].tolist() == [round(200 * IMAGE_SHARE)] * 3, "the image shines through"


def test_channels_are_panels_and_what_is_no_map_has_none() -> None:
    arrays = {
        "kernels": np.ones((3, 4, 5), dtype=np.uint8),
        "many": np.zeros((MOST_CHANNELS + 5, 4, 5), dtype=np.float32),
        "points": np.zeros(8),
        "empty": np.zeros((0, 5)),
    }
    titles = [title for title, _ in map_panels(arrays, DARK)]
    assert titles[:3] == [f"kernels {number} of 3: mask, 100.0%" for number in (1, 2, 3)]
    assert len(titles) == 3 + MOST_CHANNELS
    assert titles[-1].startswith(f"many {MOST_CHANNELS} of {MOST_CHANNELS + 5}")


def test_crops_lie_in_a_grid_with_borders() -> None:
    crops = np.zeros((3, 1, 4, 5), np.uint8)
    crops[0], crops[2, 0, 0, 0] = 1, 1
    ((title, panel),) = crop_panels({"crops": crops, "map": np.ones((4, 5)), "none": np.zeros((0, 1, 4, 5))})
    assert title == "crops, 3 of 3: mask, 12.5%"
    assert panel.shape == (2 * 6, 2 * 7, 3)
    rows, columns = np.nonzero(panel[..., 0])
    assert len(rows) == 4 * 5 + 1
    assert (rows[:20].max(), columns[:20].max()) == (4, 5)
    assert (rows[20], columns[20]) == (7, 1), "the third one, in the second row"
    ((title, _),) = crop_panels({"many": np.zeros((MOST_CROPS + 1, 2, 3, 3), np.float32)})
    assert title.startswith(f"many, {MOST_CROPS} of {MOST_CROPS + 1}: 0 to 0")


def test_values_that_are_not_finite_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="threshold has values"):
        map_panels({"threshold": np.array([[np.nan]])}, DARK)


def test_neighbouring_labels_differ_clearly() -> None:
    labels = np.arange(-1, 41)[None]
    colours = colorize_labels(labels)[0].astype(int)
    assert colours[0].tolist() == [110, 110, 110]
    assert colours[1].tolist() == [0, 0, 0]
    assert (np.abs(np.diff(colours[2:], axis=0)).sum(axis=1) > 60).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((40, 60), True), ((3, 10, 15), True), ((160, 240), True), ((5, 4), False), ((7, 20, 2), False), ((3,), False)],
)
def test_lists_of_points_are_no_maps(shape: tuple[int, ...], expected: bool) -> None:
    assert is_map(shape, (160, 240)) is expected


def test_outlines_are_drawn_step_by_step_without_rows_of_padding() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    square = np.array([(10, 10), (30, 10), (30, 30), (10, 30)], np.float32)
    steps = np.stack([np.stack([square, square + 5]), np.zeros((2, 4, 2), np.float32)])
    panels = outline_panels({"proposal": steps[:, 0], "refined": steps, "crops": steps[..., :1]}, image)
    assert [title for title, _ in panels] == [
        "proposal: 1 outlines",
        "refined 1 of 2: 1 outlines",
        "refined 2 of 2: 1 outlines",
    ]
    first, second = panels[1][1], panels[2][1]
    assert tuple(first[10, 20]) == tuple(second[15, 25]) == OUTLINE_COLOUR
    assert (first[0, 0] == 20).all()
    assert not is_crops(steps.shape)
    assert outline_panels({"none": np.zeros((0, 20, 2)), "map": np.zeros((40, 60))}, image)[0][0] == "none: 0 outlines"
