from __future__ import annotations

from typing import Any

import pytest

from scenetext.config import validate
from scenetext.detectors.textbpn.config import TextBPNSettings
from scenetext.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stride": 3}, "stride"),
        ({"strides": 2}, "did you mean stride"),
        ({"proposal_threshold": 1}, "proposal_threshold"),
        ({"simplification": -0.1}, "simplification"),
        ({"distance_margin": 0}, "distance_margin"),
        ({"dropout": 1}, "dropout"),
        ({"text_loss": "dice"}, "text_loss"),
        ({"loss_weights": {"energies": 1}}, "did you mean energy"),
        ({"loss_weights": {"points": -1}}, "loss_weights.points"),
        ({"decoding": {"distance_threshold": 0}}, "decoding.distance_threshold"),
        ({"decoding": {"distance_reference": "mean"}}, "decoding.distance_reference"),
        ({"decoding": {"maximum_proposals": 0}}, "decoding.maximum_proposals"),
        ({"attention": "points"}, "attention"),
        ({"name": "textbpnpp"}, "name"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(TextBPNSettings, values, "textbpn.yaml")


def test_published_settings_are_the_defaults() -> None:
    settings = TextBPNSettings()
    assert settings.loss_weights.model_dump() == {
        "text": 1,
        "distance": 3,
        "direction": 0,
        "angle": 0,
        "points": 0.05,
        "energy": 0,
    }
    assert (settings.stride, settings.proposal_threshold, settings.jitter) == (1, 0.4, pytest.approx(0.4 * 0.8))
    assert settings.decoding.distance_reference == "absolute", "but for this"
