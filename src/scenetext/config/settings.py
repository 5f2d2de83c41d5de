"""The base of all settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen group of settings that lives beside the code it sets; unknown keys are errors, defaults are checked too.

    Each field is followed by a docstring with its meaning, unit and source.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)
