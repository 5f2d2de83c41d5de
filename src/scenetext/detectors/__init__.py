"""One folder per detector, each with the same five files; a detector is found by the name of its folder.

Spotters that are detectors, which read what they find, are found in `spotters` likewise.

Two files beside them are found by their names, and optional: `examples.py` (small settings and perfect maps, for the
contract tests and the benchmark) and `mmocr.py` (the names of its weights in MMOCR's checkpoints, for conversion).
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from types import ModuleType

from scenetext.contracts import DetectorExamples, DetectorSpec
from scenetext.errors import ConfigError, did_you_mean

_SPOTTERS = "scenetext.spotters"
"""Package of spotters: those with a `decode.py` are detectors, the others are parts for any detector."""


def detector_names() -> tuple[str, ...]:
    """The available detectors and spotters, in alphabetical order."""
    return tuple(sorted(_packages()))


def find_detector(name: str) -> DetectorSpec:
    """The detector of that name.

    Raises:
        ConfigError: there is none; the message lists those there are and suggests the nearest.
    """
    known = detector_names()
    if name not in known:
        suggestion = did_you_mean(name, known)
        raise ConfigError(f"detector {name!r} is unknown{suggestion} Known detectors: {', '.join(known)}")
    spec: DetectorSpec = importlib.import_module(_packages()[name]).SPEC
    return spec


def find_examples(name: str) -> DetectorExamples:
    """The examples of a known detector.

    Raises:
        ConfigError: it has none.
    """
    module = optional_file(name, "examples")
    if module is None:
        folder = _packages()[name].partition(".")[2].replace(".", "/")
        raise ConfigError(
            f"detector {name!r} has no {folder}/examples.py, which makes perfect maps from "
            "targets; write it as DetectorExamples in contracts.py says"
        )
    examples: DetectorExamples = module.EXAMPLES
    return examples


def optional_file(name: str, file: str) -> ModuleType | None:
    """A module beside those of a known detector, by its name; None where its folder has none."""
    module = f"{_packages()[name]}.{file}"
    return importlib.import_module(module) if importlib.util.find_spec(module) else None


def _packages() -> dict[str, str]:
    """Name of a detector or spotter -> its package."""
    found = {module.name: f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__) if module.ispkg}
    for module in pkgutil.iter_modules(importlib.import_module(_SPOTTERS).__path__):
        package = f"{_SPOTTERS}.{module.name}"
        if module.ispkg and importlib.util.find_spec(f"{package}.decode") is not None:
            found[module.name] = package
    return found
