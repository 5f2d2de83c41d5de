from __future__ import annotations

import numpy as np
import pytest

from scenetext.geometry.polygon import polygon_area
from scenetext.pretraining.freereal.pseudo_labels import after_cover, pseudo_instances
from scenetext.structures import Detection, TextInstance


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


def test_scores_divide_detections_into_text_unsure_and_background() -> None:
    found = [Detection(box(10 * n, 0, 10 * n + 5, 5), score) for n, score in enumerate((0.7, 0.69, 0.3, 0.29, np.nan))]
    instances = pseudo_instances(found, (100, 100), sure=0.7, unsure=0.3)
    assert [instance.ignore for instance in instances] == [False, True, True]
    assert all(instance.text is None for instance in instances)


def test_pseudo_labels_end_where_the_image_ends_and_padding_begins() -> None:
    found = [Detection(box(40, 10, 60, 20), 0.9), Detection(box(60, 10, 70, 20), 0.9)]
    (instance,) = pseudo_instances(found, (30, 50), sure=0.7, unsure=0.3)
    assert instance.polygon is not None
    np.testing.assert_allclose(instance.polygon, box(40, 10, 50, 20))


@pytest.mark.parametrize(
    ("cover", "ignore", "left_areas"),
    [
        pytest.param(box(200, 0, 210, 10), False, [1000], id="beside it: unchanged"),
        pytest.param(box(0, 0, 9, 10), False, [1000], id="a sure text of which little is covered stays whole"),
        pytest.param(box(0, 0, 20, 10), False, [800], id="covered more: the rest is ignored"),
        pytest.param(box(0, 0, 9, 10), True, [910], id="of an unsure text only what is free is ignored"),
        pytest.param(box(40, -5, 60, 15), False, [400, 400], id="cut in two"),
        pytest.param(box(-1, -1, 101, 11), False, [], id="wholly covered: gone"),
        pytest.param(box(30, 3, 60, 7), False, [390, 490], id="a hole, by which it is cut in two"),
    ],
)
def test_what_is_left_of_a_covered_text(cover: np.ndarray, ignore: bool, left_areas: list[float]) -> None:
    parts = after_cover(TextInstance(box(0, 0, 100, 10), None, ignore), [cover], largest_share=0.1)
    areas = [polygon_area(part.polygon) for part in parts if part.polygon is not None]
    assert areas == pytest.approx(left_areas)
    whole = left_areas == [1000] or (not ignore and polygon_area(cover) <= 100)
    assert [part.ignore for part in parts] == [ignore if whole else True] * len(parts)


def test_several_covers_count_together() -> None:
    text = TextInstance(box(0, 0, 100, 10), None)
    covers = [box(0, 0, 6, 10), box(50, 0, 56, 10)]
    assert all(len(after_cover(text, [cover], 0.1)) == 1 for cover in covers)
    parts = after_cover(text, covers, 0.1)
    assert [part.ignore for part in parts] == [True, True]
    assert sum(polygon_area(part.polygon) for part in parts if part.polygon is not None) == pytest.approx(880)
