"""Published values of TextBPN ("v1") and TextBPN++ ("pp"): their settings, weights by rule, and batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from golden import golden_arrays
from scenetext.detectors import find_detector, optional_file
from scenetext.structures import Sample
from scenetext.weights.mmocr import rename_prefix
from text_samples import golden_sample

FOLDER = "textbpn"
DETECTORS = {"v1": "textbpn", "pp": "textbpnpp"}
SAME_POLYGONS = tuple(map(int, cv2.__version__.split(".")[:2])) <= (4, 10)
"""Whether OpenCV fills polygons as the version did that the published values were made with: 5.0 fills a few border
pixels otherwise."""


def settings(version: str, **values: Any) -> Any:
    name = DETECTORS[version]
    return find_detector(name).config(name=name, **values)


def published_weights(module: nn.Module, version: str, arrays: Mapping[str, np.ndarray], dropped: str = "") -> None:
    """Gives the parts of a head that a golden file is about the weights that follow from its rule.

    Args:
        dropped: what the file's names lack of the published ones, in front.
    """
    names = optional_file(DETECTORS[version], "published").NAMES  # type: ignore[union-attr]
    own = {name: published(name, names).removeprefix(dropped) for name in module.state_dict()}
    own = {name: foreign for name, foreign in own.items() if foreign in arrays["weight_names"]}
    shapes = {foreign: module.state_dict()[name].shape for name, foreign in own.items()}
    weights = weights_by_rule(arrays["weight_names"], int(arrays["weight_seed"]), shapes)
    for foreign, expected in zip(arrays["weight_names"], arrays["weight_sum_and_l2"], strict=True):
        if foreign in shapes:
            value = weights[foreign].double()
            np.testing.assert_allclose((value.sum(), value.norm()), expected, rtol=1e-9, atol=1e-9)
    module.load_state_dict({name: weights[foreign] for name, foreign in own.items()}, strict=False)
    assert len(own) >= len(arrays["weight_names"]) - 2, "all but a layer that is not used"


def published(name: str, names: Mapping[str, str]) -> str:
    """The published name of a parameter of a head, without the parts it lies in."""
    foreign = rename_prefix(name, names)
    assert foreign is not None, name
    return foreign.removeprefix("fpn.").removeprefix("backbone.").removeprefix("BPN.")


def weights_by_rule(names: Iterable[str], seed: int, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Weights of a golden file, float32, as its README says they were made."""
    weights = {}
    for number, name in enumerate(names):
        if name in shapes:
            drawn = np.random.RandomState(seed + number).standard_normal(tuple(shapes[name]))
            weights[name] = torch.from_numpy((drawn * _factor(name, shapes[name])).astype(np.float32))
            if name.endswith("running_var"):
                weights[name] = torch.from_numpy((0.5 + np.abs(drawn)).astype(np.float32))
            elif name.endswith("layer_norm.weight"):
                weights[name] = torch.from_numpy((1 + 0.2 * drawn).astype(np.float32))
    return weights


def _factor(name: str, shape: torch.Size) -> float:
    """Of the normal numbers: statistics, matrices by their inputs (the last layer enlarged), all else."""
    if name.endswith("running_mean"):
        return 0.3
    if len(shape) < 2:
        return 0.1
    inputs = shape[0] if "gconv" in name else shape[1:].numel()
    enlarged = {"prediction.6.weight": 60.0, "prediction.5.weight": 8.0}
    return enlarged.get(name.partition(".")[2], 1.0) / float(np.sqrt(inputs))


def loss_samples() -> list[Sample]:
    """The two images of the published losses."""
    arrays = golden_arrays(FOLDER, "loss")
    shared = {"image_hw": arrays["image_hw"]}
    return [
        golden_sample({**shared, **{name: arrays[f"{name}_{i}"] for name in ("polygons", "num_points", "ignored")}})
        for i in (0, 1)
    ]


def by_image(rows: Tensor, image: np.ndarray, fill: Any = 0) -> Tensor:
    """Rows (N, ...) that belong to images 0 and 1, as (2, P, ...), padded."""
    parts = [rows[torch.from_numpy(image == number)] for number in (0, 1)]
    return nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=fill)
