from __future__ import annotations

import pytest

from scenetext.config import validate
from scenetext.detectors.textbpnpp.config import TextBPNPPSettings
from scenetext.errors import ConfigError


def test_published_settings_are_the_defaults() -> None:
    settings = TextBPNPPSettings()
    assert settings.loss_weights.model_dump() == {
        "text": 1,
        "distance": 3,
        "direction": 0.5,
        "angle": 0.5,
        "points": 0.05,
        "energy": 0.05,
    }
    assert (settings.text_loss, settings.proposal_threshold) == ("plain", 0.35)
    assert settings.jitter == pytest.approx(0.35 * 0.65)
    assert settings.attention == "points", "but for this"


@pytest.mark.parametrize("values", [{"attention": "texts"}, {"name": "textbpn"}, {"loss_weights": {"energy": -1}}])
def test_bad_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        validate(TextBPNPPSettings, values, "textbpnpp.yaml")
