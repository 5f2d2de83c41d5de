from __future__ import annotations

from typing import Any

import pytest

from scenetext.config import validate
from scenetext.detectors.pan.config import PANSettings
from scenetext.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shrink_ratio": 0}, "shrink_ratio"),
        ({"shrink_ratio": 1}, "shrink_ratio"),
        ({"shrink_ratios": [1, 0.5]}, "did you mean shrink_ratio"),
        ({"maximum_shrink": -1}, "maximum_shrink"),
        ({"pyramids": 0}, "pyramids"),
        ({"pyramids": 9}, "pyramids"),
        ({"embedding_channels": 0}, "embedding_channels"),
        ({"loss_weights": {"kernels": 1}}, "did you mean kernel"),
        ({"decoding": {"distance_threshold": 0}}, "decoding.distance_threshold"),
        ({"decoding": {"polygon_shape": "circle"}}, "decoding.polygon_shape"),
        ({"name": "psenet"}, "name"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(PANSettings, values, "pan.yaml")


def test_published_weights_are_the_defaults() -> None:
    weights = PANSettings().loss_weights
    assert (weights.text, weights.kernel, weights.aggregation, weights.discrimination) == (1, 0.5, 0.25, 0.25)
    assert weights.length == pytest.approx(0.001 * 0.25)
