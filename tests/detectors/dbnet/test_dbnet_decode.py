from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from shapely import Polygon

from golden import golden_arrays
from scenetext.detectors.dbnet.config import DBNetDecoding, DBNetSettings
from scenetext.detectors.dbnet.decode import decode, find_text
from scenetext.geometry.candidates import counted_cuts
from scenetext.structures import Detection

POLYGON = {"polygon_shape": "polygon"}
PUBLISHED_RUNS: dict[str, dict[str, Any]] = {
    "quad_eps0.01": {},
    "quad_eps0.002": {"epsilon_ratio": 0.002},
    "poly_eps0.01": POLYGON,
    "poly_eps0.002": POLYGON | {"epsilon_ratio": 0.002},
    "poly_unclip2_thr0.4_score0.5": POLYGON | {"unclip_ratio": 2, "mask_threshold": 0.4, "score_threshold": 0.5},
}


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two polygons."""
    one, other = Polygon(first).buffer(0), Polygon(second).buffer(0)
    return float(one.intersection(other).area / one.union(other).area)


def to_logits(probability: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(probability / (1 - probability)).astype(np.float32)


def boxes_to_logits(boxes: list[tuple[int, int, int, int]], size: tuple[int, int] = (120, 200)) -> np.ndarray:
    """Logits of 10 in the boxes (left, top, right, bottom; ends included), -10 elsewhere."""
    logits = np.full(size, -10, np.float32)
    for left, top, right, bottom in boxes:
        logits[top : bottom + 1, left : right + 1] = 10
    return logits


@pytest.mark.parametrize("layout", ["a640", "b320"])
@pytest.mark.parametrize("run", PUBLISHED_RUNS)
def test_detections_equal_published_ones(layout: str, run: str) -> None:
    golden = golden_arrays("detectors", f"post_db_{layout}")
    found = find_text(to_logits(golden["prob_map"].astype(np.float32)), DBNetDecoding(**PUBLISHED_RUNS[run]))
    expected = [
        polygon[:count] for polygon, count in zip(golden[f"{run}_polygons"], golden[f"{run}_num_points"], strict=True)
    ]
    assert len(found) == len(expected)
    for detection, polygon, score in zip(found, expected, golden[f"{run}_scores"], strict=True):
        assert overlap(detection.polygon, polygon) > 0.99
        # OpenCV 4.10, that of the goldens, fills a few more border pixels: docs/detectors.md.
        assert detection.score == pytest.approx(score, abs=0.01)


def test_box_by_hand() -> None:
    # 100 x 20 pixels: area 2000, perimeter 240, grown by 2000 * 1.5 / 240 = 12.5 to either side; Clipper rounds.
    (detection,) = find_text(boxes_to_logits([(50, 50, 150, 70)]), DBNetDecoding())
    corners = [(37.5, 37.5), (162.5, 37.5), (162.5, 82.5), (37.5, 82.5)]
    assert all(np.abs(detection.polygon - corner).max(axis=1).min() <= 1 for corner in corners)
    assert detection.score == pytest.approx(1, abs=1e-4)
    assert detection.polygon.dtype == np.float32


def test_score_is_the_mean_probability_inside() -> None:
    logits = boxes_to_logits([(50, 50, 150, 70)])
    logits[50:71, 50:151] = to_logits(np.linspace(0.4, 0.8, 101, dtype=np.float32))
    (detection,) = find_text(logits, DBNetDecoding())
    assert detection.score == pytest.approx(0.6, abs=1e-3)
    assert find_text(logits, DBNetDecoding(score_threshold=0.61)) == []
    assert len(find_text(logits, DBNetDecoding(score_threshold=0.59))) == 1


def test_mask_threshold_is_one_of_probability() -> None:
    logits = np.full((120, 200), -10, np.float32)
    logits[50:71, 50:151] = to_logits(np.array(0.5))
    assert len(find_text(logits, DBNetDecoding(mask_threshold=0.49))) == 1
    assert find_text(logits, DBNetDecoding(mask_threshold=0.51)) == []


def test_minimum_width_is_kept_at_equality() -> None:
    logits = boxes_to_logits([(50, 50, 150, 70)])
    (detection,) = find_text(logits, DBNetDecoding())
    width = min(cv2.minAreaRect(detection.polygon)[1])
    assert len(find_text(logits, DBNetDecoding(minimum_width=width - 0.01))) == 1
    assert find_text(logits, DBNetDecoding(minimum_width=width + 0.01)) == []


def test_maximum_candidates_is_exact() -> None:
    logits = boxes_to_logits([(20, top, 120, top + 10) for top in (10, 40, 70, 100)])
    assert len(find_text(logits, DBNetDecoding())) == 4
    assert len(find_text(logits, DBNetDecoding(maximum_candidates=3))) == 3


def test_the_largest_candidates_stay_and_specks_do_not_count() -> None:
    """OpenCV lists contours from the bottom upwards: the large text at the top would be cut, and specks would do it."""
    blobs = [(x, 300, x + 9, 305) for x in range(20, 300, 40)]
    logits = boxes_to_logits([(20, 10, 300, 40), *blobs, *((x, 350, x, 350) for x in range(5, 390, 5))], (400, 400))
    with counted_cuts() as cuts:
        found = find_text(logits, DBNetDecoding(maximum_candidates=3))
    assert len(found) == 3
    assert max(np.ptp(each.polygon[:, 0]) for each in found) > 280, "the text at the top"
    assert (cuts.times, cuts.candidates) == (1, len(blobs) + 1 - 3)
    with counted_cuts() as cuts:
        find_text(logits, DBNetDecoding(maximum_candidates=len(blobs) + 1))
    assert not cuts.times, "specks of one pixel are no candidates"


def test_curved_text_keeps_its_shape_as_polygon() -> None:
    logits = np.full((200, 300), -10, np.float32)
    cv2.ellipse(logits, (150, 160), (100, 100), 0, 200, 340, 10, 24)
    (curved,) = find_text(logits, DBNetDecoding(polygon_shape="polygon", unclip_ratio=0.01, epsilon_ratio=0.002))
    (rectangle,) = find_text(logits, DBNetDecoding(unclip_ratio=0.01, epsilon_ratio=0.002))
    drawn = Polygon(cv2.findContours((logits > 0).view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0][0][:, 0])
    assert overlap(curved.polygon, np.array(drawn.exterior.coords)) > 0.95
    assert rectangle.polygon.shape == (4, 2)
    assert overlap(rectangle.polygon, np.array(drawn.exterior.coords)) < 0.7


@pytest.mark.parametrize(
    "logits",
    [
        pytest.param(np.full((32, 32), -100, np.float32), id="nothing"),
        pytest.param(np.full((32, 32), np.nan, np.float32), id="not a number"),
        pytest.param(boxes_to_logits([(5, 5, 5, 5)], (32, 32)), id="one pixel"),
        pytest.param(boxes_to_logits([(5, 5, 25, 5)], (32, 32)), id="a line"),
    ],
)
def test_maps_without_text(logits: np.ndarray) -> None:
    assert find_text(logits, DBNetDecoding()) == []


def test_batch_of_half_precision_maps_is_decoded_image_by_image() -> None:
    logits = np.stack([boxes_to_logits([(50, 50, 150, 70)]), boxes_to_logits([]), boxes_to_logits([(9, 9, 99, 29)])])
    maps = {"probability": torch.from_numpy(logits).bfloat16().requires_grad_()}
    found = decode(maps, DBNetSettings())
    assert [len(detections) for detections in found] == [1, 0, 1]
    assert overlap(found[2][0].polygon, found[0][0].polygon) < 0.3


def check(detection: Detection) -> None:
    assert detection.polygon.dtype == np.float32
    assert detection.polygon.ndim == 2
    assert detection.polygon.shape[1] == 2
    assert len(detection.polygon) >= 4
    assert np.isfinite(detection.polygon).all()
    assert 0 <= detection.score <= 1


@settings(deadline=None)
@given(
    arrays.arrays(np.int8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.integers(-128, 127)),
    st.sampled_from(["quad", "polygon"]),
    st.integers(1, 6),
)
def test_any_map_gives_proper_detections(values: np.ndarray, shape: str, enlarged: int) -> None:
    logits = np.kron(values, np.ones((enlarged, enlarged))).astype(np.float32)
    for detection in find_text(logits, DBNetDecoding(polygon_shape=shape, minimum_width=0, score_threshold=0)):
        check(detection)
