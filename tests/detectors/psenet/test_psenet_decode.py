from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from golden import golden_arrays
from scenetext.detectors.psenet.config import PSENetDecoding, PSENetSettings
from scenetext.detectors.psenet.decode import decode, find_text, grow_kernels
from scenetext.detectors.psenet.targets import targets
from scenetext.geometry.label_regions import label_components
from text_samples import large_texts, make_sample, overlap, word

PUBLISHED_RUNS: dict[str, dict[str, Any]] = {
    "poly": {},
    "quad": {"polygon_shape": "quad"},
    "poly_minkernel0.85_area3_score0.95": {"mask_threshold": 0.85, "minimum_kernel_area": 3, "score_threshold": 0.95},
}


HANGING_TIP = np.array(
    [
        *[(88, 191), (75, 195), (63, 195), (55, 193), (49, 189), (47, 181), (48, 172), (52, 161), (59, 148), (69, 135)],
        *[(82, 121), (96, 108), (112, 95), (128, 84), (145, 74), (160, 67), (175, 63), (187, 60), (197, 61), (204, 65)],
        *[(209, 71), (209, 79), (207, 89), (201, 101), (192, 115), (181, 128), (167, 142), (152, 155), (136, 167)],
        *[(120, 177), (103, 185)],
    ],
    np.float32,
)
"""An ellipse whose smallest kernel has a pixel that touches the others by a corner, at a quarter of the size."""


def perfect_maps(level: np.ndarray) -> np.ndarray:
    """Targets (H, W) as the logits of a perfect head, (7, H / 4, W / 4)."""
    return np.where(level[::4, ::4] > np.arange(7)[:, None, None], 10, -10).astype(np.float32)


def logits_of_boxes(boxes: list[tuple[int, int, int, int]]) -> np.ndarray:
    """(7, 40, 60): logits of 10 in boxes (left, top, right, bottom; ends included), the same in all maps, else -10."""
    logits = np.full((7, 40, 60), -10, np.float32)
    for left, top, right, bottom in boxes:
        logits[:, top : bottom + 1, left : right + 1] = 10
    return logits


@pytest.mark.parametrize(("layout", "counts"), [("a640", (13, 13, 14)), ("b320", (8, 8, 9))])
@pytest.mark.parametrize("run", range(3), ids=PUBLISHED_RUNS)
def test_published_detections_contain_those_of_scenetext(layout: str, counts: tuple[int, ...], run: int) -> None:
    golden = golden_arrays("detectors", f"post_pse_{layout}")
    name, decoding = list(PUBLISHED_RUNS.items())[run]
    found = find_text(golden["pred"].astype(np.float32), PSENetDecoding(progressive=False, **decoding))
    # MMOCR 1.x keeps what is large OR confident, which drops next to nothing; scenetext, as 0.x, what is large AND
    # confident: 13 of the 23 polygons and 27 quads of a640. The strict run has nothing that only one of the two drops.
    assert len(found) == counts[run]
    published = [
        (polygon[:count], score)
        for polygon, count, score in zip(
            golden[f"{name}_polygons"], golden[f"{name}_num_points"], golden[f"{name}_scores"], strict=True
        )
    ]
    for one in found:
        like = [polygon for polygon, score in published if abs(one.score - score) < 1e-4]
        (same,) = (polygon for polygon in like if overlap(one.polygon, polygon) > 0.99)
        if decoding.get("polygon_shape") != "quad":
            assert one.polygon.tolist() == same.tolist()


@pytest.mark.parametrize("layout", ["a640", "b320"])
def test_masks_labels_and_expansion_equal_published_ones(layout: str) -> None:
    golden = golden_arrays("detectors", f"post_pse_{layout}")
    labels = label_components(golden["kernel_masks"][-1])
    assert np.array_equal(labels, golden["kernel_labels"])
    assert np.array_equal(grow_kernels(labels, golden["kernel_masks"], False), golden["expanded_labels"])


def test_kernels_keep_touching_texts_apart() -> None:
    logits = logits_of_boxes([(4, 5, 50, 24)])
    logits[1:, 13:17] = -10
    upper, lower = sorted(find_text(logits, PSENetDecoding()), key=lambda found: found.polygon[:, 1].max())
    assert (upper.polygon.min(axis=0).tolist(), upper.polygon.max(axis=0).tolist()) == ([16, 20], [200, 56])
    assert (lower.polygon.min(axis=0).tolist(), lower.polygon.max(axis=0).tolist()) == ([16, 60], [200, 96])


