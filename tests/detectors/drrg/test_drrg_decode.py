from __future__ import annotations

import numpy as np
import pytest
import torch

from golden import golden_arrays
from scenetext.detectors.drrg.boxes import GeometryMaps, component_attributes
from scenetext.detectors.drrg.config import DRRGDecoding, DRRGSettings
from scenetext.detectors.drrg.decode import connecting_path, decode, find_text, group_components, outline_of
from scenetext.detectors.drrg.examples import perfect_maps
from scenetext.detectors.drrg.model import MAPS
from scenetext.detectors.drrg.proposals import find_components, jittered, propose, score_components
from scenetext.detectors.drrg.targets import targets, width_rule
from text_samples import make_sample, overlap, word

CONFIG = DRRGSettings.model_validate({"decoding": {"polygon_shape": "polygon"}})
WORD = np.array([(20, 20), (180, 20), (180, 60), (20, 60)], np.float32)


def bow(radius: float, height: float) -> np.ndarray:
    """Half a ring, outer side first, (20, 2)."""
    angle = np.linspace(np.pi, 2 * np.pi, 10)
    outward = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    sides = (outward * (radius + height / 2), outward[::-1] * (radius - height / 2))
    return (np.concatenate(sides) + radius + height).astype(np.float32)


def learnt(polygons: list[np.ndarray], size: tuple[int, int] = (224, 224)) -> dict[str, torch.Tensor]:
    """The maps of a perfect head for one image."""
    made = targets(make_sample(list(map(word, polygons)), size), CONFIG)
    return perfect_maps({name: torch.from_numpy(array)[None] for name, array in made.items()}, CONFIG)


def golden_maps() -> dict[str, np.ndarray]:
    golden = golden_arrays("detectors", "post_drrg_b320")
    return dict(zip(MAPS, golden["pred_maps"].astype(np.float32), strict=True))


def test_components_of_maps_lie_near_published_ones() -> None:
    """Within a row of pixels, the published order is that of an unstable sort, and merging depends on it."""
    expected = golden_arrays("detectors", "post_drrg_b320")["text_comps"][:, :8].reshape(-1, 4, 2).mean(axis=1)
    _, corners, _ = find_components(golden_maps(), CONFIG)
    apart = np.abs(expected[:, None] - corners.mean(axis=1)).max(axis=2)
    assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 10
    assert 0.8 < len(corners) / len(expected) < 1.1


def test_attributes_and_scores_of_published_components_are_equal() -> None:
    golden, maps = golden_arrays("detectors", "post_drrg_b320"), golden_maps()
    corners = golden["text_comps"][:, :8].reshape(-1, 4, 2)
    rule = width_rule(CONFIG.components, CONFIG.decoding.width_share)
    inside = (corners < (479, 319)).all(axis=(1, 2)) & (corners > 0).all(axis=(1, 2))  # corners are stored cut off
    attributes = component_attributes(
        GeometryMaps(*(maps[name] for name in GeometryMaps._fields)), corners[inside], rule
    )
    assert inside.sum() > 100
    assert np.abs(attributes - golden["comp_attribs"][inside]).max() < 1e-4
    scores = score_components(maps["text"], corners)[inside]
    # OpenCV 5 draws single border pixels of quadrangles otherwise than 4.10, which made the goldens.
    assert np.abs(scores - golden["text_comps"][inside, 8]).max() < 0.01
    assert (np.abs(scores - golden["text_comps"][inside, 8]) < 1e-4).mean() > 0.9


def test_polygons_of_published_links_equal_published_ones() -> None:
    golden = golden_arrays("detectors", "post_drrg_b320")
    corners, edges = golden["text_comps"][:, :8].reshape(-1, 4, 2), golden["edges"].reshape(-1, 8, 2)
    scores = golden["edge_scores"].clip(1e-6, 1 - 1e-6).reshape(-1, 8)
    components = {
        "corners": corners,
        "score": golden["text_comps"][:, 8],
        "nearest": edges[:, :, 1],
        "has_nearest": np.ones(edges.shape[:2], bool),
        "link": np.log(scores / (1 - scores)),
    }
    found = find_text(components, CONFIG.decoding)
    expected = [p[:count] for p, count in zip(golden["poly_polygons"], golden["poly_num_points"], strict=True)]
    assert len(found) == len(expected)
    for polygon, score in zip(expected, golden["poly_scores"], strict=True):
        nearest = max(found, key=lambda one: overlap(one.polygon, polygon))
        # Of equally long steps of a path the published code takes the last; a ring may begin elsewhere for that.
        assert set(map(tuple, nearest.polygon.tolist())) == set(map(tuple, polygon.tolist()))
        assert overlap(nearest.polygon, polygon) > 0.9999
        assert nearest.score == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize(
    ("polygon", "least"),
    [
        pytest.param(WORD, 0.85, id="level"),
        pytest.param(WORD[:, ::-1], 0.85, id="upright"),
        pytest.param(bow(60, 30), 0.85, id="half a ring"),
        pytest.param(WORD - np.float32((60, 30)), 0.6, id="partly outside"),
    ],
)
def test_text_comes_back(polygon: np.ndarray, least: float) -> None:
    ((found,),) = decode(learnt([polygon]), CONFIG)
    assert overlap(found.polygon, np.clip(polygon, 0, 223)) > least
    assert found.score > 0.9


