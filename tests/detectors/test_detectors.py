from __future__ import annotations

import pytest

from scenetext.contracts import DetectorSpec
from scenetext.detectors import detector_names, find_detector
from scenetext.errors import ConfigError


def test_detectors_are_the_folders_on_disk() -> None:
    assert "dbnet" in detector_names()
    for name in detector_names():
        spec = find_detector(name)
        assert isinstance(spec, DetectorSpec)
        assert spec.config().name == name


def test_unknown_detector_is_named_with_the_nearest_and_all_known() -> None:
    with pytest.raises(ConfigError, match=r"'dbnett' is unknown; did you mean dbnet\? Known detectors: .*dbnet"):
        find_detector("dbnett")
    with pytest.raises(ConfigError, match=r"'yolo' is unknown\. Known detectors"):
        find_detector("yolo")
    with pytest.raises(ConfigError):
        find_detector("dbnet.config")
