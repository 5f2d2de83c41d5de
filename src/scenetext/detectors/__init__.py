"""One folder per detector, each with the same five files; a detector is found by the name of its folder.

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


def detector_names() -> tuple[str, ...]:
    """The available detectors, in alphabetical order."""
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


def find_examples(name: str) -> DetectorExamples:
    """The examples of a known detector.

    Raises:
        ConfigError: it has none.
    """
    module = optional_file(name, "examples")
    if module is None:
        raise ConfigError(
            f"detector {name!r} has no detectors/{name}/examples.py, which makes perfect maps from "
            "targets; write it as DetectorExamples in contracts.py says"
        )
    examples: DetectorExamples = module.EXAMPLES
    return examples


def optional_file(name: str, file: str) -> ModuleType | None:
    """A module beside those of a known detector, by its name; None where its folder has none."""
    module = f"{__name__}.{name}.{file}"
    return importlib.import_module(module) if importlib.util.find_spec(module) else None
