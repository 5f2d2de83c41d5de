"""The settings of any encoder of this folder as one type: their `name` says which."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Tag

from scenetext.encoders import backbones


def _name_of(settings: object) -> Any:
    return settings.get("name") if isinstance(settings, Mapping) else getattr(settings, "name", None)


if TYPE_CHECKING:
    BackboneSettings = Any
else:
    BackboneSettings = Annotated[
        reduce(or_, (Annotated[spec.settings, Tag(name)] for name, spec in backbones().items())),
        Discriminator(
            _name_of,
            custom_error_type="backbone",
            custom_error_message=f"name says which encoder to build, one of {', '.join(backbones())}",
        ),
    ]
    """The settings of any encoder in `encoders`; which, says their `name`."""
