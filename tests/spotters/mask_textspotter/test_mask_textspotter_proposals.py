"""Proposals of Mask TextSpotter: equal to the published ones, the best of too many, and polygons of fixed length."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scenetext.geometry.candidates import counted_cuts
from scenetext.spotters.mask_textspotter.config import VERTICES, ProposalSettings
from scenetext.spotters.mask_textspotter.proposals import find_proposals, fixed_vertices, stack_polygons
from spotting_golden import arrays_of, polygons_of
from text_samples import overlap

SETTINGS = ProposalSettings()


@pytest.fixture(scope="module")
def published() -> dict[str, np.ndarray]:
    return arrays_of("proposals")


@pytest.mark.parametrize("learning", [False, True], ids=["test", "train"])
@pytest.mark.parametrize("case", ["words", "curved", "odd"])
def test_proposals_are_the_published_ones(published: dict[str, np.ndarray], case: str, learning: bool) -> None:
    prefix = f"{case}/{'train' if learning else 'test'}/"
    found = find_proposals(published[f"{case}/probability"], SETTINGS, learning, published=True)
    np.testing.assert_allclose([one.box for one in found], published[f"{prefix}clipped_boxes"], atol=1)
    np.testing.assert_allclose([one.score for one in found], published[f"{prefix}scores"], atol=1e-3)
    for one, polygon in zip(found, polygons_of(published, prefix), strict=True):
        assert overlap(one.polygon, polygon) > 0.97


def test_without_a_contour_there_is_no_proposal(published: dict[str, np.ndarray]) -> None:
    """Where the published code makes a box of zeros."""
    assert find_proposals(published["none/probability"], SETTINGS, learning=False) == []


def test_of_too_many_the_best_stay_and_the_others_are_counted() -> None:
    probability = np.zeros((600, 600), np.float32)
    for index in range(9):
        top, left = 200 * (index // 3) + 20, 200 * (index % 3) + 20
        probability[top : top + 40, left : left + 100] = 0.84 - 0.08 * index
    with counted_cuts() as cuts:
        found = find_proposals(probability, ProposalSettings(count=4), learning=False)
    assert sorted(round(one.score, 2) for one in found) == [0.6, 0.68, 0.76, 0.84]
    assert cuts.candidates == 5
    first = find_proposals(probability, ProposalSettings(count=4), learning=False, published=True)
    assert sorted(round(one.score, 2) for one in first) == [0.2, 0.28, 0.36, 0.44]  # from the bottom


def test_three_thousand_contours_give_as_many_as_the_limit() -> None:
    probability = np.zeros((720, 1600), np.float32)
    probability.reshape(60, 12, 100, 16)[:, 2:9, :, 2:13] = np.random.default_rng(0).uniform(0.2, 1, (60, 1, 100, 1))
    with counted_cuts() as cuts:
        assert len(find_proposals(probability, SETTINGS, learning=True)) == SETTINGS.count
    assert cuts.candidates == 5000


def test_polygons_get_a_fixed_number_of_vertices_and_keep_their_outline() -> None:
    circle = cv2.ellipse2Poly((100, 100), (60, 30), 0, 0, 360, 1).astype(np.float32)
    triangle = np.array([(0, 0), (9, 0), (0, 9)], np.float32)
    assert len(circle) > VERTICES
    for polygon in (circle, triangle):
        fixed = fixed_vertices(polygon)
        assert fixed.shape == (VERTICES, 2)
        assert overlap(fixed, polygon) > 0.97
    assert stack_polygons([]).shape == (0, VERTICES, 2)
