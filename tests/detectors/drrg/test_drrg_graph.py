"""Local graphs, node features and links, against the published ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.detectors.drrg.config import DRRGSettings
from scenetext.detectors.drrg.graph import distinct_pivots, local_graphs
from scenetext.detectors.drrg.mmocr import NAMES
from scenetext.detectors.drrg.model import MAPS, LinkNetwork, head
from scenetext.detectors.drrg.node_features import embed_geometry, pool_rotated
from text_samples import features, golden_module, to_mmocr

PUBLISHED = DRRGSettings(width=4, as_published=True)
GRAPH = golden_arrays("detectors", "drrg_graph")


def golden_network() -> tuple[LinkNetwork, Tensor, Tensor]:
    """The published graph network, the features and maps (10, H, W) that it sees, and 40 components."""
    parameters, _, (feature, components, _) = golden_module("drrg_head")
    network = LinkNetwork(PUBLISHED).eval()
    names = {name: to_mmocr(f"later.links.{name}", NAMES).removeprefix("det_head.") for name in network.state_dict()}
    network.load_state_dict({name: parameters[published] for name, published in names.items()})
    feature = feature[0].float()
    maps = torch.einsum("oc,chw->ohw", parameters["out_conv.weight"][:, :, 0, 0], feature)
    return network, torch.cat((feature, maps + parameters["out_conv.bias"][:, None, None])), components


def links(network: LinkNetwork, feature: Tensor, boxes: Tensor) -> tuple[Any, Tensor]:
    """The graphs of components, and the logits of all links."""
    graphs = local_graphs(boxes[:, :2].double().numpy(), PUBLISHED.components)
    proposals = {name: torch.from_numpy(value)[None] for name, value in graphs._asdict().items()}
    some = torch.ones(1, len(boxes), dtype=torch.bool)
    proposals |= {"boxes": boxes[None], "valid": some, "is_pivot": some}
    with torch.no_grad():
        return graphs, network({"features": feature[None]}, proposals)["link"][0]


def test_pooled_features_equal_published_ones() -> None:
    _, feature, components = golden_network()
    pooled = pool_rotated(feature, components[:, 1:7], as_published=True)
    assert np.abs(pooled.numpy() - GRAPH["train/roi_align_rotated"]).max() < 1e-5


def test_slanted_text_is_pooled_along_itself() -> None:
    """A feature that grows to the lower right: its mean along a slope downwards differs from one upwards."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    box = torch.tensor([[32.0, 32.0, 30.0, 9.0, 0.6, 0.8]])
    cells = pool_rotated((0.6 * x + 0.8 * y)[None], box, as_published=False)[0, 0]
    # Columns run along the height, whose direction is (0.6, 0.8): thirds of 30 pixels.
    assert torch.allclose(cells[:, 1:] - cells[:, :-1], torch.full((4, 2), 10.0), atol=1e-3)
    mirrored = pool_rotated((0.6 * x + 0.8 * y)[None], box, as_published=True)[0, 0]
    assert torch.allclose(mirrored[:, 1:] - mirrored[:, :-1], torch.full((4, 2), 10 * (0.36 - 0.64)), atol=1e-3)


def test_samples_outside_of_the_feature_count_as_zero() -> None:
    box = torch.tensor([[0.0, 20.0, 12.0, 8.0, -1.0, 0.0]])
    pooled = pool_rotated(torch.ones(1, 40, 40), box, as_published=False)
    assert pooled.max() == 1
    assert 0.4 < pooled.mean() < 0.7


def test_embedding_equals_published_one() -> None:
    golden = golden_arrays("detectors", "post_drrg_b320")
    boxes = torch.from_numpy(golden["comp_attribs"].astype(np.float32))
    embedded = embed_geometry(boxes, as_published=True)
    assert np.abs(embedded.numpy() - golden["geo_embedding_120"]).max() < 2e-5
    ours = embed_geometry(boxes, as_published=False)
    turned = embed_geometry(boxes.flip(0), as_published=False).flip(0)
    assert torch.equal(ours, turned), "does not depend on the place in the list"
    assert np.abs(ours.numpy()[0, :6] - np.sin(golden["comp_attribs"][0])).max() < 2e-5


def test_graph_convolutions_equal_published_ones() -> None:
    network, _, _ = golden_network()
    nodes, adjacent = (torch.from_numpy(GRAPH[f"train/{name}"]) for name in ("node_features", "adjacent"))
    # The published network lets the padding through the norm; it reaches no node, as it is adjacent to none.
    with torch.no_grad():
        result = network.convolve(nodes, torch.ones(nodes.shape[:2], dtype=torch.bool), adjacent > 0)
        chosen = result[torch.arange(len(nodes))[:, None], torch.from_numpy(GRAPH["train/neighbours"]).long()]
        logits = network.classifier(chosen.flatten(0, 1))
    assert np.abs(logits.numpy() - GRAPH["train/gcn_logits"]).max() < 1e-4


