from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden import golden_arrays
from scenetext.detectors import find_detector
from scenetext.detectors.textbpn.config import POINTS, TextBPNSettings
from scenetext.detectors.textbpn.model import BoundaryHead
from scenetext.detectors.textbpn.refinement import BoundaryRefinement, RingConvolution, sample_points
from scenetext.errors import ConfigError
from scenetext.structures import Features
from text_samples import features
from textbpn_golden import DETECTORS, FOLDER, by_image, published_weights, settings

RESNET_50 = (64, 256, 512, 1024, 2048)


def build(version: str, channels: tuple[int, ...] = (8, 8, 8, 8), **values: Any) -> BoundaryHead:
    torch.manual_seed(0)
    made = find_detector(DETECTORS[version]).head(settings(version, **values), channels)
    assert isinstance(made, BoundaryHead)
    return made.eval()


@pytest.mark.parametrize(("version", "file", "stride"), [("v1", "neck_full", 1), ("pp", "neck_quarter", 4)])
@torch.no_grad()
def test_neck_and_maps_equal_published_ones(version: str, file: str, stride: int) -> None:
    golden = golden_arrays(FOLDER, file)
    head = build(version, RESNET_50, stride=stride)
    published_weights(head, version, golden)
    shapes = [(1, 64, 8, 16), (1, 256, 8, 16), (1, 512, 4, 8), (1, 1024, 2, 4), (1, 2048, 1, 2)]
    drawn = [np.random.RandomState(int(golden["input_seed"]) + i).standard_normal(s) for i, s in enumerate(shapes)]
    stem, *levels = (torch.from_numpy(0.5 * np.abs(each).astype(np.float32)) for each in drawn)
    maps = head(Features(tuple(levels), {"stem": stem}))
    np.testing.assert_allclose(maps["features"][:, :32], golden["features"], atol=1e-5)
    np.testing.assert_allclose(maps["features"][:, 32:], golden["maps"], atol=1e-5)
    np.testing.assert_allclose(maps["text"].sigmoid(), golden["maps"][:, 0], atol=1e-5)
    np.testing.assert_allclose(maps["direction"], golden["maps"][:, 2:], atol=1e-5)


REFINEMENTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "v1": ("v1", {}, "after", "offsets_0"),
    "pp as published": ("pp", {"attention": "proposals"}, "after", "offsets_0"),
    "pp": ("pp", {}, "after_attention_over_points", "offsets_0_attention_over_points"),
}


def refinement(run: str) -> tuple[BoundaryRefinement, dict[str, np.ndarray], Tensor]:
    """With published weights, the golden arrays, and the features."""
    version, values, _, _ = REFINEMENTS[run]
    golden = golden_arrays(FOLDER, f"deform_{version}")
    head = build(version, dropout=0.0, **values)
    published_weights(head, version, golden)
    drawn = np.random.RandomState(int(golden["feature_seed"])).standard_normal((2, 36, *golden["size_hw"]))
    refine = head.later["boundary"]
    assert isinstance(refine, BoundaryRefinement)
    return refine, golden, torch.from_numpy(drawn.astype(np.float32))


@pytest.mark.parametrize("run", REFINEMENTS)
@torch.no_grad()
def test_refinements_equal_published_ones(run: str) -> None:
    """Each begins where the published one did, as small differences grow by large factors with these weights."""
    refine, golden, maps = refinement(run)
    published, image = golden[REFINEMENTS[run][2]], golden["image"]
    valid = by_image(torch.ones(len(image), dtype=torch.bool), image, False)
    before = golden["polys"]
    for number, step in enumerate(refine.steps):
        one = BoundaryRefinement([step], refine.stride, refine.border)
        proposals = {"proposal": by_image(torch.from_numpy(before), image), "valid": valid}
        found = one({"features": maps}, proposals)["refined"][:, :, 0]
        expected = by_image(torch.from_numpy(published[number]), image)
        np.testing.assert_allclose(found, expected, atol=1e-3)
        before = published[number]
    moves = refine.steps[0](torch.from_numpy(golden["node_features"]))
    np.testing.assert_allclose(moves, golden[REFINEMENTS[run][3]], atol=1e-4)


@pytest.mark.parametrize(("run", "same"), [("v1", True), ("pp", True), ("pp as published", False)])
@torch.no_grad()
def test_a_boundary_is_refined_without_regard_to_others_but_as_published(run: str, same: bool) -> None:
    refine, golden, maps = refinement(run)
    points = torch.from_numpy(golden["polys"][:2])[None]
    alone = {"proposal": points, "valid": torch.ones(1, 2, dtype=torch.bool)}
    found = refine({"features": maps[:1]}, alone)["refined"][0, :, 0]
    whole = torch.from_numpy(golden[REFINEMENTS[run][2]])[0, :2]
    assert torch.allclose(found, whole, atol=1e-3) == same
    if run != "pp":
        np.testing.assert_allclose(found, golden["after_first_two_alone"][0], atol=1e-3)


