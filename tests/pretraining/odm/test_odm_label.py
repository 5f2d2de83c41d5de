"""The label: words in one plain font where they are, upright as they are read."""

from __future__ import annotations

import numpy as np
import pytest

from scenetext.pretraining.odm.label import STROKE, draw_word, drawable, reading_corners, text_height

UPRIGHT = np.array([[20, 30], [100, 30], [100, 60], [20, 60]], np.float32)


def drawn(polygon: np.ndarray, text: str) -> np.ndarray:
    canvas = np.zeros((128, 128), np.uint8)
    assert draw_word(canvas, polygon.astype(np.float32), text)
    return canvas >= STROKE


def centre(ink: np.ndarray) -> np.ndarray:
    return np.argwhere(ink).mean(axis=0)[::-1]


def test_ink_fills_the_box_and_nothing_else() -> None:
    rows, columns = np.nonzero(drawn(UPRIGHT, "HALL"))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (20, 99, 30, 59)


def test_letters_stand_in_reading_order_whatever_the_direction_of_the_corners() -> None:
    """An L has more ink on its left and at its bottom, and so has any outline that begins at its top left."""
    expected = drawn(UPRIGHT, "L")
    x, y = centre(expected)
    assert x < 60
    assert y > 45
    assert np.array_equal(drawn(UPRIGHT[[0, 3, 2, 1]], "L"), expected), "counter-clockwise from the same corner"
    turned = drawn(UPRIGHT[[2, 3, 0, 1]], "L")
    assert centre(turned)[0] > 60, "read from the other end: upside down"
    assert centre(turned)[1] < 45


def test_a_quarter_turn_turns_the_letters() -> None:
    """Read downwards: the top of the letters is on the right."""
    tall = np.array([[60, 20], [60, 100], [30, 100], [30, 20]], np.float32)
    ink = drawn(tall, "TTTT")
    assert centre(ink)[0] > 45, "the bars of T are on the right"


def test_short_first_edges_stack_letters() -> None:
    narrow = np.array([[50, 10], [70, 10], [70, 110], [50, 110]], np.float32)
    rows = np.flatnonzero(drawn(narrow, "ABC").any(axis=1))
    assert (np.diff(rows) > 1).sum() == 2, "two gaps between three letters"
    assert (np.diff(np.flatnonzero(drawn(narrow, "I").any(axis=1))) == 1).all()


def test_a_curved_word_follows_its_arc() -> None:
    angles = np.linspace(np.pi, 2 * np.pi, 8)
    upper = np.stack([64 + 55 * np.cos(angles), 80 + 55 * np.sin(angles)], axis=1)
    lower = np.stack([64 + 30 * np.cos(angles), 80 + 30 * np.sin(angles)], axis=1)
    ink = drawn(np.concatenate([upper, lower[::-1]]), "HHHHHHHH")
    points = np.argwhere(ink)[:, ::-1] + 0.5
    radius = np.linalg.norm(points - [64, 80], axis=1)
    assert radius.min() > 27
    assert radius.max() < 57
    share = np.histogram(np.arctan2(80 - points[:, 1], points[:, 0] - 64), 8, (0, np.pi))[0] / len(points)
    assert (share > 0.06).all(), "all along the arc"


def test_overlaps_keep_the_brighter_and_bad_polygons_draw_nothing() -> None:
    canvas = np.zeros((128, 128), np.uint8)
    draw_word(canvas, UPRIGHT, "HALL")
    before = canvas.copy()
    draw_word(canvas, UPRIGHT + np.array([0, 10]), "HALL")
    assert (canvas >= before).all()
    flat = np.array([[10, 10], [50, 10], [90, 10], [30, 10]], np.float32)
    for bad in (flat, np.full((4, 2), np.nan, np.float32)):
        assert not draw_word(canvas, bad, "HALL")
    outside = UPRIGHT + np.array([500, 0])
    assert draw_word(before.copy(), outside, "HALL"), "drawn where nobody looks"
    crossing = UPRIGHT[[0, 2, 1, 3]] + np.array([[0, 0], [9, 0], [0, 0], [0, 0]])
    draw_word(canvas, crossing, "HALL")
    draw_word(canvas, UPRIGHT[:3], "HALL")
    draw_word(canvas, np.array([[20, 60], [60, 40], [100, 60], [100, 90], [20, 90]], np.float32), "HALL")


@pytest.mark.parametrize(
    ("character", "can"), [("A", True), ("~", True), ("日", False), ("ع", False), ("\u0301", False)]
)
def test_what_the_font_can_draw(character: str, can: bool) -> None:
    assert drawable(character) == can


def test_heights_and_corners_by_hand() -> None:
    assert text_height(UPRIGHT) == 30
    assert reading_corners(UPRIGHT[[0, 3, 2, 1]]).tolist() == UPRIGHT.tolist()
    assert reading_corners(UPRIGHT[:3]).shape == (4, 2)
