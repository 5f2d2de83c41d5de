from __future__ import annotations

import numpy as np
import pytest
import torch

from scenetext.detectors.textbpn.config import BoundaryDecoding, TextBPNSettings
from scenetext.detectors.textbpn.decode import decode
from scenetext.geometry.polygon import signed_area
from text_samples import overlap

BOX = np.array([(20, 20), (20, 60), (120, 60), (120, 20)], np.float32)
"""Counter-clockwise, as boundaries run."""


def maps_of(*boundaries: np.ndarray, images: int = 1) -> dict[str, torch.Tensor]:
    """Boundaries of the last image; the steps before the last are elsewhere."""
    points = torch.from_numpy(np.stack([np.repeat(one, 5, axis=0) for one in boundaries])).float()
    refined = torch.stack((points * 0, points * 0 + 7, points), dim=1)
    valid = torch.zeros(images, len(boundaries), dtype=torch.bool)
    valid[-1] = True
    return {
        "boundary.refined": refined.expand(images, *refined.shape),
        "boundary.valid": valid,
        "boundary.score": torch.linspace(0.9, 1, len(boundaries)).expand(images, -1),
    }


def with_decoding(**values: object) -> TextBPNSettings:
    return TextBPNSettings(decoding=BoundaryDecoding.model_validate(values))


def test_the_last_boundary_is_cut_to_integers_and_turned_clockwise() -> None:
    nothing, (found,) = decode(maps_of(BOX + np.float32(0.7), images=2), TextBPNSettings())
    assert nothing == []
    assert found.polygon.shape == (20, 2)
    assert found.polygon.dtype == np.float32
    assert np.array_equal(np.unique(found.polygon, axis=0), np.unique(BOX, axis=0))
    assert signed_area(found.polygon) > 0
    assert found.score == pytest.approx(0.9)


def test_rectangles_need_a_shorter_side_of_more_than_the_minimum() -> None:
    thin = BOX * (1, 0.1)
    (found,) = decode(maps_of(BOX, thin), with_decoding(polygon_shape="quad"))
    assert [one.polygon.shape for one in found] == [(4, 2)]
    assert overlap(found[0].polygon, BOX) > 0.99
    both = decode(maps_of(BOX, thin), with_decoding(polygon_shape="quad", minimum_side=3))[0]
    assert [one.score for one in both] == pytest.approx([0.9, 1])


def test_boundaries_without_extent_are_none() -> None:
    assert decode(maps_of(BOX * np.float32(np.nan)), TextBPNSettings()) == [[]]
    assert decode(maps_of(BOX * 0 + 5, BOX * (1, 0)), TextBPNSettings()) == [[]]
    assert decode(maps_of(BOX * 0 + 5, BOX * (1, 0)), with_decoding(polygon_shape="quad")) == [[]]