@pytest.mark.parametrize("run", ["v1", "pp as published"])
def test_training_of_a_step_equals_the_published_one(run: str) -> None:
    refine, golden, _ = refinement(run)
    step = refine.steps[0].train()
    nodes = torch.from_numpy(golden["node_features"]).requires_grad_()
    moves = step(nodes)
    moves.square().mean().backward()
    np.testing.assert_allclose(moves.detach(), golden["offsets_0_batch_statistics"], atol=1e-4)
    norm: nn.BatchNorm1d = step.norm  # type: ignore[assignment]
    np.testing.assert_allclose(norm.running_mean, golden["running_mean_after"], atol=1e-6)
    np.testing.assert_allclose(norm.running_var, golden["running_var_after"], atol=1e-6)
    assert nodes.grad is not None
    largest = np.abs(golden["grad_node_features"]).max()
    np.testing.assert_allclose(nodes.grad, golden["grad_node_features"], atol=1e-5 * largest)
    gradients = [p.grad.double().norm().item() for p in step.parameters() if p.grad is not None]
    np.testing.assert_allclose(sorted(gradients), sorted(golden["grad_l2"]), rtol=1e-3)


def test_sampling_reads_half_a_pixel_to_the_top_left() -> None:
    ramp = torch.arange(20.0).expand(1, 1, 16, 20)
    rows = torch.arange(16.0)[:, None].expand(1, 1, 16, 20)
    points = torch.tensor([(10.0, 5.0), (0.5, 0.5)])[None, None]
    for values, scale, expected in ((ramp, 1, 9.5), (rows, 1, 4.5), (ramp, 4, 9.5)):
        found = sample_points(values, points * scale, scale)[0, 0, :, 0]
        assert found.tolist() == pytest.approx([expected, 0], abs=1e-6)
    assert sample_points(ramp + 1, torch.full((1, 1, 1, 2), -9.0), 1).item() == 0


class Constant(nn.Module):
    """Moves every point by the same."""

    def __init__(self, move: float) -> None:
        super().__init__()
        self.move = nn.Parameter(torch.tensor(move))

    def forward(self, nodes: Tensor) -> Tensor:
        return self.move.expand(len(nodes), 2, POINTS)


@pytest.mark.parametrize(("border", "largest"), [(1, (62, 30)), (0, (63, 31))])
def test_moves_and_points_are_bounded(border: int, largest: tuple[int, int]) -> None:
    refine = BoundaryRefinement([Constant(99.0), Constant(-1.0), Constant(-99.0)], 2, border)
    points = torch.full((1, 2, POINTS, 2), 10.0)
    points[0, 1] = 60
    valid = torch.ones(1, 2, dtype=torch.bool)
    maps = {"features": torch.zeros(1, 36, 16, 32)}
    refined = refine(maps, {"proposal": points, "valid": valid})["refined"]
    assert refined[0, 0, :, 0].tolist() == [[26, 26], [25, 25], [9, 9]]
    assert refined[0, 1, 0, 0].tolist() == list(largest)
    refined = refine(maps, {"proposal": points * 0, "valid": valid})["refined"]
    assert refined[0, 0, 2, 0].tolist() == [border, border]


def test_only_valid_proposals_move_and_are_normalised_with() -> None:
    refine = build("v1").train().later["boundary"]
    maps = {"features": torch.randn(2, 36, 32, 32)}
    points = torch.rand(2, 3, POINTS, 2) * 32
    valid = torch.tensor([[True, True, False], [True, False, False]])
    refined = refine(maps, {"proposal": points, "valid": valid})["refined"]
    assert torch.equal(refined[~valid], points[~valid][:, None].expand(-1, 3, -1, -1))
    assert not torch.equal(refined[valid][:, -1], points[valid])
    statistics = refine.steps[0].norm.running_mean  # type: ignore[union-attr,index]
    again = build("v1").train().later["boundary"]
    again(maps, {"proposal": torch.where(valid[..., None, None], points, 0), "valid": valid})
    assert torch.equal(statistics, again.steps[0].norm.running_mean)  # type: ignore[union-attr,index,arg-type]


def test_ring_convolution_sees_two_neighbours_on_either_side() -> None:
    layer = RingConvolution(1, 1)
    nn.init.constant_(layer.weight, 0)
    layer.weight.data[1] = 1
    nodes = torch.zeros(1, POINTS, 1)
    nodes[0, 0] = 5
    seen = layer(nodes)[0, :, 0]
    assert seen.nonzero()[:, 0].tolist() == [0, 1, 2, 18, 19]
    assert seen[0].item() == pytest.approx(1)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("stem", [None, 6])
def test_maps_at_every_stride_with_and_without_a_stem(stride: int, stem: int | None) -> None:
    channels = (3, 5, 7, 9)
    head = build("pp", channels if stem is None else (stem, *channels), stride=stride)
    made = features(channels)
    side = {} if stem is None else {"stem": torch.randn(2, stem, 16, 24).requires_grad_()}
    maps = head(Features(made.levels, side))
    size = (64 // stride, 96 // stride)
    assert {name: tuple(value.shape) for name, value in maps.items()} == {
        "text": (2, *size),
        "distance": (2, *size),
        "direction": (2, 2, *size),
        "features": (2, 36, *size),
    }
    maps["features"].sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in side.values())


def test_an_encoder_of_other_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="textbpn needs an encoder with four levels .* this one has 3"):
        find_detector("textbpn").head(TextBPNSettings(), (8, 8, 8))
