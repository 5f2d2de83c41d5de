from __future__ import annotations

from typing import Any

import pytest

from scenetext.config import validate
from scenetext.detectors.dbnet.config import DBNetSettings
from scenetext.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shrink_ratio": 0}, "shrink_ratio"),
        ({"shrink_ratio": 1}, "shrink_ratio"),
        ({"shrink_ration": 0.5}, "did you mean shrink_ratio"),
        ({"threshold_low": 0.7}, "must be below threshold_high"),
        ({"loss_weights": {"treshold": 1}}, "did you mean threshold"),
        ({"loss_weights": {"binary": -1}}, "loss_weights.binary"),
        ({"decoding": {"mask_threshold": 1}}, "decoding.mask_threshold"),
        ({"decoding": {"polygon_shape": "circle"}}, "decoding.polygon_shape"),
        ({"decoding": {"maximum_candidates": 0}}, "decoding.maximum_candidates"),
        ({"level_channels": 0}, "level_channels"),
        ({"name": "psenet"}, "name"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(DBNetSettings, values, "dbnet.yaml")


def test_published_weights_are_the_defaults() -> None:
    assert DBNetSettings().loss_weights.model_dump() == {"probability": 5, "threshold": 10, "binary": 1}