def test_neighbours_come_back_one_by_one() -> None:
    rows = [WORD + np.float32((0, 44 * index)) for index in range(4)]
    (found,) = decode(learnt(rows), CONFIG)
    assert len(found) == 4


def test_hundreds_of_texts() -> None:
    small = np.array([(0, 0), (60, 0), (60, 20), (0, 20)], np.float32)
    words = [small + np.float32((x, y)) for x in range(4, 900, 70) for y in range(4, 700, 30)]
    (found,) = decode(learnt(words, (736, 960)), CONFIG)
    assert len(found) == len(words) == 312


def test_groups_by_hand() -> None:
    """Links both ways are averaged, long ones do not count, and what is alone is no group."""
    middles = np.array([(0, 0), (10, 0), (20, 0), (80, 0), (90, 0)], float)
    edges = np.array([(1, 2), (0, 1), (1, 0), (2, 3), (3, 4), (4, 3)])
    config = DRRGDecoding()
    assert group_components(edges, np.array([0.9, 0.95, 0.7, 1, 0.6, 0.9]), middles, config).tolist() == [1, 1, 1, 0, 0]
    assert group_components(edges, np.array([0.1, 0.9, 0.8, 1, 0.9, 0.9]), middles, config).tolist() == [1, 1, 0, 2, 2]
    assert group_components(edges[:0], np.zeros(0), middles, config).tolist() == [0] * 5


def test_path_grows_at_both_ends() -> None:
    assert connecting_path(np.array([(50, 0), (80, 0), (40, 0), (10, 0), (62, 0)])) == [3, 2, 0, 4, 1]


def test_outline_reaches_the_sides_of_the_outermost_boxes() -> None:
    boxes = np.array([[(x, 0), (x + 10, 0), (x + 10, 20), (x, 20)] for x in (0, 8, 16)])
    outline = outline_of(boxes)
    assert {tuple(point) for point in outline.tolist()} >= {(0, 0), (0, 20), (26, 0), (26, 20)}


def test_a_lone_component_and_none_are_no_text() -> None:
    none = propose({name: torch.full((64, 64), -10.0) for name in MAPS}, None, CONFIG, torch.Generator())
    assert {len(value) for value in none.values()} == {0}
    lone = {name: torch.full((64, 64), -10.0) for name in MAPS}
    for name in ("text", "centre", "top", "bottom"):
        lone[name][30:38, 30:38] = 10
    lone["cos"][:], lone["sin"][:] = 0, -1
    assert len(propose(lone, None, CONFIG, torch.Generator())["boxes"]) == 0


def test_jitter_comes_from_the_generator_and_stays_small() -> None:
    components = torch.tensor([[50.0, 60, 40, 12, 0, -1, 1]]).repeat(500, 1)
    first, again = (jittered(components, 0.2, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    change = (first - components[:, :6]).abs().amax(dim=0)
    assert torch.allclose(change[:4], torch.tensor([1.2, 4.0, 4.0, 1.2]), rtol=0.05)
    assert torch.allclose(first[:, 4].square() + first[:, 5].square(), torch.ones(500), atol=1e-5)
    assert torch.equal(jittered(components, 0, torch.Generator())[:, :4], components[:, :4])


def test_training_proposes_the_components_of_the_targets() -> None:
    made = targets(make_sample(list(map(word, [WORD, WORD + np.float32((0, 80))])), (224, 224)), CONFIG)
    truth = {name: torch.from_numpy(array) for name, array in made.items()}
    truth["components"] = torch.cat((truth["components"], torch.zeros(5, 7)))
    proposals = propose({}, truth, CONFIG, torch.Generator().manual_seed(0))
    assert len(proposals["boxes"]) == len(made["components"])
    assert proposals["is_pivot"].any()
    labels = truth["components"][: len(proposals["boxes"]), 6]
    expected = labels[proposals["nearest"]] == labels[:, None]
    assert torch.equal(proposals["linked"] > 0, expected)
