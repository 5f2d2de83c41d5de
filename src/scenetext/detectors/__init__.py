"""One folder per detector, each with the same five files; a detector is found by the name of its folder."""

from __future__ import annotations

import importlib
import pkgutil

from scenetext.contracts import DetectorSpec
from scenetext.errors import ConfigError, did_you_mean


def detector_names() -> tuple[str, ...]:
    """The detectors that are there, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))


def find_detector(name: str) -> DetectorSpec:
    """The detector of that name.

    Raises:
        ConfigError: there is none; the message lists those there are and suggests the nearest.
    """
    known = detector_names()
    if name not in known:
        suggestion = did_you_mean(name, known)
        raise ConfigError(f"detector {name!r} is unknown{suggestion} Known detectors: {', '.join(known)}")
    spec: DetectorSpec = importlib.import_module(f"{__name__}.{name}").SPEC
    return spec
