"""The code of boxes, what they are matched with, and which are drawn; truth tables worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator, Tensor

from scenetext.layers.boxes import (
    BACKGROUND,
    EXCLUDED,
    LARGEST_LOG_RATIO,
    clip_boxes,
    decode_boxes,
    draw_boxes,
    encode_boxes,
    match_boxes,
    mostly_inside,
)

PLAIN = (1.0, 1.0, 1.0, 1.0)
SCALED = (0.1, 0.1, 0.2, 0.2)


@pytest.mark.parametrize(
    ("wanted", "deviations", "offset", "case"),
    [
        ([0, 0, 10, 20], PLAIN, [0, 0, 0, 0], "itself"),
        ([5, 10, 15, 30], PLAIN, [0.5, 0.5, 0, 0], "moved by half of its size"),
        ([-5, 5, 15, 15], PLAIN, [0, 0, math.log(2), -math.log(2)], "twice as wide, half as high"),
        ([5, 10, 15, 30], SCALED, [5, 5, 0, 0], "moved, divided by the deviations"),
        ([-5, 5, 15, 15], SCALED, [0, 0, 5 * math.log(2), -5 * math.log(2)], "resized, divided by the deviations"),
    ],
)
def test_code(
    wanted: list[float], deviations: tuple[float, float, float, float], offset: list[float], case: str
) -> None:
    box = torch.tensor([[0.0, 0, 10, 20]])
    found = encode_boxes(box, torch.tensor([wanted]).float(), deviations)
    torch.testing.assert_close(found, torch.tensor([offset]).float(), msg=case)
    torch.testing.assert_close(decode_boxes(box, found, deviations), torch.tensor([wanted]).float(), msg=case)


def test_decoded_sizes_are_limited() -> None:
    found = decode_boxes(torch.tensor([[0.0, 0, 16, 16]]), torch.tensor([[0.0, 0, 99, -99]]), PLAIN)
    assert (found[0, 2:] - found[0, :2]).tolist() == pytest.approx([1000, 16 * 16 / 1000], rel=1e-4)
    assert pytest.approx(62.5) == math.exp(LARGEST_LOG_RATIO)


def test_no_boxes_have_no_offsets() -> None:
    nothing = torch.zeros(0, 4)
    assert encode_boxes(nothing, nothing, PLAIN).shape == decode_boxes(nothing, nothing, PLAIN).shape == (0, 4)


def test_boxes_are_cut_at_the_image() -> None:
    assert clip_boxes(torch.tensor([[-5.0, 3, 120, 60]]), height=50, width=100).tolist() == [[0, 3, 100, 50]]


# Boxes of 10 x 10 beside the text 0 to 10, by how far they are moved: IoU (10 - d) / (10 + d).
TEXT = [0.0, 0, 10, 10]


def moved(*distances: float) -> Tensor:
    return torch.tensor([[distance, 0, 10 + distance, 10] for distance in distances])


@pytest.mark.parametrize(
    ("boxes", "texts", "expected", "case"),
    [
        (moved(0, 1, 3, 8), [TEXT], [1, 1, EXCLUDED, BACKGROUND], "positive from 0.7, background below 0.3"),
        (moved(3, 8), [TEXT], [1, BACKGROUND], "the best one is taken from 0.3 on"),
        (moved(6, 8), [TEXT], [BACKGROUND, BACKGROUND], "but not below"),
        (moved(3, -3, 8), [TEXT], [1, 1, BACKGROUND], "of equally good ones all"),
        (moved(0, 2), [TEXT, [2, 0, 12, 10]], [1, 2], "each has its own"),
        (moved(1), [TEXT, [2, 0, 12, 10]], [2], "the best of two texts: of equals the last"),
        (moved(0, 8), [], [BACKGROUND, BACKGROUND], "no text"),
        (moved(), [TEXT], [], "no box"),
        (moved(0, 50), [[50, 0, 60, 10], TEXT], [2, 1], "the order of texts"),
    ],
)
@pytest.mark.parametrize("chunk", [None, 1])
def test_matching(boxes: Tensor, texts: list[list[float]], expected: list[int], case: str, chunk: int | None) -> None:
    found = match_boxes(boxes.reshape(-1, 4), torch.tensor(texts).float().reshape(-1, 4), 0.7, 0.3, 0.3, chunk)
    assert found.tolist() == expected, case


def test_matching_in_chunks_is_matching_at_once() -> None:
    torch.manual_seed(0)
    corner, size = torch.rand(400, 2) * 50, torch.rand(400, 2) * 20 + 1
    boxes = torch.cat((corner, corner + size), dim=1).round()
    at_once = match_boxes(boxes, boxes[::9], 0.6, 0.3, 0.2)
    assert torch.equal(at_once, match_boxes(boxes, boxes[::9], 0.6, 0.3, 0.2, chunk=4))
    assert {EXCLUDED, BACKGROUND, 1} <= set(at_once.tolist())


def test_boxes_mostly_in_one_area() -> None:
    areas = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [0, 0, 0, 0]])
    boxes = torch.tensor([[2.0, 2, 8, 8], [0, 0, 10, 20], [0, 0, 10, 19], [5, 0, 15, 10], [40, 0, 50, 10]])
    assert mostly_inside(boxes, areas).tolist() == [True, False, True, False, False]
    assert not mostly_inside(boxes, areas[:0]).any()


def test_drawn_are_as_many_positive_as_allowed_and_background_for_the_rest() -> None:
    matched = torch.tensor([1] * 10 + [BACKGROUND] * 50 + [EXCLUDED] * 5 + [2] * 10)
    positive, background = draw_boxes(matched, 20, 0.25, Generator().manual_seed(0))
    assert (len(positive), len(background)) == (5, 15)
    assert (matched[positive] > 0).all()
    assert (matched[background] == BACKGROUND).all()
    assert positive.tolist() == sorted(set(positive.tolist()))
    positive, background = draw_boxes(matched, 60, 0.5, Generator().manual_seed(0))
    assert (len(positive), len(background)) == (20, 40), "all that there are, and more background"
    positive, background = draw_boxes(matched[60:65], 60, 0.5, Generator().manual_seed(0))
    assert (len(positive), len(background)) == (0, 0)


def test_every_box_is_drawn_equally_often() -> None:
    generator, counts = Generator().manual_seed(0), torch.zeros(20)
    for _ in range(400):
        counts[draw_boxes(torch.zeros(20), 5, 0.5, generator)[1]] += 1
    assert counts.sum() == 2000
    assert (counts - 100).abs().max() < 45, "five standard deviations"
