from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon

from golden import golden_arrays
from scenetext.detectors.fcenet.config import STRIDES, FCENetDecoding, FCENetSettings
from scenetext.detectors.fcenet.decode import LevelMaps, decode, find_text
from scenetext.detectors.fcenet.fourier import contour_matrix
from scenetext.geometry.candidates import counted_cuts

CURVED = {"text_exponent": 1, "centre_exponent": 2, "polygon_shape": "polygon"}
PUBLISHED_RUNS: dict[str, dict[str, Any]] = {"ic15": {}, "ctw": CURVED}


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    one, other = Polygon(first).buffer(0), Polygon(second).buffer(0)
    return float(one.intersection(other).area / one.union(other).area)


def empty_levels(size: tuple[int, int] = (256, 256), degree: int = 5) -> list[LevelMaps]:
    """Maps of an image without text: logits of -10, contours of 0."""
    levels = []
    for stride in STRIDES:
        height, width = size[0] // stride, size[1] // stride
        logits = np.full((height, width), -10, np.float32)
        levels.append((logits, logits.copy(), np.zeros((2 * (2 * degree + 1), height, width), np.float32)))
    return levels


def put_ellipse(
    level: LevelMaps, at: tuple[slice, slice], middle: tuple[float, float], radii: tuple[float, float]
) -> None:
    """Lets some pixels of a level claim an ellipse; middle (x, y) and radii in map pixels."""
    text, centre, contour = level
    degree = len(contour) // 4
    text[at] = centre[at] = 10
    y, x = np.mgrid[: text.shape[0], : text.shape[1]]
    contour[(degree, *at)] = (middle[0] - x)[at]
    contour[(3 * degree + 1, *at)] = (middle[1] - y)[at]
    contour[(degree + 1, *at)] = (radii[0] + radii[1]) / 2
    contour[(degree - 1, *at)] = (radii[0] - radii[1]) / 2


@pytest.mark.parametrize("layout", ["a640", "b320"])
@pytest.mark.parametrize("run", PUBLISHED_RUNS)
def test_detections_equal_published_ones(layout: str, run: str) -> None:
    golden = golden_arrays("detectors", f"post_fce_{run}_{layout}")
    levels = []
    for name in ("p3", "p4", "p5"):
        logits = golden[f"{name}_cls"].astype(np.float32)
        levels.append((logits[1] - logits[0], logits[3] - logits[2], golden[f"{name}_reg"].astype(np.float32)))
    found = find_text(levels, FCENetDecoding(**PUBLISHED_RUNS[run]))
    expected = [points[:count] for points, count in zip(golden["out_polygons"], golden["out_num_points"], strict=True)]
    assert len(found) == len(expected)
    for detection, polygon, score in zip(found, expected, golden["out_scores"], strict=True):
        assert detection.score == pytest.approx(score, abs=1e-4)
        decoded = detection.polygon
        if run == "ic15":  # OpenCV versions start a rectangle at different corners.
            decoded = min(
                (np.roll(decoded, turn, axis=0) for turn in range(4)), key=lambda turned: np.abs(turned - polygon).max()
            )
        assert np.abs(decoded - polygon).max() <= 1


def test_ellipse_by_hand() -> None:
    levels = empty_levels()
    put_ellipse(levels[0], (slice(10, 12), slice(8, 16)), (12.0, 11.0), (6.0, 2.0))
    (ellipse,) = find_text(levels, FCENetDecoding(polygon_shape="polygon"))
    assert ellipse.polygon.shape == (50, 2)
    assert ellipse.polygon.dtype == np.float32
    assert np.abs(ellipse.polygon.mean(axis=0) - (96, 88)).max() < 1
    assert np.abs(ellipse.polygon.max(axis=0) - (96 + 48, 88 + 16)).max() <= 1
    assert ellipse.score == pytest.approx(1, abs=1e-3)
    (rectangle,) = find_text(levels, FCENetDecoding())
    assert rectangle.polygon.shape == (4, 2)
    assert overlap(rectangle.polygon, np.array([(48, 72), (144, 72), (144, 104), (48, 104)])) > 0.9


def test_score_is_the_product_of_powers() -> None:
    levels = empty_levels()
    at = (slice(11, 12), slice(12, 13))
    put_ellipse(levels[0], at, (12.0, 11.0), (6.0, 2.0))
    levels[0][0][at], levels[0][1][at] = np.log(0.8 / 0.2), np.log(0.6 / 0.4)
    for text_exponent, centre_exponent in ((1, 1), (1.2, 1), (1, 2), (0, 1)):
        settings = {"text_exponent": text_exponent, "centre_exponent": centre_exponent}
        expected = 0.8**text_exponent * 0.6**centre_exponent
        (found,) = find_text(levels, FCENetDecoding(**settings, score_threshold=expected - 0.001))
        assert found.score == pytest.approx(expected, abs=1e-5)
        assert find_text(levels, FCENetDecoding(**settings, score_threshold=expected + 0.001)) == []


