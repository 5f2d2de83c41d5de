from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from golden import golden_arrays
from scenetext.detectors.textsnake.config import TextSnakeDecoding, TextSnakeSettings
from scenetext.detectors.textsnake.decode import ImageMaps, _merge_disks, decode, find_text
from scenetext.detectors.textsnake.examples import perfect_maps
from scenetext.detectors.textsnake.targets import targets
from text_samples import make_sample, overlap, word

POLYGONS = TextSnakeDecoding(polygon_shape="polygon")
WORD = np.array([(20, 20), (180, 20), (180, 60), (20, 60)], np.float32)


def blank(size: tuple[int, int] = (96, 224)) -> ImageMaps:
    """Maps of an image without text."""
    low, zero = np.full(size, -10, np.float32), np.zeros(size, np.float32)
    return ImageMaps(low, low.copy(), zero, zero + 1, zero.copy())


def learnt(polygons: list[np.ndarray], size: tuple[int, int] = (96, 224)) -> ImageMaps:
    """The maps of a perfect head."""
    made = targets(make_sample(list(map(word, polygons)), size), TextSnakeSettings())
    maps = perfect_maps({name: torch.from_numpy(array)[None] for name, array in made.items()}, TextSnakeSettings())
    return ImageMaps(*(maps[name][0].numpy() for name in ImageMaps._fields))


def bow(radius: float, height: float) -> np.ndarray:
    """Half a ring, outer side first, (20, 2)."""
    angle = np.linspace(np.pi, 2 * np.pi, 10)
    outward = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    sides = (outward * (radius + height / 2), outward[::-1] * (radius - height / 2))
    return (np.concatenate(sides) + radius + height).astype(np.float32)


@pytest.mark.parametrize("layout", ["a640", "b320"])
def test_detections_equal_published_ones(layout: str) -> None:
    golden = golden_arrays("detectors", f"post_textsnake_{layout}")
    found = find_text(ImageMaps(*golden["pred"].astype(np.float32)), POLYGONS)
    expected = [p[:count] for p, count in zip(golden["poly_polygons"], golden["poly_num_points"], strict=True)]
    assert len(found) == len(expected)
    equal = 0
    for detection, polygon, score in zip(found, expected, golden["poly_scores"], strict=True):
        equal += np.array_equal(detection.polygon, polygon)
        # One text of b320 touches the left border, whose pixels the published walk takes as outside.
        assert overlap(detection.polygon, polygon) > 0.999
        assert detection.score == pytest.approx(score, abs=1e-4 if equal else 2e-4)
    assert equal >= len(found) - (layout == "b320")


@pytest.mark.parametrize(
    ("polygon", "least"),
    [
        pytest.param(WORD, 0.9, id="level"),
        pytest.param(WORD[:, ::-1], 0.9, id="upright"),
        pytest.param(bow(60, 30), 0.85, id="half a ring"),
        pytest.param(WORD - np.float32((60, 30)), 0.7, id="partly outside"),
    ],
)
def test_text_comes_back(polygon: np.ndarray, least: float) -> None:
    (found,) = find_text(learnt([polygon], (224, 224)), POLYGONS)
    inside = np.clip(polygon, 0, 223)
    assert overlap(found.polygon, inside) > least
    assert found.polygon.min() >= 0
    assert found.polygon.max() <= 223
    assert 0.8 < found.score <= 1


def test_rectangle_is_that_of_least_area() -> None:
    (found,) = find_text(learnt([WORD]), TextSnakeDecoding())
    assert found.polygon.shape == (4, 2)
    assert found.polygon.dtype == np.float32
    assert overlap(found.polygon, WORD) > 0.9


def test_touching_texts_are_parted_by_their_centre_regions() -> None:
    rows = [WORD, WORD + np.float32((0, 40)), WORD + np.float32((0, 80))]
    found = find_text(learnt(rows, (160, 224)), POLYGONS)
    assert len(found) == 3
    assert all(max(overlap(one.polygon, row) for one in found) > 0.9 for row in rows)


def test_hundreds_of_texts() -> None:
    small = np.array([(0, 0), (40, 0), (40, 12), (0, 12)], np.float32)
    words = [small + np.float32((x, y)) for x in range(4, 980, 50) for y in range(4, 980, 24)]
    found = find_text(learnt(words, (1024, 1024)), POLYGONS)
    assert len(found) == len(words) == 820


