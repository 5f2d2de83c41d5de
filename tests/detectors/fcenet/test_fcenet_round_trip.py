"""Text through targets and decoding: what perfect maps give back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely import Polygon

from scenetext.detectors.fcenet.config import STRIDES, FCENetSettings
from scenetext.detectors.fcenet.decode import decode
from scenetext.detectors.fcenet.targets import targets
from scenetext.structures import Detection, ImageMeta, Sample, TextInstance

CONFIG = FCENetSettings.model_validate({"decoding": {"polygon_shape": "polygon"}})


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    one, other = Polygon(first).buffer(0), Polygon(second).buffer(0)
    return float(one.intersection(other).area / one.union(other).area)


def learnt_by_heart(polygons: list[np.ndarray]) -> list[Detection]:
    """What is decoded from logits of 10 and -10 and the very coefficients of the targets, 512 x 512 pixels."""
    meta = ImageMeta(Path("drawn.png"), (512, 512), np.eye(3), (512, 512))
    instances = tuple(TextInstance(polygon.astype(np.float32), None) for polygon in polygons)
    made = targets(Sample(np.zeros((512, 512, 3), np.uint8), instances, meta), CONFIG)
    maps = {}
    for stride in STRIDES:
        for name in ("text", "centre"):
            maps[f"{name}_{stride}"] = torch.from_numpy(made[f"{name}_{stride}"])[None].float() * 20 - 10
        maps[f"contour_{stride}"] = torch.from_numpy(made[f"contour_{stride}"])[None]
    return decode(maps, CONFIG)[0]


@st.composite
def quadrangles(draw: st.DrawFn) -> np.ndarray:
    """Turned and slightly distorted rectangles, up to six times as long as high, at least 24 pixels high."""
    height = draw(st.floats(24, 60))
    length = height * draw(st.floats(1, 6))
    angle = draw(st.floats(0, 2 * np.pi))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2 * (length, height)
    corners += np.array(draw(st.lists(st.floats(-0.1, 0.1), min_size=8, max_size=8))).reshape(4, 2) * height
    turned = corners @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]) + 256
    return turned[:: draw(st.sampled_from([1, -1]))]


@st.composite
def arcs(draw: st.DrawFn) -> np.ndarray:
    """Bent texts of 8 to 40 points, up to five times as long as high, bent by at most two thirds of a half circle."""
    height, points = draw(st.floats(24, 50)), draw(st.integers(4, 20))
    length = height * draw(st.floats(2, 5))
    bend = draw(st.floats(0.3, 2 * np.pi / 3))
    angle = draw(st.floats(0, 2 * np.pi)) + np.linspace(0, bend, points)
    outward = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    radius = max(length / bend, height)
    outline = np.concatenate((outward * (radius + height / 2), outward[::-1] * (radius - height / 2)))
    return outline - outline.mean(axis=0) + 256


def is_found(polygon: np.ndarray) -> bool:
    return any(overlap(found.polygon, polygon) > 0.8 for found in learnt_by_heart([polygon]))


@given(quadrangles())
def test_quadrangles_come_back(polygon: np.ndarray) -> None:
    assert is_found(polygon)


@given(arcs())
def test_bent_text_comes_back(polygon: np.ndarray) -> None:
    assume(np.ptp(polygon, axis=0).max() < 500)
    assert is_found(polygon)


def test_neighbours_come_back_one_by_one() -> None:
    word = np.array([(0, 0), (90, 0), (90, 32), (0, 32)])
    words = [word + np.array((x, y)) for x in (10, 120, 230, 340) for y in range(10, 450, 48)]
    found = learnt_by_heart(words)
    assert len(found) == len(words) == 40
    for polygon in words:
        assert max(overlap(detection.polygon, polygon) for detection in found) > 0.8
