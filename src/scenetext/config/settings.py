"""The base of all settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticCustomError


class Settings(BaseModel):
    """A frozen group of settings that lives beside the code it sets; unknown keys are errors, defaults are checked too.

    Each field is followed by a docstring with its meaning, unit and source. Numbers are finite, and neither text nor
    truth values. Where a list of any length is expected, one value alone is a list of one; `~` in a path is the home
    folder.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="wrap")
    @classmethod
    def _check_as_given(cls, value: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if _is_list(cls.model_fields[str(info.field_name)].annotation) and _is_one(value):
            value = [value]
        checked = check(value)
        _refuse_guesses(value, checked)
        return _at_home(checked)


def _is_list(annotation: Any) -> bool:
    """Whether a field takes so many values as there are: tuple[X, ...]."""
    return get_origin(annotation) is tuple and get_args(annotation)[-1] is Ellipsis


def _is_one(value: Any) -> bool:
    return isinstance(value, str | int | float | Path | Mapping)


def _refuse_guesses(given: Any, checked: Any) -> None:
    """Refuses what pydantic makes of another type: a number of text, 1 of true, true of "yes"."""
    if isinstance(checked, tuple | list) and isinstance(given, tuple | list):
        for one, other in zip(given, checked, strict=False):
            _refuse_guesses(one, other)
        return
    if isinstance(checked, bool) != isinstance(given, bool) and isinstance(checked, bool | int | float):
        expected = "true or false" if isinstance(checked, bool) else "a number"
        raise PydanticCustomError("guess", "Input should be {expected}", {"expected": expected})
    if isinstance(checked, int | float) and isinstance(given, str):
        zeros = ", without zeros in front" if given.lstrip("-+").startswith("0") else ", without quotes"
        raise PydanticCustomError("guess", "Input should be a number{zeros}", {"zeros": zeros})


def _at_home(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_at_home, value))
    return value.expanduser() if isinstance(value, Path) else value
