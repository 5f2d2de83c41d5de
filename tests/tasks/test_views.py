"""Views of a batch lead back to its pixels, and what they find is merged soundly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenetext.structures import Detection
from scenetext.tasks.views import make_views, merge_detections


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


@pytest.mark.parametrize("flip", [False, True])
def test_views_show_the_same_picture_and_lead_back(flip: bool) -> None:
    """A bright spot is located in every view, and its position taken back to the batch's pixels."""
    images = torch.zeros(2, 3, 96, 160, dtype=torch.uint8)
    images[:, :, 20:28, 100:112] = 255
    views = list(make_views(images, (0.5, 2.0, 1.3), flip))
    assert len(views) == (6 if flip else 3)
    assert {(view.images.shape[2] % 32, view.images.shape[3] % 32) for view in views} == {(0, 0)}
    assert [view.images.shape[3] for view in views[:: 2 if flip else 1]] == [64, 160, 128]
    for view in views:
        weight = view.images[1, 0].double().numpy()
        y, x = (
            (axis + 0.5) @ weight.sum(other) / weight.sum()
            for axis, other in ((np.arange(weight.shape[0]), 1), (np.arange(weight.shape[1]), 0))
        )
        np.testing.assert_allclose(view.to_input @ [x, y, 1], [106, 24, 1], atol=0.5)


def test_one_view_of_scale_one_is_the_batch_itself() -> None:
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    (view,) = make_views(images, (1.0,), flip=False)
    assert view.images is images
    np.testing.assert_array_equal(view.to_input, np.eye(3))


def test_of_the_detections_of_one_text_the_best_stays() -> None:
    found = [
        Detection(box(0, 0, 100, 20), 0.6),
        Detection(box(2, 1, 101, 21), 0.9),
        Detection(box(0, 30, 100, 50), 0.5),
        Detection(box(60, 0, 160, 20), 0.7),
        Detection(box(0, 0, 100, 20)[[0, 2, 1, 3]], 0.4),
        Detection(box(5, 5, 5, 9), 0.3),
    ]
    kept = merge_detections(found, 0.5)
    assert [each.score for each in kept] == [0.9, 0.7, 0.5, 0.4, 0.3], "half a text (crossing lines) is another one"
    assert merge_detections([], 0.5) == []


def test_merging_again_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    found = [
        Detection(box(x, y, x + w, y + h), float(score))
        for x, y, w, h, score in generator.uniform([0, 0, 20, 10, 0], [80, 80, 60, 30, 1], (60, 5))
    ]
    once = merge_detections(found, 0.4)
    assert 3 < len(once) < 60
    assert merge_detections(once, 0.4) == once
