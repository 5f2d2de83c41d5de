from __future__ import annotations

from typing import Any

import pytest

from scenetext.config import validate
from scenetext.detectors.textsnake.config import TextSnakeSettings
from scenetext.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 0}, "width"),
        ({"centre_shrink": 0}, "centre_shrink"),
        ({"centre_shrinks": 0.3}, "did you mean centre_shrink"),
        ({"centre_step": 0}, "centre_step"),
        ({"loss_weights": {"center": 1}}, "did you mean centre"),
        ({"loss_weights": {"radius": -1}}, "loss_weights.radius"),
        ({"decoding": {"centre_threshold": 1}}, "decoding.centre_threshold"),
        ({"decoding": {"text_threshold": 0.6}}, "decoding.text_threshold is unknown"),
        ({"decoding": {"step_share": 0}}, "decoding.step_share"),
        ({"decoding": {"polygon_shape": "circle"}}, "decoding.polygon_shape"),
        ({"name": "fcenet"}, "name"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(TextSnakeSettings, values, "textsnake.yaml")


def test_published_settings_are_the_defaults() -> None:
    settings = TextSnakeSettings()
    assert set(settings.loss_weights.model_dump().values()) == {1}
    assert (settings.width, settings.centre_step, settings.centre_shrink) == (32, 4, 0.3)
    assert settings.decoding.model_dump(exclude={"polygon_shape"}) == {
        "centre_threshold": 0.2,
        "minimum_area": 30,
        "step_share": 0.03,
        "radius_growth": 1.03,
        "merge_share": 0.03,
    }
