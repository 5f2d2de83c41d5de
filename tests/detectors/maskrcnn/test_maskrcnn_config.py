from __future__ import annotations

from typing import Any

import pytest

from scenetext.config import validate
from scenetext.detectors.maskrcnn.config import MaskRCNNSettings
from scenetext.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"anchors": {"ratios": []}}, "anchors.ratios"),
        ({"anchors": {"ratios": [0]}}, "anchors.ratios"),
        ({"anchors": {"positive_iou": 0.2}}, "negative_iou .* is above positive_iou"),
        ({"anchors": {"scales": 4}}, "did you mean scale"),
        ({"proposals": {"count": 0}}, "proposals.count"),
        ({"boxes": {"positive_share": 0}}, "boxes.positive_share"),
        ({"ignored_text": "skipped"}, "ignored_text"),
        ({"loss_weights": {"masks": 1}}, "did you mean mask"),
        ({"loss_weights": {"mask": -1}}, "loss_weights.mask"),
        ({"decoding": {"mask_threshold": 1}}, "decoding.mask_threshold"),
        ({"decoding": {"polygon_shape": "circle"}}, "decoding.polygon_shape"),
        ({"pyramid_channels": 0}, "pyramid_channels"),
        ({"name": "dbnet"}, "name"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(MaskRCNNSettings, values, "maskrcnn.yaml")


def test_published_settings_are_the_defaults_but_for_ours() -> None:
    settings = MaskRCNNSettings()
    assert set(settings.loss_weights.model_dump().values()) == {1}
    assert settings.anchors.ratios == (0.17, 0.44, 1.13, 2.9, 7.46)
    assert (settings.ignored_text, settings.decoding.contours) == ("excluded", "largest")