def test_pivots_and_graphs_equal_published_ones_where_no_distances_are_equal() -> None:
    network, feature, components = golden_network()
    graphs, found = links(network, feature, components[:, 1:7])
    kept = distinct_pivots(graphs, components[:, 7].numpy(), 0.7)
    assert kept.sum() == len(GRAPH["train/neighbours"])
    expected = GRAPH["train/gcn_logits"][:, 1] - GRAPH["train/gcn_logits"][:, 0]
    apart = np.abs(found.numpy()[kept] - expected.reshape(-1, 8)).max(axis=1)
    assert (apart < 1e-4).sum() >= 4


def test_edges_of_an_image_equal_published_ones_where_no_distances_are_equal() -> None:
    network, feature, _ = golden_network()
    golden = golden_arrays("detectors", "post_drrg_b320")
    maps = torch.from_numpy(golden["pred_maps"].astype(np.float32))
    boxes = torch.from_numpy(golden["comp_attribs"].astype(np.float32))
    graphs, found = links(network, torch.cat((feature[:4], maps)), boxes)
    expected = GRAPH["test/edges"].reshape(len(boxes), 8, 2)
    same = expected[:, :, 1] == graphs.nearest
    assert same.mean() > 0.98
    scores = GRAPH["test/edge_scores"].reshape(len(boxes), 8)
    apart = np.abs(found.sigmoid().numpy() - scores)[same]
    assert (apart < 1e-4).mean() > 0.8
    assert apart.max() < 0.05


def test_graphs_by_hand() -> None:
    """Six components in a row, at 0, 1, 3, 6, 10 and 15; two nearest, one more of each."""
    config = DRRGSettings.model_validate({"components": {"neighbours": [2, 1], "linked": 1}}).components
    x = np.array([0.0, 1, 3, 6, 10, 15])
    graphs = local_graphs(np.stack((x, 0 * x), axis=1), config)
    assert graphs.nearest.tolist() == [[1, 2], [0, 2], [1, 0], [2, 4], [3, 5], [4, 3]]
    members = [set(nodes[known].tolist()) for nodes, known in zip(graphs.nodes, graphs.has_node, strict=True)]
    assert members == [{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {3, 2, 4, 1}, {4, 3, 5, 2}, {5, 4, 3, 2}]
    assert graphs.nodes[:, 0].tolist() == list(range(6))
    last = graphs.nodes[5][graphs.has_node[5]].tolist()
    linked = {(last[a], last[b]) for a, b in zip(*np.nonzero(graphs.adjacent[5]), strict=True)}
    assert linked == {(5, 5), (4, 4), (3, 3), (2, 2), (5, 4), (4, 5), (4, 3), (3, 4), (3, 2), (2, 3)}


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9])
def test_few_components_have_fewer_neighbours(count: int) -> None:
    graphs = local_graphs(np.random.default_rng(0).random((count, 2)), DRRGSettings().components)
    assert graphs.nearest.shape == graphs.has_nearest.shape == (count, 8)
    assert (graphs.has_nearest.sum(axis=1) == min(count - 1, 8)).all()


def test_redundant_pivots_are_left_out_only_within_a_text() -> None:
    graphs = local_graphs(np.random.default_rng(0).random((9, 2)), DRRGSettings().components)
    assert distinct_pivots(graphs, np.ones(9), 0.7).tolist() == [True] + 8 * [False]
    assert distinct_pivots(graphs, np.zeros(9), 0.7).all()
    assert distinct_pivots(graphs, np.arange(9), 0.7).all()


def test_names_and_shapes_are_those_of_the_published_model() -> None:
    listed = golden_json("detectors", "state_dict_keys.json")["drrg_resnet50-oclip_fpn-unet_1200e_ctw1500"]
    published = {name: tuple(shape) for name, shape, _ in listed["state_dict"] if not name.startswith("backbone.")}
    with torch.device("meta"):
        state = head(DRRGSettings(), (256, 512, 1024, 2048)).state_dict()
    assert {to_mmocr(name, NAMES): tuple(tensor.shape) for name, tensor in state.items()} == published


def test_head_gives_six_maps_and_the_features_of_its_stage() -> None:
    channels = (3, 5, 7, 9)
    maps = head(DRRGSettings(width=2), channels)(features(channels))
    assert {name: tuple(tensor.shape) for name, tensor in maps.items()} == {
        **dict.fromkeys(MAPS, (2, 64, 96)),
        "features": (2, 8, 64, 96),
    }