def test_a_region_needs_both_probabilities_and_an_area() -> None:
    maps = learnt([WORD])
    for name in ("text", "centre"):
        weak = maps._replace(**{name: np.minimum(getattr(maps, name), np.float32(-1.5))})  # 0.18
        assert find_text(weak, POLYGONS) == []
    both = maps._replace(text=np.minimum(maps.text, np.float32(-0.3)), centre=np.minimum(maps.centre, np.float32(-0.3)))
    assert find_text(both, POLYGONS) == [], "0.43 squared is below 0.2"
    assert len(find_text(both, TextSnakeDecoding(centre_threshold=0.15))) == 1
    assert find_text(maps, TextSnakeDecoding(minimum_area=5000)) == []


def test_holes_of_a_centre_region_are_filled() -> None:
    maps = learnt([WORD])
    pierced = maps.centre.copy()
    pierced[39:41, 90:110] = -10
    (found,) = find_text(maps._replace(centre=pierced), POLYGONS)
    assert overlap(found.polygon, WORD) > 0.9


@pytest.mark.parametrize("radius", [0.0, 0.5, -20.0, 1e9, np.nan, np.inf])
def test_no_radius_makes_the_walk_endless(radius: float) -> None:
    maps = learnt([WORD])
    found = find_text(maps._replace(radius=np.full_like(maps.radius, radius)), POLYGONS)
    assert found == [], "none is drawn, or it fills the image, whose outline has four points"


def test_no_direction_leaves_the_skeleton_where_it_is() -> None:
    maps = learnt([WORD])
    (found,) = find_text(maps._replace(sin=np.zeros_like(maps.sin), cos=np.zeros_like(maps.cos)), POLYGONS)
    assert overlap(found.polygon, WORD) > 0.9


def test_walk_centres_disks_in_their_region() -> None:
    """Where the text region covers one half of the height alone, disks lie in the middle of what is left."""
    maps = learnt([WORD])
    text = maps.text.copy()
    text[40:] = -10
    (found,) = find_text(maps._replace(text=text), POLYGONS)
    left, right = found.polygon[:, 0].min(), found.polygon[:, 0].max()
    middle = found.polygon[(found.polygon[:, 0] > left + 30) & (found.polygon[:, 0] < right - 30)]
    # The centre region is rows 34 to 39: its middle is 36 or 37, and the disks reach 20 pixels from there.
    assert 16 <= middle[:, 1].min() <= 18
    assert 56 <= middle[:, 1].max() <= 58


def plain_merge(disks: np.ndarray, share: float) -> np.ndarray:
    """The published merging, one disk after the other."""
    left, merged = disks[np.argsort(-disks[:, 3], kind="stable")], []
    while len(left):
        near = np.hypot(*(left[:, :2] - left[0, :2]).T) <= share * (left[:, 2] + left[0, 2])
        near[0] = True
        merged.append(left[near].mean(axis=0))
        left = left[~near]
    return np.array(merged)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([0.0, 0.03, 0.3]))
def test_disks_merge_as_one_after_the_other(seed: int, count: int, share: float) -> None:
    random = np.random.default_rng(seed)
    disks = np.column_stack((random.integers(0, 30, (count, 2)), random.uniform(1, 30, count), random.random(count)))
    region = random.integers(1, 4, count)
    merged, regions = _merge_disks(disks, region, share)
    for number in np.unique(region):
        assert np.allclose(merged[regions == number], plain_merge(disks[region == number], share))


@pytest.mark.parametrize("value", [-100.0, np.nan], ids=["nothing", "not a number"])
def test_maps_without_text(value: float) -> None:
    assert find_text(blank()._replace(text=np.full((96, 224), value, np.float32)), POLYGONS) == []


def test_batch_of_half_precision_maps_is_decoded_image_by_image() -> None:
    images = [learnt([WORD]), blank(), learnt([WORD, WORD + np.float32((0, 30))])]
    stacked = {
        name: torch.from_numpy(np.stack([getattr(image, name) for image in images])).bfloat16().requires_grad_()
        for name in ImageMaps._fields
    }
    assert [len(found) for found in decode(stacked, TextSnakeSettings())] == [1, 0, 2]


@given(st.integers(0, 2**32 - 1), st.sampled_from(["quad", "polygon"]), st.floats(0.0, 50.0))
def test_any_maps_give_proper_detections(seed: int, shape: str, scale: float) -> None:
    random = np.random.default_rng(seed)
    maps = ImageMaps(*(random.normal(size=(5, 64, 96)) * scale).astype(np.float32))
    for detection in find_text(maps, TextSnakeDecoding(polygon_shape=shape, minimum_area=4)):
        assert detection.polygon.dtype == np.float32
        assert len(detection.polygon) >= 4
        assert np.isfinite(detection.polygon).all()
        assert 0 <= detection.score <= 1
