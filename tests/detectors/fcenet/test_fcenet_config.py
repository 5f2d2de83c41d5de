from __future__ import annotations

from typing import Any

import pytest

from scenetext.config import validate
from scenetext.detectors.fcenet.config import FCENetSettings
from scenetext.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"degree": 0}, "degree"),
        ({"centre_shrink": 0}, "centre_shrink"),
        ({"centre_shrinks": 0.3}, "did you mean centre_shrink"),
        ({"level_ranges": [[0, 0.4], [0.3, 0.7]]}, "level_ranges"),
        ({"level_ranges": [[0, 0.4], [0.7, 0.3], [0.6, 1]]}, "goes from 0 or more to a larger number"),
        ({"level_ranges": [[-1, 0.4], [0.3, 0.7], [0.6, 1]]}, "goes from 0 or more to a larger number"),
        ({"size_reference": "width"}, "size_reference"),
        ({"loss_weights": {"center": 1}}, "did you mean centre"),
        ({"loss_weights": {"contour_x": -1}}, "loss_weights.contour_x"),
        ({"decoding": {"score_threshold": 0}}, "decoding.score_threshold"),
        ({"decoding": {"polygon_shape": "circle"}}, "decoding.polygon_shape"),
        ({"decoding": {"points": 2}}, "decoding.points"),
        ({"pyramid_channels": 0}, "pyramid_channels"),
        ({"name": "dbnet"}, "name"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(FCENetSettings, values, "fcenet.yaml")


def test_published_settings_are_the_defaults() -> None:
    settings = FCENetSettings()
    assert settings.loss_weights.model_dump() == {"text": 1, "centre": 1, "contour_x": 1, "contour_y": 1}
    assert settings.level_ranges == ((0, 0.4), (0.3, 0.7), (0.6, 1))
    assert settings.size_reference == "height"
