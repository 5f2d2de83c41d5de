from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from golden import golden_arrays
from scenetext.detectors.pan.config import PANDecoding, PANSettings
from scenetext.detectors.pan.decode import aggregate_pixels, decode, find_text
from scenetext.detectors.pan.targets import targets
from text_samples import large_texts, make_sample, overlap, word

PUBLISHED_RUNS: dict[str, dict[str, Any]] = {
    "quad": {},
    "poly": {"polygon_shape": "polygon"},
    "poly_dist0.6_area60_score0.9": {
        "polygon_shape": "polygon",
        "distance_threshold": 0.6,
        "minimum_area": 60,
        "score_threshold": 0.9,
    },
}
Maps = tuple[np.ndarray, np.ndarray, np.ndarray]


def perfect_maps(made: dict[str, np.ndarray]) -> Maps:
    """Targets (H, W) as the maps of a perfect head; vectors of different texts are 10 apart."""
    text, kernel = made["text"][::4, ::4], made["kernel"][::4, ::4]
    logits = (np.where(each > 0, 10, -10).astype(np.float32) for each in (text, kernel))
    return (*logits, (text[None] == np.arange(4)[:, None, None]).astype(np.float32) * 10)  # type: ignore[return-value]


def maps_of_boxes(boxes: list[tuple[int, int, int, int]]) -> Maps:
    """Maps (40, 60) of texts in boxes (left, top, right, bottom; ends included), kernels two pixels inside."""
    text, kernel = np.full((2, 40, 60), -10, np.float32)
    for left, top, right, bottom in boxes:
        text[top : bottom + 1, left : right + 1] = 10
        kernel[top + 2 : bottom - 1, left + 2 : right - 1] = 10
    return text, kernel, np.zeros((4, 40, 60), np.float32)


@pytest.mark.parametrize("layout", ["a640", "b320"])
@pytest.mark.parametrize("run", PUBLISHED_RUNS)
def test_detections_equal_published_ones(layout: str, run: str) -> None:
    golden = golden_arrays("detectors", f"post_pan_{layout}")
    text, kernel, *embedding = golden["pred"].astype(np.float32)
    found = find_text(text, kernel, np.stack(embedding), PANDecoding(**PUBLISHED_RUNS[run]))
    expected = [
        polygon[:count] for polygon, count in zip(golden[f"{run}_polygons"], golden[f"{run}_num_points"], strict=True)
    ]
    assert len(found) == len(expected)
    for detection, polygon, score in zip(found, expected, golden[f"{run}_scores"], strict=True):
        assert detection.score == pytest.approx(score, abs=1e-4)
        if run == "quad":
            assert overlap(detection.polygon, polygon) > 0.99
        else:
            assert detection.polygon.tolist() == polygon.tolist()


@pytest.mark.parametrize("layout", ["a640", "b320"])
def test_grouping_equals_the_published_operator(layout: str) -> None:
    golden = golden_arrays("detectors", f"post_pan_{layout}")
    predicted = golden["pred"].astype(np.float32)
    grouped = aggregate_pixels(golden["kernel_labels"], predicted[0] > 0, predicted[2:], 3.0)
    assert np.array_equal(grouped, golden["grouped_labels"])


def test_vectors_decide_between_touching_texts() -> None:
    text, kernel, embedding = maps_of_boxes([(4, 5, 25, 14), (26, 5, 50, 14)])
    embedding[0, :, 24:] = 5  # the two columns beside the first kernel are like the second one, which is further away
    found = find_text(text, kernel, embedding, PANDecoding())
    first, second = sorted(found, key=lambda detection: detection.polygon[:, 0].max())
    assert (first.polygon[:, 0].min(), first.polygon[:, 0].max()) == (16, 92)
    assert (second.polygon[:, 0].min(), second.polygon[:, 0].max()) == (96, 200)


