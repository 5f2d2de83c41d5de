from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskrcnn_golden import tensors
from scenetext.layers.region_pooling import on_valid_places, pool_regions, pyramid_level

STRIDES = (4, 8, 16, 32)


@pytest.mark.parametrize(
    ("width", "height", "level"),
    [
        (10, 10, 0),
        (111, 112, 0),
        (112, 112, 1),
        (28, 448, 1),
        (223, 224, 1),
        (224, 224, 2),
        (448, 448, 3),
        (5e3, 5e3, 3),
    ],
)
def test_a_box_is_looked_up_where_it_spans_fourteen_to_twenty_eight_pixels(
    width: float, height: float, level: int
) -> None:
    boxes = torch.tensor([[3.0, 7, 3 + width, 7 + height]])
    assert pyramid_level(boxes, 4).tolist() == [level]
    assert pyramid_level(boxes, 2).tolist() == [min(level, 1)]


def test_a_box_without_extent_is_looked_up_at_the_finest() -> None:
    assert pyramid_level(torch.zeros(1, 4), 4).tolist() == [0]


def ramp(size: int, stride: int) -> Tensor:
    """A level (1, 2, size, size) whose values are the x and y of the middles of its pixels, in input pixels."""
    middle = (torch.arange(size) + 0.5) * stride
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    return torch.stack((x, y))[None].float()


@pytest.mark.parametrize("side", [40.0, 150.0, 300.0, 480.0])
def test_cells_hold_their_middle_on_a_ramp(side: float) -> None:
    """Whatever the level: half a pixel is not lost, and the samples lie evenly in a cell."""
    levels = [ramp(640 // stride, stride) for stride in STRIDES]
    box = torch.tensor([[60.0, 40, 60 + side, 40 + side]])
    found = pool_regions(levels, STRIDES, box, torch.zeros(1), 4)
    middles = side * (torch.arange(4) + 0.5) / 4
    torch.testing.assert_close(found[0, 0], (60 + middles).expand(4, 4), atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(found[0, 1], (40 + middles)[:, None].expand(4, 4), atol=1e-3, rtol=1e-5)


def test_features_equal_the_published_ones() -> None:
    golden = tensors("forward")
    levels = [golden[f"fpn_{index}"] for index in range(4)]
    boxes = golden["proposals_0"][:8]
    found = pool_regions(levels, STRIDES, boxes, torch.zeros(8), 7)
    torch.testing.assert_close(found, golden["roi_features_first8"], atol=1e-4, rtol=1e-4)


def test_each_image_has_its_own_boxes_and_gradients_reach_its_levels() -> None:
    levels = [torch.zeros(2, 3, 64 // stride, 64 // stride) for stride in STRIDES]
    levels[0][1] = 5
    levels[0].requires_grad_()
    boxes = torch.tensor([[8.0, 8, 40, 24]]).repeat(3, 1)
    found = pool_regions(levels, STRIDES, boxes, torch.tensor([1, 0, 1]), 2)
    assert found[:, 0, 0, 0].tolist() == [5, 0, 5]
    found[0].sum().backward()
    gradient = levels[0].grad
    assert gradient is not None
    assert gradient[1].any()
    assert not gradient[0].any()


def test_half_precision_features_are_pooled_in_full() -> None:
    levels = [torch.ones(1, 2, 64 // stride, 64 // stride, dtype=torch.bfloat16) for stride in STRIDES]
    found = pool_regions(levels, STRIDES, torch.tensor([[8.0, 8, 40, 24]]), torch.zeros(1), 2)
    assert found.dtype == torch.float32
    assert (found == 1).all()


def some_boxes(count: int) -> Tensor:
    """Of all sizes and aspects, in the image of 256 x 160 and around it, and some that have little or no extent."""
    generator = torch.Generator().manual_seed(0)
    middle = (torch.rand(count, 2, generator=generator) * 1.4 - 0.2) * torch.tensor([256, 160])
    half = torch.exp(torch.randn(count, 2, generator=generator) * 1.2 + 3)
    odd = [[0, 0, 0, 0], [0, 0, 256, 160], [8, 8, 8, 40], [-500, 0, -400, 50], [252, 10, 400, 20], [0, 0, 256, 4]]
    return torch.vstack((torch.cat((middle - half, middle + half), dim=1), torch.tensor(odd).float()))


@pytest.mark.parametrize("cells", [7, 14])
@pytest.mark.parametrize("count", [400, 0])
def test_sums_of_pixels_are_what_the_operator_gives(cells: int, count: int) -> None:
    """The path without gradient on a CPU, compared with torchvision's RoI align."""
    generator = torch.Generator().manual_seed(1)
    levels = [torch.randn(2, 3, 160 // stride, 256 // stride, generator=generator) for stride in STRIDES]
    boxes = some_boxes(count) if count else torch.zeros(0, 4)
    image = torch.arange(len(boxes)) % 2
    expected = pool_regions(levels, STRIDES, boxes, image, cells)
    with torch.no_grad():
        found = pool_regions(levels, STRIDES, boxes, image, cells)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_only_valid_places_are_looked_at() -> None:
    seen = []

    def look(image: Tensor, place: Tensor) -> dict[str, Tensor]:
        seen.append((image.tolist(), place.tolist()))
        return {"sum": (10.0 * image + place)[:, None]}

    found = on_valid_places(torch.tensor([[True, False, True], [False, True, False]]), look)
    assert seen == [([0, 0, 1], [0, 2, 1])]
    assert found["sum"][..., 0].tolist() == [[0, 0, 2], [0, 11, 0]]
    on_valid_places(torch.zeros(2, 1) > 0, look)
    assert seen[1] == ([0], [0]), "one stands in"
