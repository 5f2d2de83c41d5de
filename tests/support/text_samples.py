"""Samples for the tests of detectors: golden ones, drawn ones, and polygons of every kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from hypothesis import strategies as st
from shapely import Polygon
from torch import Tensor

from golden import golden_arrays
from scenetext.structures import Features, ImageMeta, Sample, TextInstance

WORD = np.array([(20, 20), (120, 20), (120, 60), (20, 60)], np.float32)


def make_sample(instances: Sequence[TextInstance], size: tuple[int, int] = (140, 160)) -> Sample:
    meta = ImageMeta(path=Path("drawn.png"), original_size=size, to_original=np.eye(3), content_size=size)
    return Sample(np.zeros((*size, 3), np.uint8), tuple(instances), meta)


def word(polygon: np.ndarray | None, ignore: bool = False) -> TextInstance:
    return TextInstance(polygon, "word", ignore)


def golden_sample(arrays: Mapping[str, np.ndarray], suffix: str = "") -> Sample:
    """The instances of a golden file with image_hw, polygons, num_points and ignored (names plus a suffix)."""
    names = (f"{name}{suffix}" for name in ("polygons", "num_points", "ignored"))
    instances = [
        word(polygon[:count], bool(ignored))
        for polygon, count, ignored in zip(*(arrays[name] for name in names), strict=True)
    ]
    height, width = arrays["image_hw"].tolist()
    return make_sample(instances, (height, width))


def golden_dbnet_batch() -> dict[str, Tensor]:
    """Published predictions and targets of DBNet for two images, float32; threshold targets are stored by image."""
    arrays = golden_arrays("detectors", "loss_db")
    drawn = [golden_arrays("detectors", f"targets_db_{layout}")["gt_thr"] for layout in ("b320", "b320x")]
    arrays["gt_thr"] = np.stack(drawn)
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}


def golden_module(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
    """Published parameters, outputs and inputs of a module."""
    arrays = golden_arrays("detectors", f"module_{name}")
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items() if key != "meta"}

    def below(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    return below("param/"), below("output/"), list(below("input/").values())


def to_mmocr(name: str, beginnings: Mapping[str, str]) -> str:
    """A parameter's name in MMOCR's words: the longest beginning that fits is replaced."""
    fitting = [ours for ours in beginnings if name == ours or name.startswith(ours + ".")]
    longest = max(fitting, key=len)
    return beginnings[longest] + name.removeprefix(longest)


def features(channels: Sequence[int], size: tuple[int, int] = (64, 96), batch: int = 2) -> Features:
    """Random levels at strides 4, 8, 16 and 32 of images of that size."""
    generator = torch.Generator().manual_seed(0)
    height, width = size
    levels = [
        torch.randn(batch, count, height // stride, width // stride, generator=generator)
        for count, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]
    return Features(tuple(levels))


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two polygons."""
    one, other = Polygon(first).buffer(0), Polygon(second).buffer(0)
    return float(one.intersection(other).area / one.union(other).area)


coordinates = st.one_of(
    st.floats(min_value=-100, max_value=300, width=32),
    st.integers(0, 60).map(float),
    st.sampled_from([-20000.0, 20000.0]),
)
wild_polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=100).map(
    lambda points: np.array(points, np.float32)
)
"""Anything: crossing themselves, either direction, repeated points, without area, far outside of the image."""


@st.composite
def wild_samples(draw: st.DrawFn) -> Sample:
    """Up to five wild polygons, some ignored, in an image of 32 to 192 pixels a side (multiples of 32)."""
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    instances = draw(st.lists(st.builds(word, wild_polygons, st.booleans()), max_size=5))
    return make_sample(instances, (32 * size[0], 32 * size[1]))


@st.composite
def large_texts(draw: st.DrawFn, vertices: st.SearchStrategy[int]) -> tuple[np.ndarray, np.ndarray]:
    """Two texts side by side in an image of 256 x 512, 20 pixels or more apart.

    Vertices lie on ellipses of axes from 72 to 200 pixels, turned by any angle, in either direction; four of them make
    rectangles of sides from 50 to 142 pixels.
    """
    texts = []
    for middle in (128, 384):
        count = draw(vertices)
        lengths = np.array(draw(st.tuples(st.floats(72, 200), st.floats(72, 200)))) / 2
        angle, turn = np.pi / 4 + np.arange(count) * 2 * np.pi / count, draw(st.floats(0, np.pi))
        ellipse = np.stack([np.cos(angle), np.sin(angle)], axis=1) * lengths
        rotation = np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
        polygon = (ellipse @ rotation + (middle, 128)).astype(np.float32)
        texts.append(polygon[::-1] if draw(st.booleans()) else polygon)
    return texts[0], texts[1]
