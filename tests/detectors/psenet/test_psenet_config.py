from __future__ import annotations

from typing import Any

import pytest

from scenetext.config import validate
from scenetext.detectors.psenet.config import PSENetSettings
from scenetext.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shrink_ratios": [1]}, "shrink_ratios.*ever smaller"),
        ({"shrink_ratios": [0.9, 0.5]}, "shrink_ratios.*expected 1"),
        ({"shrink_ratios": [1, 0.5, 0.6]}, "shrink_ratios.*ever smaller"),
        ({"shrink_ratios": [1, 0.5, 0]}, "shrink_ratios.*above 0"),
        ({"maximum_shrink": -1}, "maximum_shrink"),
        ({"fusion": "concat"}, "fusion"),
        ({"kernel_sampling": "hard"}, "kernel_sampling"),
        ({"loss_weights": {"kernel": 1}}, "did you mean kernels"),
        ({"decoding": {"mask_threshold": 0}}, "decoding.mask_threshold"),
        ({"decoding": {"polygon_shape": "circle"}}, "decoding.polygon_shape"),
        ({"name": "pan"}, "name"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(PSENetSettings, values, "psenet.yaml")


def test_published_weights_are_the_defaults() -> None:
    assert PSENetSettings().loss_weights.model_dump() == {"text": 0.7, "kernels": 0.3}