def test_thresholds() -> None:
    logits = logits_of_boxes([(4, 5, 23, 14)])
    logits[0, 5:15, 4:24] = 0.5
    (found,) = find_text(logits, PSENetDecoding())
    assert found.score == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-6)
    assert find_text(logits, PSENetDecoding(score_threshold=0.63)) == []
    assert find_text(logits, PSENetDecoding(mask_threshold=0.63)) == []
    assert len(find_text(logits, PSENetDecoding(minimum_area=200, minimum_kernel_area=200))) == 1
    assert find_text(logits, PSENetDecoding(minimum_area=201)) == []
    assert find_text(logits, PSENetDecoding(minimum_kernel_area=201)) == []


def test_kernels_outside_of_the_text_do_not_count() -> None:
    logits = logits_of_boxes([(4, 5, 23, 14)])
    logits[1:, 30:38, 30:50] = 10
    assert len(find_text(logits, PSENetDecoding())) == 1


@pytest.mark.parametrize("value", [-100, np.nan], ids=["nothing", "not a number"])
def test_maps_without_text(value: float) -> None:
    assert find_text(np.full((7, 16, 16), value, np.float32), PSENetDecoding()) == []


def test_thousands_of_texts() -> None:
    logits = np.full((7, 300, 400), -10, np.float32)
    cells = np.kron(np.ones((60, 80)), np.pad(np.ones((4, 4)), ((0, 1), (0, 1))))
    logits[:, cells > 0] = 10
    assert len(find_text(logits, PSENetDecoding())) == 4800


def test_batch_of_half_precision_maps_is_decoded_image_by_image() -> None:
    images = [[(4, 5, 23, 14)], [], [(4, 5, 23, 14), (30, 20, 55, 30)]]
    maps = {"kernels": torch.from_numpy(np.stack([logits_of_boxes(boxes) for boxes in images])).bfloat16()}
    found = decode({"kernels": maps["kernels"].requires_grad_()}, PSENetSettings())
    assert [len(detections) for detections in found] == [1, 0, 2]


@settings(deadline=None)
@given(
    arrays.arrays(np.int8, st.tuples(st.just(4), st.integers(1, 20), st.integers(1, 20))),
    st.sampled_from(["quad", "polygon"]),
    st.booleans(),
)
def test_any_maps_give_proper_detections(values: np.ndarray, shape: str, progressive: bool) -> None:
    decoding = PSENetDecoding(polygon_shape=shape, minimum_area=0, score_threshold=0, progressive=progressive)
    for found in find_text(values.astype(np.float32), decoding):
        assert found.polygon.dtype == np.float32
        assert len(found.polygon) >= 3
        assert np.isfinite(found.polygon).all()
        assert 0 <= found.score <= 1


@settings(deadline=None, max_examples=50)
@given(large_texts(st.integers(6, 100)), st.booleans())
@example((HANGING_TIP, HANGING_TIP + np.array((256, 0), np.float32)), False)
def test_perfect_maps_give_the_polygons_back(texts: tuple[np.ndarray, np.ndarray], progressive: bool) -> None:
    maps = targets(make_sample([word(polygon) for polygon in texts], (256, 512)), PSENetSettings())
    # In maps of a quarter of the size the tip of a kernel may hang on by a corner, which makes it one of its own.
    found = find_text(perfect_maps(maps["level"]), PSENetDecoding(progressive=progressive, minimum_kernel_area=4))
    assert len(found) == 2
    for polygon in texts:
        assert max(overlap(detection.polygon, polygon) for detection in found) > 0.8


@settings(deadline=None, max_examples=50)
@given(large_texts(st.just(4)))
def test_perfect_maps_give_rectangles_back_as_quads(texts: tuple[np.ndarray, np.ndarray]) -> None:
    maps = targets(make_sample([word(polygon) for polygon in texts], (256, 512)), PSENetSettings())
    found = find_text(perfect_maps(maps["level"]), PSENetDecoding(polygon_shape="quad"))
    assert len(found) == 2
    for polygon in texts:
        assert max(overlap(detection.polygon, polygon) for detection in found) > 0.8
