"""Polygons as masks in boxes: literal ones, and equal to the published ones but for the cells on the outline."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenetext.layers.region_masks import polygon_masks
from scenetext.spotters.mask_textspotter.proposals import stack_polygons
from spotting_golden import arrays_of, polygons_of

DIAMOND = [(2.0, -0.1), (4.1, 2.0), (2.0, 4.1), (-0.1, 2.0)]
BOW_TIE = [(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)]


def mask(polygon: list[tuple[float, float]], box: tuple[float, ...], cells: int = 4) -> list[str]:
    (found,) = polygon_masks(torch.tensor([polygon]), torch.tensor([box]), cells)
    return ["".join(".#"[cell] for cell in row) for row in found.tolist()]


@pytest.mark.parametrize(
    ("polygon", "box", "rows"),
    [
        (DIAMOND, (0, 0, 4, 4), [".##.", "####", "####", ".##."]),
        (DIAMOND[::-1], (0, 0, 4, 4), [".##.", "####", "####", ".##."]),
        ([*DIAMOND, *DIAMOND[-1:] * 9], (0, 0, 4, 4), [".##.", "####", "####", ".##."]),
        (DIAMOND, (2, 0, 4, 4), ["#...", "###.", "###.", "#..."]),
        (DIAMOND, (10, 10, 14, 14), ["...."] * 4),
        (DIAMOND, (1, 1, 1, 3), ["...."] * 4),
        ([(0, 0), (4, 0), (0, 0)], (0, 0, 4, 4), ["...."] * 4),
        (BOW_TIE, (0, -0.1, 4, 3.9), ["....", "#..#", "####", "#..#"]),
    ],
    ids=["diamond", "reversed", "repeated vertices", "half", "outside", "no width", "no area", "crossing itself"],
)
def test_a_cell_is_in_where_its_centre_is(
    polygon: list[tuple[float, float]], box: tuple[float, ...], rows: list[str]
) -> None:
    assert mask(polygon, box) == rows


def test_no_regions_give_no_masks() -> None:
    assert polygon_masks(torch.zeros(0, 64, 2), torch.zeros(0, 4), 7).shape == (0, 7, 7)


@pytest.mark.parametrize(("cells", "share"), [(7, 0.15), (32, 0.035), (64, 0.02)])
def test_masks_are_the_published_ones_but_for_some_cells(cells: int, share: float) -> None:
    arrays = arrays_of("roi_masks")
    polygons = stack_polygons(polygons_of(arrays))[arrays["polygon_of_box"]]
    found = polygon_masks(torch.from_numpy(polygons), torch.from_numpy(arrays["boxes"]), cells).numpy()
    differing = (found != arrays[f"masks_{cells}"]).mean(axis=(1, 2))
    assert differing.max() <= share  # of the one that crosses itself
    assert np.sort(differing)[-2] <= (0.07 if cells == 7 else 0.009)
