"""Outlines and lettering on pictures."""

from __future__ import annotations

import numpy as np
import pytest

from scenetext.drawing.canvas import new_canvas, put_text, text_size
from scenetext.drawing.polygons import draw_polygons
from scenetext.errors import DataError

GREEN = (0, 255, 0)
BOX = np.array([(10, 10), (50, 10), (50, 30), (10, 30)], dtype=np.float32)


def grey(height: int = 60, width: int = 80) -> np.ndarray:
    return np.full((height, width, 3), 90, dtype=np.uint8)


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


def test_outline_is_drawn_in_rgb_and_the_picture_is_left_alone() -> None:
    image = grey()
    drawn = draw_polygons(image, [BOX], GREEN, thickness=3)
    assert (image == 90).all()
    assert drawn.dtype == np.uint8
    assert drawn[10, 30].tolist() == [0, 255, 0]
    assert not changed(image, drawn)[20, 30]
    assert draw_polygons(image, [BOX], (255, 0, 0), thickness=3)[10, 30].tolist() == [255, 0, 0]


@pytest.mark.parametrize("place", [20.5, 20.0, 20.25])
def test_coordinates_count_from_the_corner_of_the_first_pixel(place: float) -> None:
    """The centre of what a thin line covers is the line; pixel 20 reaches from 20 to 21."""
    line = np.array([(place, 5), (place, 50)], dtype=np.float32)
    cover = draw_polygons(grey(), [line], GREEN, thickness=1)[30, :, 1].astype(float) - 90
    assert (cover * (np.arange(80) + 0.5)).sum() / cover.sum() == pytest.approx(place, abs=0.1)


@pytest.mark.parametrize("shift", [0, 70, -1e4, 1e9, -1e30])
def test_outlines_may_leave_the_picture(shift: float) -> None:
    with np.errstate(over="ignore"):
        drawn = draw_polygons(grey(), [BOX + np.float32(shift), BOX], GREEN, labels=["far", ""])
    assert changed(grey(), drawn)[10, 30]


def test_nothing_to_draw() -> None:
    np.testing.assert_array_equal(draw_polygons(grey(), []), grey())


def test_labels_stay_inside_the_picture() -> None:
    corner = BOX + np.array([60, -25], dtype=np.float32)
    plain, labelled = draw_polygons(grey(), [corner], GREEN), draw_polygons(grey(), [corner], GREEN, labels=["0.93 é"])
    rows, columns = np.nonzero(changed(plain, labelled))
    assert rows.min() == 0
    assert columns.max() == 79
    assert draw_polygons(grey(4, 3), [BOX], GREEN, labels=["longer than the picture"]).shape == (4, 3, 3)


@pytest.mark.parametrize(
    "polygon",
    [np.full((4, 2), np.nan), np.zeros(8), np.zeros((4, 3)), np.zeros((0, 2))],
    ids=["nan", "flat", "3d", "empty"],
)
def test_bad_polygon_is_refused(polygon: np.ndarray) -> None:
    with pytest.raises(DataError, match="cannot draw a polygon"):
        draw_polygons(grey(), [polygon])


def test_one_label_per_polygon() -> None:
    with pytest.raises(DataError, match="1 labels for 2 polygons"):
        draw_polygons(grey(), [BOX, BOX], labels=["a"])


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)]
)
def test_bad_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="cannot draw on an array"):
        new_canvas(image)


def test_a_view_with_strides_can_be_drawn_on() -> None:
    reversed_channels = grey()[:, :, ::-1]
    assert changed(grey(), draw_polygons(reversed_channels, [BOX], GREEN)).any()


def test_text_fills_its_box_and_nothing_else() -> None:
    canvas = grey()
    put_text(canvas, "abc\ndef", (5, 7), 12, (255, 0, 0), (0, 0, 255))
    width, height = text_size("abc def", 12)
    touched = changed(grey(), canvas)
    assert touched[7 : 7 + height, 5 : 5 + width].all()
    assert touched.sum() == width * height
    assert canvas[7, 5].tolist() == [0, 0, 255]
    assert (canvas[7 : 7 + height, 5 : 5 + width, 0] > 200).any()


def test_text_without_background_leaves_the_picture_between_the_letters() -> None:
    canvas = grey()
    put_text(canvas, "abc", (5, 7), 12, (255, 255, 255), None)
    width, height = text_size("abc", 12)
    assert 0 < changed(grey(), canvas).sum() < 0.6 * width * height
