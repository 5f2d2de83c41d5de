from __future__ import annotations

from typing import Any

import pytest

from scenetext.config import validate
from scenetext.detectors.drrg.config import DRRGSettings
from scenetext.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 0}, "width"),
        ({"center_shrink": 0.3}, "did you mean centre_shrink"),
        ({"loss_weights": {"link": 1}}, "did you mean links"),
        ({"loss_weights": {"height": -1}}, "loss_weights.height"),
        ({"components": {"maximum": 1}}, "components.maximum"),
        ({"components": {"neighbours": [8]}}, "components.neighbours"),
        ({"decoding": {"link_threshold": 1}}, "decoding.link_threshold"),
        ({"decoding": {"polygon_shape": "circle"}}, "decoding.polygon_shape"),
        ({"name": "textsnake"}, "name"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(DRRGSettings, values, "drrg.yaml")


def test_published_settings_are_the_defaults_but_for_what_it_errs_in() -> None:
    settings = DRRGSettings()
    assert set(settings.loss_weights.model_dump().values()) == {1}
    assert (settings.width, settings.centre_step, settings.centre_shrink) == (32, 8, 0.3)
    assert settings.components.neighbours == (8, 4)
    assert not settings.as_published
