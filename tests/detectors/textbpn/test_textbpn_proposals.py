from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from golden import golden_arrays
from scenetext.detectors.textbpn.boundary import boundary_points
from scenetext.detectors.textbpn.config import BoundaryDecoding
from scenetext.detectors.textbpn.proposals import jittered, proposals_of_maps, propose
from scenetext.detectors.textbpn.targets import targets
from text_samples import golden_sample
from textbpn_golden import FOLDER, settings

RUNS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "v1": ("maps", 1, {"distance_reference": "largest"}),
    "pp": ("maps", 1, {}),
    "pp_quarter": ("maps_quarter", 4, {}),
}


def logits(probability: np.ndarray) -> np.ndarray:
    return torch.from_numpy(probability.astype(np.float32)).logit().numpy()


@pytest.mark.parametrize("run", RUNS)
def test_proposals_from_maps_equal_published_ones(run: str) -> None:
    """A ring with a hole and a blob without text are among the maps."""
    maps, stride, values = RUNS[run]
    golden = golden_arrays(FOLDER, "proposals")
    config = settings(run[:2], stride=stride)
    distance, text = golden[f"thresholds_{run}"].tolist()
    decoding = config.decoding.model_copy(update={"distance_threshold": distance, "text_threshold": text, **values})
    text_map, distance_map = logits(golden[maps][0])
    found, scores = proposals_of_maps(text_map, distance_map, decoding, config.simplification, stride)
    differences = np.abs(found - golden[f"polys_{run}"])
    assert differences.max() <= 1
    assert np.count_nonzero(differences) <= 2
    if run != "v1":
        np.testing.assert_allclose(scores, golden[f"confidence_{run}"], atol=6e-4)


@pytest.mark.parametrize("layout", ["b320", "b320x"])
@pytest.mark.parametrize("version", ["v1", "pp"])
def test_jitter_equals_the_published_one(version: str, layout: str) -> None:
    golden = golden_arrays(FOLDER, f"targets_{version}_{layout}")
    count = len(golden["ignored"])
    drawn = torch.from_numpy(np.random.RandomState(0).rand(count, 2, 20))
    learnt = golden["ignore_tags"] > 0
    made = targets(golden_sample(golden), settings(version))
    height, width = golden["image_hw"].tolist()
    points = torch.from_numpy(golden["proposal_points"][learnt])
    jitter, size = settings(version).jitter, torch.tensor((width, height))
    found = jittered(points, torch.from_numpy(made["extent"]), drawn[learnt], jitter, size)
    assert np.array_equal(found, golden["proposal_points_jittered"][learnt])


def test_half_of_a_threshold_by_hand() -> None:
    distance = np.full((40, 80), -10, np.float32)
    distance[10:30, 10:70] = 2
    text = np.full_like(distance, 3)
    decoding = BoundaryDecoding(minimum_area=1200)
    found, scores = proposals_of_maps(text, distance, decoding, 0.004, 1)
    assert found.shape == (1, 20, 2)
    assert found[0].min(axis=0).tolist() == [10, 10]
    assert found[0].max(axis=0).tolist() == [69, 29]
    assert scores == pytest.approx(1 / (1 + np.exp(-3)))
    assert len(proposals_of_maps(text, distance, BoundaryDecoding(minimum_area=1201), 0.004, 1)[0]) == 0
    assert len(proposals_of_maps(text, distance, BoundaryDecoding(distance_threshold=0.89), 0.004, 1)[0]) == 0
    assert len(proposals_of_maps(text, distance, BoundaryDecoding(text_threshold=0.96), 0.004, 1)[0]) == 0
    quarter = proposals_of_maps(text, distance, BoundaryDecoding(minimum_area=19200), 0.004, 4)[0]
    assert quarter[0].max(axis=0).tolist() == [276, 116]


def test_only_the_largest_proposals_are_taken_in_the_order_of_the_image() -> None:
    distance = np.full((64, 64), -10, np.float32)
    for row, side in ((2, 14), (20, 13), (40, 16)):
        distance[row : row + side, 5 : 5 + side] = 5
    found, _ = proposals_of_maps(-distance * 0 + 5, distance, BoundaryDecoding(maximum_proposals=2), 0.004, 1)
    assert found[:, :, 1].min(axis=1).tolist() == [2, 40]


@pytest.mark.parametrize("reference", ["absolute", "largest"])
@pytest.mark.parametrize("value", [-200.0, np.nan, 200.0], ids=["nothing", "not a number", "everything"])
def test_constant_maps(value: float, reference: str) -> None:
    maps = np.full((32, 48), value, np.float32)
    found, _ = proposals_of_maps(maps, maps, BoundaryDecoding(distance_reference=reference), 0.007, 1)
    assert len(found) == (value == 200)


def test_noise_without_text_is_no_proposal_unless_the_distance_is_relative() -> None:
    noise = np.full((32, 48), -6, np.float32)
    noise[5:25, 5:25] = -5
    text = np.full_like(noise, 5)
    assert len(proposals_of_maps(text, noise, BoundaryDecoding(), 0.007, 1)[0]) == 0
    relative = BoundaryDecoding(distance_reference="largest", distance_threshold=0.5)
    assert len(proposals_of_maps(text, noise, relative, 0.007, 1)[0]) == 1


def test_in_training_every_text_has_a_moved_proposal_and_its_boundary() -> None:
    config = settings("v1")
    square = torch.tensor([(20.0, 20), (60, 20), (60, 50), (20, 50)]).repeat_interleave(5, dim=0)
    targets = {
        "extent": torch.tensor([15.0, 0.0]),
        "proposal": torch.stack((square, torch.zeros_like(square))),
        "boundary": torch.stack((square + 9, torch.zeros_like(square))),
    }
    maps = {"text": torch.zeros(96, 128), "distance": torch.zeros(96, 128)}
    first, again, other = (propose(maps, targets, config, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first["truth"], square[None] + 9)
    move = first["proposal"] - square
    assert move.abs().max() == 2, "15 pixels times 0.32 are 4.8, half of which is cut to 2"
    assert torch.equal(first["proposal"], again["proposal"])
    assert not torch.equal(first["proposal"], other["proposal"])


def test_boundary_of_a_square_by_hand() -> None:
    region = np.zeros((30, 30), np.uint8)
    region[5:26, 4:25] = 1
    points = boundary_points(region, 0.004, 20)
    assert points[0].tolist() == [4, 5]
    assert points[:6].tolist() == [[4, 5], [4, 9], [4, 13], [4, 17], [4, 21], [4, 25]], "down first: counter-clockwise"
    region[0, 29] = 1
    assert np.array_equal(boundary_points(region, 0.004, 20), points), "of the largest part"


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1)])
def test_boundary_of_a_line_of_pixels(size: tuple[int, int]) -> None:
    points = boundary_points(np.ones(size, bool), 0.007, 20)
    assert points.shape == (20, 2)
    assert points.max(axis=0).tolist() <= [size[1] - 1, size[0] - 1]