def test_pixels_that_are_enclosed_are_candidates_too() -> None:
    levels = empty_levels()
    put_ellipse(levels[0], (slice(9, 14), slice(9, 14)), (11.0, 11.0), (4.0, 2.0))
    text, centre, contour = levels[0]
    inner = (slice(11, 12), slice(11, 12))
    text[inner], centre[inner] = 1.0, -1.0
    contour[(5, *inner)] += 20
    first, enclosed = find_text(levels, FCENetDecoding())
    assert first.score > 0.99
    assert enclosed.score == pytest.approx((1 / (1 + np.exp(-1))) ** 1.2 / (1 + np.exp(1)), abs=1e-4)
    assert enclosed.score < FCENetDecoding().score_threshold


def test_the_best_of_all_levels_stays() -> None:
    levels = empty_levels()
    put_ellipse(levels[0], (slice(10, 12), slice(8, 16)), (12.0, 11.0), (6.0, 2.0))
    put_ellipse(levels[1], (slice(5, 6), slice(5, 7)), (6.0, 5.5), (3.0, 1.1))
    levels[1][0][5, 5] = 11
    (found,) = find_text(levels, FCENetDecoding())
    assert found.polygon[:, 1].max() - found.polygon[:, 1].min() == pytest.approx(2 * 1.1 * 16, abs=2)
    assert len(find_text(levels, FCENetDecoding(overlap_threshold=1))) > 2


def test_only_the_best_candidates_are_looked_at() -> None:
    levels = empty_levels()
    for row in range(2, 30, 4):
        put_ellipse(levels[0], (slice(row, row + 1), slice(10, 11)), (10.0, row), (6.0, 1.0))
        levels[0][0][row, 10] = row / 10
    every = find_text(levels, FCENetDecoding())
    assert len(every) == 7
    with counted_cuts() as cuts:
        best = find_text(levels, FCENetDecoding(maximum_candidates=3))
    assert [found.score for found in best] == [found.score for found in every[:3]]
    assert (cuts.times, cuts.candidates) == (1, 4)


@pytest.mark.parametrize("value", [-100.0, np.nan], ids=["nothing", "not a number"])
def test_maps_without_text(value: float) -> None:
    levels = [(np.full_like(t, value), np.full_like(c, value), contour) for t, c, contour in empty_levels()]
    assert find_text(levels, FCENetDecoding()) == []


def test_candidates_without_extent_are_none() -> None:
    levels = empty_levels()
    for text, centre, _ in levels:
        text[:], centre[:] = 10, 10
    assert find_text(levels, FCENetDecoding()) == []


def test_batch_of_half_precision_maps_is_decoded_image_by_image() -> None:
    images = [empty_levels() for _ in range(3)]
    put_ellipse(images[0][0], (slice(10, 12), slice(8, 16)), (12.0, 11.0), (6.0, 2.0))
    put_ellipse(images[2][1], (slice(2, 3), slice(2, 6)), (4.0, 2.5), (3.0, 1.0))
    maps = {
        f"{name}_{stride}": torch.from_numpy(np.stack([image[level][kind] for image in images]))
        .bfloat16()
        .requires_grad_()
        for level, stride in enumerate(STRIDES)
        for kind, name in enumerate(("text", "centre", "contour"))
    }
    found = decode(maps, FCENetSettings())
    assert [len(detections) for detections in found] == [1, 0, 1]
    assert overlap(found[2][0].polygon, found[0][0].polygon) < 0.3


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from(["quad", "polygon"]), st.floats(0.0, 50.0))
def test_any_maps_give_proper_detections(seed: int, degree: int, shape: str, scale: float) -> None:
    random = np.random.default_rng(seed)
    levels = [
        tuple((random.normal(size=part.shape) * scale).astype(np.float32) for part in level)
        for level in empty_levels((64, 96), degree)
    ]
    for detection in find_text(levels, FCENetDecoding(polygon_shape=shape, score_threshold=0.05)):
        assert detection.polygon.dtype == np.float32
        assert detection.polygon.shape == ((4, 2) if shape == "quad" else (50, 2))
        assert np.isfinite(detection.polygon).all()
        assert 0 <= detection.score <= 1


def test_matrix_gives_the_points_of_the_series() -> None:
    random = np.random.default_rng(0)
    coefficients = random.normal(size=7) + 1j * random.normal(size=7)
    points = np.concatenate((coefficients.real, coefficients.imag)) @ contour_matrix(3, 9)
    for index in range(9):
        expected = sum(c * np.exp(2j * np.pi * k * index / 9) for c, k in zip(coefficients, range(-3, 4), strict=True))
        assert points[index] + 1j * points[9 + index] == pytest.approx(expected)
