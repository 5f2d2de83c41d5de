from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskrcnn_golden import IMAGES, arrays
from scenetext.detectors.maskrcnn.config import MaskRCNNDecoding
from scenetext.detectors.maskrcnn.decode import find_text, paste_mask
from scenetext.geometry.candidates import counted_cuts

PUBLISHED = MaskRCNNDecoding(contours="all")


def probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def in_image(mask: np.ndarray, corner: tuple[int, int], height: int, width: int) -> np.ndarray:
    """A pasted mask in an image of that size."""
    margin = 200
    canvas = np.zeros((height + 2 * margin, width + 2 * margin), np.uint8)
    left, top = corner[0] + margin, corner[1] + margin
    canvas[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return canvas[margin : margin + height, margin : margin + width]


def unpacked(golden: dict[str, np.ndarray], name: str) -> np.ndarray:
    count, height, width = golden[f"mask_shape_{name}"].tolist()
    return np.unpackbits(golden[f"masks_{name}"], axis=2)[:count, :height, :width]


@pytest.mark.parametrize("frame", ["input", "original"])
def test_masks_are_pasted_as_published(frame: str) -> None:
    """In the frame of the input, and in that of the original image; boxes may leave it."""
    golden = arrays("paste")
    scale = 1.0 if frame == "input" else golden["scale_factor_wh"]
    boxes = (golden["boxes"].reshape(-1, 2, 2) / scale).reshape(-1, 4).astype(np.float32)
    published = unpacked(golden, frame)
    for logits, box, expected in zip(golden["logits"], boxes, published, strict=True):
        mask, corner = paste_mask(probability(logits), box, 0.5)
        assert np.array_equal(in_image(mask, corner, *expected.shape), expected)


@pytest.mark.parametrize("shape", ["poly", "quad"])
def test_all_contours_and_holes_are_the_published_polygons(shape: str) -> None:
    golden = arrays("paste")
    counts = golden[f"num_points_{shape}"]
    published = [polygon[:count] for polygon, count in zip(golden[f"polygons_{shape}"], counts, strict=True)]
    boxes = (golden["boxes"].reshape(-1, 2, 2) / golden["scale_factor_wh"]).reshape(-1, 4)
    boxes = np.float32(boxes)
    settings = PUBLISHED.model_copy(update={"polygon_shape": "quad" if shape == "quad" else "polygon"})
    height, width = golden["mask_shape_original"][1:].tolist()
    inside = (boxes >= 0).all(axis=1) & (boxes <= np.array([width, height] * 2)).all(axis=1)
    found = find_text(boxes[inside], np.linspace(1, 0.5, inside.sum()), probability(golden["logits"][inside]), settings)
    assert len(found) >= 8
    for detection in found:
        assert any(outline_is_the_same(detection.polygon, polygon) for polygon in published)


def outline_is_the_same(found: np.ndarray, published: np.ndarray) -> bool:
    """The same vertices from the same one on, which need not be the first."""
    if len(found) != len(published):
        return False
    turns = np.abs(np.stack([np.roll(found, turn, axis=0) for turn in range(len(found))]) - published)
    return bool(turns.max(axis=(1, 2)).min() < 1e-3)


@pytest.mark.parametrize("image", IMAGES)
def test_detections_in_original_pixels_are_the_published_ones(image: int) -> None:
    golden = arrays("forward")
    boxes = (golden[f"boxes_{image}"].reshape(-1, 2, 2) / golden["scale_factor_wh"]).reshape(-1, 4).astype(np.float32)
    found = find_text(boxes, golden[f"scores_{image}"], probability(golden[f"mask_logits_{image}"]), PUBLISHED)
    counts = golden[f"num_points_{image}"]
    published = [polygon[:count] for polygon, count in zip(golden[f"polygons_{image}"], counts, strict=True)]
    assert len(found) == len(published)
    for detection, polygon, score in zip(found, published, golden[f"polygon_scores_{image}"], strict=True):
        assert np.array_equal(detection.polygon, polygon)
        assert detection.score == pytest.approx(score, abs=1e-4)


def ring_and_speck() -> np.ndarray:
    """A ring in a mask, and a speck in its corner."""
    mask = np.zeros((28, 28))
    cv2.circle(mask, (14, 14), 8, 1.0, 3)
    mask[26:28, 26:28] = 1
    return mask


def test_ours_takes_the_largest_outer_contour() -> None:
    boxes, scores = np.float32([[10, 20, 66, 76]]), np.array([0.9])
    with counted_cuts() as cuts:
        ours = find_text(boxes, scores, ring_and_speck()[None], MaskRCNNDecoding())
    assert (cuts.times, cuts.candidates) == (1, 1)
    published = find_text(boxes, scores, ring_and_speck()[None], PUBLISHED)
    assert (len(ours), len(published)) == (1, 3)
    low, high = ours[0].polygon.min(axis=0), ours[0].polygon.max(axis=0)
    assert low == pytest.approx([19.5, 29.5], abs=2)
    assert high == pytest.approx([57, 67], abs=2)


@pytest.mark.parametrize(
    ("mask", "case"),
    [(np.zeros((28, 28)), "empty"), (np.eye(28) * 0.49, "below the threshold"), (np.full((28, 28), 0.0), "nothing")],
)
def test_masks_without_text_give_no_detection(mask: np.ndarray, case: str) -> None:
    assert not find_text(np.float32([[0, 0, 40, 40]]), np.array([0.9]), mask[None], MaskRCNNDecoding()), case


def test_boxes_smaller_than_a_pixel_and_huge_ones_are_pasted() -> None:
    full = np.ones((28, 28))
    mask, corner = paste_mask(full, np.float32([5.2, 7.4, 5.4, 7.6]), 0.5)
    assert (mask.shape, corner) == ((1, 1), (5, 7))
    mask, corner = paste_mask(full, np.float32([0, 0, 2000, 30]), 0.5)
    assert mask.shape == (30, 2000)
    assert mask.mean() > 0.98, "all but the corners, where half a pixel of the mask is rounded"


def test_detections_come_best_first() -> None:
    boxes = np.float32([[0, 0, 20, 20], [40, 40, 80, 80]])
    found = find_text(boxes, np.array([0.3, 0.8]), np.ones((2, 28, 28)), MaskRCNNDecoding())
    assert [each.score for each in found] == [0.8, 0.3]
    assert found[0].polygon.min() == 40
