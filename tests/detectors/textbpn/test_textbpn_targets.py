from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from golden import golden_arrays
from scenetext.detectors.textbpn.config import TextBPNSettings
from scenetext.detectors.textbpn.targets import needed_vertices, targets
from scenetext.structures import Sample
from text_samples import WORD, golden_sample, make_sample, overlap, wild_samples, word
from textbpn_golden import FOLDER, SAME_POLYGONS, settings

CONFIG = TextBPNSettings()
every_layout = pytest.mark.parametrize("layout", ["b320", "b320x"])
every_version = pytest.mark.parametrize("version", ["v1", "pp"])


@every_layout
@every_version
def test_maps_equal_published_ones(version: str, layout: str) -> None:
    golden = golden_arrays(FOLDER, f"targets_{version}_{layout}")
    made = targets(golden_sample(golden), settings(version))
    text = golden["tr_mask"] > 0
    same = (made["distance"] > 0) == text
    assert np.count_nonzero(~same) <= (0 if SAME_POLYGONS else 0.002 * text.sum())
    assert np.array_equal(made["valid"], golden["train_mask"])
    assert np.array_equal(made["text"][same], (text & (golden["train_mask"] > 0))[same])
    differences = np.abs(made["distance"] - golden["distance_field"])
    off = differences > 1e-6
    assert off.sum() <= (0 if SAME_POLYGONS else 0.01 * text.sum())
    assert differences.max() < 0.12
    assert np.count_nonzero((made["direction"] != golden["direction_field"]).any(axis=0)) <= 0.005 * text.sum()
    exact = 1e-6 if SAME_POLYGONS else 2e-3
    inside = text & same
    np.testing.assert_allclose(made["weight"][inside], golden["weight_matrix"][inside], rtol=exact)
    assert not made["weight"][~text & same].any(), "left to the loss"


@every_layout
@every_version
def test_boundaries_equal_published_ones(version: str, layout: str) -> None:
    golden = golden_arrays(FOLDER, f"targets_{version}_{layout}")
    made = targets(golden_sample(golden), settings(version))
    learnt = golden["ignore_tags"] > 0
    for found, expected in ((made["boundary"], golden["gt_points"]), (made["proposal"], golden["proposal_points"])):
        differences = np.abs(found - expected[learnt])
        assert differences.max() <= 2
        assert np.count_nonzero(differences) <= (2 if SAME_POLYGONS else 0.06 * differences.size)


def test_needless_vertices_are_the_published_ones() -> None:
    golden = golden_arrays(FOLDER, "vertex_removal_v1")
    names = ("polygons", "num_points", "kept", "num_kept")
    for polygon, count, kept, left in zip(*(golden[name] for name in names), strict=True):
        assert np.array_equal(needed_vertices(polygon[:count], CONFIG.vertex_tolerance), kept[:left])


def test_rectangle_by_hand() -> None:
    """Pixels 20 to 120 and 20 to 60, both included: the middle row is 21 pixels from the next outside."""
    made = targets(make_sample([word(WORD)]), CONFIG)
    assert made["text"].sum() == 101 * 41
    assert made["extent"].tolist() == [21]
    assert made["distance"][20, 70] == pytest.approx(1 / 21)
    assert made["distance"][40, 70] == pytest.approx(1)
    assert made["direction"][:, 22, 70].tolist() == [-3, 0]
    assert made["direction"][:, 58, 70].tolist() == [3, 0]
    assert made["direction"][:, 40, 22].tolist() == [0, -3]
    assert made["direction"][:, 10, 10].tolist() == [0, 0]
    assert made["weight"][40, 70] == pytest.approx((101 * 41) ** -0.5)
    assert made["weight"][0, 0] == 0
    assert overlap(made["boundary"][0], WORD) > 0.9
    # 0.4 of 21 pixels are 8.4: what is 9 pixels from the next outside begins 8 pixels inside.
    assert made["proposal"][0].min(axis=0).tolist() == [28, 28]
    assert made["proposal"][0].max(axis=0).tolist() == [112, 52]


@pytest.mark.parametrize(
    ("polygon", "values"),
    [
        (WORD * (1, 0.1), {}),
        (WORD, {"least_area": 5000}),
        (WORD, {"least_extent": 22}),
        (WORD + np.float32(500), {}),
        (np.array([(5, 5), (50, 5), (90, 5)], np.float32), {}),
    ],
    ids=["thin", "small", "not thick enough", "outside", "without area"],
)
def test_text_that_cannot_be_learnt_is_ignored(polygon: np.ndarray, values: dict[str, float]) -> None:
    made = targets(make_sample([word(polygon)]), CONFIG.model_copy(update=values))
    assert not made["text"].any()
    assert (made["valid"] == 0).any()
    assert made["boundary"].shape == made["proposal"].shape == (0, 20, 2)
    assert made["extent"].shape == (0,)


def test_of_overlapping_texts_the_later_one_is_on_top_but_for_the_distance() -> None:
    other = WORD + np.float32(15)
    made = targets(make_sample([word(WORD), word(other, ignore=True)]), CONFIG)
    assert (made["text"][40, 60], made["valid"][40, 60]) == (0, 0)
    assert (made["text"][22, 60], made["valid"][22, 60]) == (1, 1)
    alone = [targets(make_sample([word(one)]), CONFIG)["distance"] for one in (WORD, other)]
    np.testing.assert_allclose(made["distance"], np.maximum(*alone), atol=1e-6)
    assert len(made["boundary"]) == 1
    swapped = targets(make_sample([word(other, ignore=True), word(WORD)]), CONFIG)
    assert (swapped["text"][40, 60], swapped["valid"][40, 60]) == (1, 1)


@pytest.mark.parametrize("stride", [2, 4])
def test_a_larger_stride_reduces_the_maps_about_the_middle_of_their_cells(stride: int) -> None:
    sample = make_sample([word(WORD), word(WORD + np.float32((0, 60)), ignore=True)])
    full, reduced = (targets(sample, CONFIG.model_copy(update={"stride": s})) for s in (1, stride))
    near = stride // 2 - 1
    full["weight"][full["weight"] == 0] = (full["distance"] == 0).sum() ** -0.5
    for name in ("text", "valid", "distance", "direction", "weight"):
        four = [full[name][..., near + y :: stride, near + x :: stride] for y in (0, 1) for x in (0, 1)]
        expected = np.mean(four, axis=0)
        expected = expected > 0 if name in ("text", "valid") else expected
        np.testing.assert_allclose(reduced[name], expected, rtol=1e-6, err_msg=name)
    assert np.array_equal(reduced["boundary"], full["boundary"])


@given(wild_samples())
def test_any_polygons_give_boundaries_within_the_image(sample: Sample) -> None:
    made = targets(sample, CONFIG)
    height, width = sample.image.shape[:2]
    for name in ("boundary", "proposal"):
        assert (made[name] >= 1).all()
        assert (made[name] <= (width - 2, height - 2)).all()
    assert (made["extent"] >= CONFIG.least_extent).all()
    assert made["distance"].max() <= 1
