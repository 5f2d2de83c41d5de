"""Detections in the colours of what became of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenetext.drawing.canvas import new_canvas, put_text, text_size
from scenetext.drawing.detections import (
    FALSE,
    HIT,
    IGNORED,
    MISSED,
    draw_comparison,
    draw_detections,
    draw_instances,
    draw_polygons,
    enlarged,
    instances_legend,
)
from scenetext.errors import DataError
from scenetext.structures import Detection, TextInstance


def box(left: float, top: float) -> np.ndarray:
    return np.array([(left, top), (left + 60, top), (left + 60, top + 30), (left, top + 30)], dtype=np.float32)


def colours_near(image: np.ndarray, left: float, top: float) -> set[tuple[int, ...]]:
    """The colours in the middle of the upper edge of a box."""
    patch = image[int(top) - 2 : int(top) + 3, int(left) + 30]
    return {tuple(pixel) for pixel in patch.tolist()}


def test_every_fate_has_its_colour() -> None:
    image = np.full((300, 400, 3), 50, dtype=np.uint8)
    detections = [
        Detection(box(10, 10), 0.9),
        Detection(box(110, 10), 0.9),
        Detection(box(210, 10), 0.9),
        Detection(box(310, 10), 0.1),
    ]
    instances = [
        TextInstance(box(10, 110), None),
        TextInstance(box(110, 110), None),
        TextInstance(box(210, 110), None, True),
        TextInstance(None, "somewhere"),
    ]
    drawn = draw_comparison(image, detections, instances, hits=(0,), false=[1], excluded={2}, missed=(1,))
    assert HIT in colours_near(drawn, 10, 10)
    assert FALSE in colours_near(drawn, 110, 10)
    assert IGNORED in colours_near(drawn, 210, 10)
    assert colours_near(drawn, 310, 10) == {(50, 50, 50)}, "below the threshold: not drawn"
    assert max(colours_near(drawn, 10, 110)) > (100, 100, 100), "found: a thin white line"
    assert MISSED in colours_near(drawn, 110, 110)
    assert colours_near(drawn, 210, 110) != {(50, 50, 50)}
    assert (image == 50).all()


def test_legend_fits_narrow_pictures() -> None:
    image = np.full((200, 150, 3), 50, dtype=np.uint8)
    drawn = draw_comparison(image, [], [], hits=(), false=(), excluded=(), missed=())
    rows, columns = np.nonzero((drawn != image).any(axis=2))
    assert rows.min() > 150
    assert columns.max() < 150
    for colour in (HIT, FALSE, MISSED, IGNORED):
        assert (np.abs(drawn.astype(int) - colour).sum(axis=2) < 120).any(), "each entry is written in its colour"


def test_detections_with_and_without_scores() -> None:
    image = np.full((120, 200, 3), 50, dtype=np.uint8)
    plain = draw_detections(image, [Detection(box(60, 60), 0.5)], show_scores=False)
    scored = draw_detections(image, [Detection(box(60, 60), 0.5)])
    assert max(green - red for red, green, _ in colours_near(plain, 60, 60)) > 100
    rows, _ = np.nonzero((plain != scored).any(axis=2))
    assert len(rows)
    assert rows.max() <= 62, "written above the box"
    np.testing.assert_array_equal(draw_detections(image, []), image)


def test_detections_show_what_they_read() -> None:
    image = np.full((120, 300, 3), 50, dtype=np.uint8)
    scored = draw_detections(image, [Detection(box(60, 60), 0.5, "exit", 0.5)])
    assert not np.array_equal(scored, draw_detections(image, [Detection(box(60, 60), 0.5)]))
    other = draw_detections(image, [Detection(box(60, 60), 0.9, "exit", 0.5)])
    np.testing.assert_array_equal(scored, other, "the score beside a text is that of the text")


def test_ground_truth_shows_text_ignored_text_and_first_vertices() -> None:
    image = np.full((300, 400, 3), 50, dtype=np.uint8)
    instances = [
        TextInstance(box(10, 110), "STOP"),
        TextInstance(box(210, 110), None, True),
        TextInstance(None, "somewhere"),
    ]
    drawn = draw_instances(image, instances)
    assert max(green - red for red, green, _ in colours_near(drawn, 10, 110)) > 100
    assert max(blue - red for red, _, blue in colours_near(drawn, 210, 110)) > 100
    for left in (10, 210):
        assert drawn[110, left].tolist() == list(MISSED)
    assert (drawn[70:105, 10:60] != 50).any(), "the transcription"
    plain = draw_instances(image, instances, show_texts=False)
    assert (plain[70:105, 10:60] == 50).all()
    assert (image == 50).all()
    np.testing.assert_array_equal(draw_instances(image, instances[2:]), image)


def test_annotated_characters_are_drawn_and_named_in_the_legend() -> None:
    image = np.full((300, 400, 3), 50, dtype=np.uint8)
    word = TextInstance(box(10, 110), "ab", characters=np.stack([box(210, 110), box(310, 110)]))
    drawn = draw_instances(image, [word], show_texts=False)
    for left in (210, 310):
        assert max(blue - green for _, green, blue in colours_near(drawn, left, 110)) > 60
    assert [name for name, _ in instances_legend([word])][-1] == "character"
    assert len(instances_legend([replace(word, characters=None)])) == 3


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


@pytest.mark.parametrize("position", [20.5, 20.0, 20.25])
def test_coordinates_count_from_the_corner_of_the_first_pixel(position: float) -> None:
    """The centre of what a thin line covers is the line; pixel 20 reaches from 20 to 21."""
    line = np.array([(position, 5), (position, 50)], dtype=np.float32)
    cover = draw_polygons(grey(), [line], GREEN, thickness=1)[30, :, 1].astype(float) - 90
    assert (cover * (np.arange(80) + 0.5)).sum() / cover.sum() == pytest.approx(position, abs=0.1)


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


def test_small_images_are_enlarged_with_their_detections_and_large_ones_stay() -> None:
    polygon = np.array([[10, 10], [50, 10], [50, 20], [10, 20]], dtype=np.float32)
    picture, (found,) = enlarged(np.zeros((60, 150, 3), np.uint8), [Detection(polygon, 0.5)])
    assert picture.shape == (360, 900, 3)
    assert np.array_equal(found.polygon, 6 * polygon)
    large = np.zeros((900, 30, 3), np.uint8)
    assert enlarged(large, [])[0] is large
