from __future__ import annotations

import pytest

from scenetext.config import validate
from scenetext.detectors.dbnet.config import DBNetSettings
from scenetext.detectors.dbnetpp.config import DBNetPPSettings
from scenetext.errors import ConfigError


def test_settings_are_those_of_dbnet_under_another_name() -> None:
    assert DBNetPPSettings().model_dump() == {**DBNetSettings().model_dump(), "name": "dbnetpp"}
    assert next(iter(DBNetPPSettings().model_dump())) == "name"


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean shrink_ratio"):
        validate(DBNetPPSettings, {"shrink_ration": 0.5}, "dbnetpp.yaml")
    with pytest.raises(ConfigError, match="must be below threshold_high"):
        validate(DBNetPPSettings, {"threshold_low": 0.7}, "dbnetpp.yaml")
    with pytest.raises(ConfigError, match="name"):
        validate(DBNetPPSettings, {"name": "dbnet"}, "dbnetpp.yaml")