def test_unlike_pixels_join_no_text() -> None:
    text, kernel, embedding = maps_of_boxes([(4, 5, 25, 14)])
    embedding[1, :, 20:] = 4
    kernel[:, 20:] = -10
    (found,) = find_text(text, kernel, embedding, PANDecoding())
    assert found.polygon[:, 0].max() == 76
    (found,) = find_text(text, kernel, embedding, PANDecoding(distance_threshold=4.1))
    assert found.polygon[:, 0].max() == 100


def test_thresholds() -> None:
    text, kernel, embedding = maps_of_boxes([(4, 5, 23, 14)])
    text[text > 0] = 0.5
    (found,) = find_text(text, kernel, embedding, PANDecoding())
    assert found.score == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-6)
    for dropping in ({"score_threshold": 0.63}, {"text_threshold": 0.63}, {"minimum_area": 201}):
        assert find_text(text, kernel, embedding, PANDecoding(**dropping)) == []  # type: ignore[arg-type]
    assert len(find_text(text, kernel, embedding, PANDecoding(minimum_area=200))) == 1
    kernel[kernel > 0] = 0.5
    assert find_text(text, kernel, embedding, PANDecoding(kernel_threshold=0.63)) == []


@pytest.mark.parametrize("value", [-100, np.nan], ids=["nothing", "not a number"])
def test_maps_without_text(value: float) -> None:
    empty = np.full((16, 16), value, np.float32)
    assert find_text(empty, empty, np.full((4, 16, 16), value, np.float32), PANDecoding()) == []


def test_thousands_of_texts() -> None:
    text = np.where(np.kron(np.ones((60, 80)), np.pad(np.ones((4, 4)), ((0, 1), (0, 1)))) > 0, 10, -10)
    text = text.astype(np.float32)
    assert len(find_text(text, text, np.zeros((4, 300, 400), np.float32), PANDecoding())) == 4800


def test_batch_of_half_precision_maps_is_decoded_image_by_image() -> None:
    images = [maps_of_boxes(boxes) for boxes in ([(4, 5, 23, 14)], [], [(4, 5, 23, 14), (30, 20, 55, 30)])]
    stacked = (torch.from_numpy(np.stack(arrays)).bfloat16().requires_grad_() for arrays in zip(*images, strict=True))
    found = decode(dict(zip(("text", "kernel", "embedding"), stacked, strict=True)), PANSettings())
    assert [len(detections) for detections in found] == [1, 0, 2]


@settings(deadline=None)
@given(
    arrays.arrays(np.int8, st.tuples(st.just(5), st.integers(1, 20), st.integers(1, 20))),
    st.sampled_from(["quad", "polygon"]),
)
def test_any_maps_give_proper_detections(values: np.ndarray, shape: str) -> None:
    text, kernel, *embedding = values.astype(np.float32)
    decoding = PANDecoding(polygon_shape=shape, minimum_area=0, score_threshold=0, distance_threshold=100)
    for found in find_text(text, kernel, np.stack(embedding), decoding):
        assert found.polygon.dtype == np.float32
        assert len(found.polygon) >= 3
        assert np.isfinite(found.polygon).all()
        assert 0 <= found.score <= 1


@settings(deadline=None, max_examples=50)
@given(large_texts(st.integers(6, 100)))
def test_perfect_maps_give_the_polygons_back(texts: tuple[np.ndarray, np.ndarray]) -> None:
    made = targets(make_sample([word(polygon) for polygon in texts], (256, 512)), PANSettings())
    found = find_text(*perfect_maps(made), PANDecoding(polygon_shape="polygon"))
    assert len(found) == 2
    for polygon in texts:
        assert max(overlap(detection.polygon, polygon) for detection in found) > 0.8


@settings(deadline=None, max_examples=50)
@given(large_texts(st.just(4)))
def test_perfect_maps_give_rectangles_back_as_quads(texts: tuple[np.ndarray, np.ndarray]) -> None:
    made = targets(make_sample([word(polygon) for polygon in texts], (256, 512)), PANSettings())
    found = find_text(*perfect_maps(made), PANDecoding())
    assert len(found) == 2
    for polygon in texts:
        assert max(overlap(detection.polygon, polygon) for detection in found) > 0.8
