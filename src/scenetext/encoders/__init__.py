"""Image encoders: a batch of images to feature levels. A new one is a file here that ends with a `SPEC`."""

from __future__ import annotations

import importlib
import pkgutil

from scenetext.contracts import EncoderSpec


def backbones() -> dict[str, EncoderSpec]:
    """The encoders of this folder, by name: every file with a `SPEC`. Methods bring others, see `runs.encoders`."""
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    specs: list[EncoderSpec] = [module.SPEC for module in modules if hasattr(module, "SPEC")]
    return {spec.name: spec for spec in specs}
