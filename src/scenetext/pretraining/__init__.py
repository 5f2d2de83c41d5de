"""Pre-training methods, one paper a folder that ends with a `SPEC`; a method is found by the name of its folder.

A file beside it is found by its name, and optional: `published.py` (checkpoints of its authors, for conversion).
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from types import ModuleType

from scenetext.contracts import PretrainingSpec
from scenetext.errors import ConfigError, did_you_mean


def method_names() -> tuple[str, ...]:
    """The available methods, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))


def find_method(name: str) -> PretrainingSpec:
    """The method of that name.

    Raises:
        ConfigError: there is none; the message lists those there are and suggests the nearest.
    """
    known = method_names()
    if name not in known:
        suggestion = did_you_mean(name, known)
        raise ConfigError(f"pre-training method {name!r} is unknown{suggestion} Known methods: {', '.join(known)}")
    spec: PretrainingSpec = importlib.import_module(f"{__name__}.{name}").SPEC
    return spec


def optional_file(name: str, file: str) -> ModuleType | None:
    """A module beside those of a known method, by its name; None where its folder has none."""
    module = f"{__name__}.{name}.{file}"
    return importlib.import_module(module) if importlib.util.find_spec(module) else None
