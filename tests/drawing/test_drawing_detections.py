"""Detections in the colours of what became of them."""

from __future__ import annotations

import numpy as np

from scenetext.drawing.detections import FALSE, HIT, IGNORED, MISSED, draw_comparison, draw_detections, draw_instances
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
    drawn = draw_comparison(image, detections, instances, hits=(0,), false=[1], left_out={2}, missed=(1,))
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
    drawn = draw_comparison(image, [], [], hits=(), false=(), left_out=(), missed=())
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
