"""Random training geometry: drawn as the settings say, measured on many draws, and never harmful to what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstest, loguniform, uniform

from scenetext.data.records.samples import whole_sample
from scenetext.data.transforms.crops import choose_region
from scenetext.data.transforms.training import TrainingTransformSettings, training_transform
from scenetext.detectors import find_detector
from scenetext.geometry.polygon import polygon_area
from scenetext.structures import Sample, TextInstance

LEAST_PROBABILITY = 1e-4
"""A right implementation fails one of these tests once in ten thousand seeds; the seeds are fixed."""


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


def grey(height: int, width: int, *instances: TextInstance) -> Sample:
    return whole_sample(np.full((height, width, 3), 90, dtype=np.uint8), Path("a.jpg"), instances)


def draws(sample: Sample, count: int = 400, **changes: Any) -> Iterator[Sample]:
    """Transformed samples of as many seeds; small outputs, no change of aspect."""
    setting = TrainingTransformSettings(**{"size": (64, 64), "aspect": (1, 1), **changes})
    for seed in range(count):
        yield training_transform(sample, setting, np.random.default_rng(seed))


def linear_part(sample: Sample) -> np.ndarray:
    """(2, 2) from stored pixels to those of the output."""
    return np.linalg.inv(sample.meta.to_original)[:2, :2]


def scales(samples: Iterator[Sample]) -> np.ndarray:
    return np.array([abs(np.linalg.det(linear_part(each))) ** 0.5 for each in samples])


@pytest.mark.parametrize(
    ("distribution", "expected"), [("uniform", uniform(0.5, 2.5)), ("log_uniform", loguniform(0.5, 3))]
)
def test_scale_is_drawn_from_the_named_distribution(distribution: str, expected: Any) -> None:
    found = scales(draws(grey(60, 80), scale=(0.5, 3), distribution=distribution))
    assert kstest(found, expected.cdf).pvalue > LEAST_PROBABILITY
    other = loguniform(0.5, 3) if distribution == "uniform" else uniform(0.5, 2.5)
    assert kstest(found, other.cdf).pvalue < LEAST_PROBABILITY, "the test can tell the two apart"


@pytest.mark.parametrize(("unit", "side"), [("short_side", 48), ("long_side", 80)])
def test_scale_of_one_may_mean_an_equal_side(unit: str, side: int) -> None:
    """PSENet and PAN: the shorter side becomes 0.7 to 1.3 times that of the output, evenly; Mask R-CNN: the longer."""
    found = scales(draws(grey(48, 80), scale=(0.7, 1.3), distribution="uniform", scale_unit=unit))
    assert kstest(found * side / 64, uniform(0.7, 0.6).cdf).pvalue > LEAST_PROBABILITY


def test_rotation_is_even_and_as_frequent_as_set() -> None:
    angles = []
    for sample in draws(grey(60, 80), rotation=(-30, 30), rotation_probability=0.5, horizontal_flip=0):
        x_axis = linear_part(sample)[:, 0]
        angles.append(np.degrees(np.arctan2(x_axis[1], x_axis[0])))
    turned = np.array([angle for angle in angles if abs(angle) > 1e-9])
    assert 160 < len(turned) < 240
    assert kstest(turned, uniform(-30, 60).cdf).pvalue > LEAST_PROBABILITY


def test_a_kept_canvas_has_the_size_of_the_image_and_its_centre() -> None:
    setting = {"rotation": (20, 20), "scale": (1, 1), "size": (128, 128), "horizontal_flip": 0}
    kept = next(draws(grey(60, 80), 1, canvas="keep", **setting))
    assert kept.meta.content_size == (60, 80)
    np.testing.assert_allclose(kept.meta.to_original @ [40, 30, 1], [40, 30, 1], atol=1e-9)
    grown = next(draws(grey(60, 80), 1, canvas="grow", **setting))
    angle = np.radians(20)
    expected = np.array([[60, 80], [80, 60]]) @ [np.cos(angle), np.sin(angle)]
    assert grown.meta.content_size == tuple(np.ceil(expected))


def test_text_is_in_the_window_as_often_as_set() -> None:
    """A small word in a large image: chance alone shows it in about one window of a hundred."""
    sample = grey(1000, 1000, TextInstance(box(500, 500, 520, 510), "x"))
    setting = {"scale": (1, 1), "rotation": (0, 0), "crop_attempts": 1}
    shares = [
        np.mean([len(each.instances) > 0 for each in draws(sample, text_probability=probability, **setting)])
        for probability in (0.0, 0.625, 1.0)
    ]
    assert shares[0] < 0.05
    assert 0.5 < shares[1] < 0.75
    assert shares[2] == 1.0


WORDS = np.array([[80, 40, 240, 120], [200, 160, 440, 220], [520, 200, 600, 360], [80, 400, 560, 460]], dtype=float)
FRAME = np.array([0, 0, 640, 480], dtype=float)


def published_region(generator: np.random.Generator, minimum_side: float) -> list[int]:
    """Left, top, right, bottom by the published way: marks on an array of whole pixels, its runs, one of them."""
    kept = generator.integers(len(WORDS))
    region = [0] * 4
    for axis, length in ((0, 640), (1, 480)):
        free = np.ones(length + 1, dtype=int)
        for word in WORDS.astype(int):
            free[word[axis] : word[axis + 2]] = 0
        least = int(length * minimum_side)
        starts = free.copy()
        starts[min(length + 1 - least, int(WORDS[kept, axis])) :] = 0
        starts[0] = 1
        start = draw_from_run(starts, generator)
        ends = free.copy()
        ends[: max(start + least, int(WORDS[kept, axis + 2]))] = 0
        ends[-1] = 1
        region[axis], region[axis + 2] = start, draw_from_run(ends, generator)
    return region


def draw_from_run(marks: np.ndarray, generator: np.random.Generator) -> int:
    steps = np.diff(np.concatenate([[0], marks, [0]]))
    runs = list(zip(np.nonzero(steps > 0)[0], np.nonzero(steps < 0)[0], strict=True))
    first, last = runs[generator.integers(len(runs))]
    return int(generator.integers(first, last))


def test_regions_are_distributed_as_the_published_crop() -> None:
    generator = np.random.default_rng(0)
    ours = np.array(
        [choose_region(WORDS, WORDS[generator.integers(len(WORDS))], FRAME, 0.1, generator) for _ in range(1500)]
    )
    published = np.array([published_region(generator, 0.1) for _ in range(1500)])
    for name, column in (("left", 0), ("top", 1), ("right", 2), ("bottom", 3)):
        # The published places are whole pixels: ours, rounded, have the same distribution.
        found = ks_2samp(np.rint(ours[:, column]), published[:, column], method="asymp")
        assert found.pvalue > LEAST_PROBABILITY, name


corners, sides = st.floats(0, 95), st.floats(0.01, 60)
word_boxes = st.lists(st.tuples(corners, corners, sides, sides), min_size=1)


@settings(max_examples=100, deadline=None)
@given(word_boxes, st.floats(0.01, 1), st.integers(0, 2**32 - 1))
def test_a_region_cuts_no_word_and_holds_the_chosen_one(
    words: list[tuple[float, float, float, float]], minimum_side: float, seed: int
) -> None:
    boxes = np.array([[x, y, min(x + w, 100), min(y + h, 100)] for x, y, w, h in words])
    region = choose_region(boxes, boxes[0], np.array([0.0, 0, 100, 100]), minimum_side, np.random.default_rng(seed))
    assert (region[2:] - region[:2] >= 100 * minimum_side - 1e-9).all()
    assert (region[:2] >= 0).all()
    assert (region[2:] <= 100).all()
    assert (region[:2] <= boxes[0, :2]).all()
    assert (region[2:] >= boxes[0, 2:]).all()
    for line, axis in zip(region, (0, 1, 0, 1), strict=True):
        if 0 < line < 100:
            assert not ((boxes[:, axis] < line) & (line < boxes[:, axis + 2])).any()


def test_a_region_fills_the_output_in_one_direction_or_in_both() -> None:
    sample = grey(60, 200, TextInstance(box(90, 25, 120, 40), "x"))
    for each in draws(sample, 60, region={"squeeze": 0.0}):
        height, width = each.meta.content_size
        assert max(height, width) == 64
        assert abs(np.linalg.norm(linear_part(each), axis=0) @ [1, -1]) < 1e-9, "aspect kept"
    assert all(each.meta.content_size == (64, 64) for each in draws(sample, 60, region={"squeeze": 1.0}))


def test_without_words_or_with_no_probability_the_whole_frame_is_taken() -> None:
    setting = {"rotation": (0, 0), "horizontal_flip": 0}
    word = TextInstance(box(50, 20, 60, 30), "x")
    for sample, region in ((grey(64, 128), {}), (grey(64, 128, word), {"probability": 0.0})):
        for each in draws(sample, 5, region=region, **setting):
            assert each.meta.content_size == (32, 64)
            np.testing.assert_allclose(linear_part(each), np.eye(2) / 2)
    shares = [
        np.ptp(each.meta.to_original[:2, :2].diagonal()) < 1e-9 and each.meta.to_original[0, 0] == pytest.approx(2)
        for each in draws(grey(64, 128, word), region={"probability": 0.8}, **setting)
    ]
    assert 0.1 < np.mean(shares) < 0.3


@st.composite
def hard_samples(draw: st.DrawFn) -> Sample:
    """Images of any aspect, some smaller than the crop; polygons that cross themselves, have no area or lie outside."""
    height, width = draw(st.sampled_from([(1, 1), (3, 500), (500, 2), (40, 30), (64, 64), (300, 200), (33000, 2)]))
    coordinates = st.floats(-1.5, 2.5).map(lambda share: round(share, 2))
    polygons = draw(st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=7), max_size=8))
    instances = [
        TextInstance(np.array(polygon, dtype=np.float32) * [width, height], "x", draw(st.booleans()))
        for polygon in polygons
    ]
    return grey(height, width, *instances)


SETTINGS = (
    {},
    {"crop_attempts": 1, "text_probability": 0.5, "smallest_visible_share": 0, "scale_unit": "short_side"},
    {"region": {}, "canvas": "keep"},
    {"region": {"minimum_side": 0.3, "squeeze": 0.5, "probability": 0.8}, "rotation": (-30, 30)},
)


@settings(max_examples=120, deadline=None)
@given(hard_samples(), st.sampled_from(SETTINGS), st.integers(0, 2**32 - 1))
def test_no_input_is_too_bad(sample: Sample, changes: dict[str, Any], seed: int) -> None:
    """What comes out is a sample of the output's size whose polygons have been moved, cut or dropped, never invented;
    and a detector can make targets of it."""
    setting = TrainingTransformSettings(size=(64, 96), **changes)
    result = training_transform(sample, setting, np.random.default_rng(seed))
    assert result.image.shape == (64, 96, 3)
    height, width = result.meta.content_size
    assert 1 <= height <= 64
    assert 1 <= width <= 96
    assert not result.image[height:].any()
    assert not result.image[:, width:].any()
    assert len(result.instances) <= len(sample.instances)
    for instance in result.instances:
        assert np.isfinite(instance.polygon).all()
        assert instance.polygon.min() >= -0.011
        assert (instance.polygon.max(axis=0) <= [width + 0.011, height + 0.011]).all()
    spec = find_detector("dbnet")
    for name, target in spec.targets(result, spec.config()).items():
        assert target.shape == (64, 96), name
        assert np.isfinite(target).all(), name


@pytest.mark.parametrize("changes", SETTINGS)
def test_thousands_of_instances(changes: dict[str, Any]) -> None:
    corners = np.random.default_rng(0).uniform(0, 390, (5000, 2))
    sample = grey(400, 400, *(TextInstance(box(x, y, x + 8, y + 5), "x") for x, y in corners))
    result = training_transform(sample, TrainingTransformSettings(size=(64, 64), **changes), np.random.default_rng(0))
    assert all(polygon_area(instance.polygon) > 0 for instance in result.instances)
