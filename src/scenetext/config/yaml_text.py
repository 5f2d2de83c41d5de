"""YAML text to plain values and back, without YAML's traps.

The words and numbers are those of YAML 1.2 (core schema): in YAML 1.1, which PyYAML reads, `yes`, `no`, `on` and `off`
are truth values, 016 is fourteen, 12:30 is 750 and 7e-4 is text. Numbers that begin with a zero stay text, which no
number setting takes. A key that a mapping has twice is an error, where YAML libraries silently drop the first.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

FAULTS = (yaml.YAMLError, ValueError, RecursionError)
"""What reading raises: PyYAML's own errors and those for bytes that are not UTF-8, numbers of thousands of digits,
nesting without end."""

_PLAIN = (
    ("bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", re.compile("^[-+]?(?:0|[1-9][0-9]*)$"), "-+0123456789"),
    (
        "float",
        re.compile(
            r"^(?:[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        "-+0123456789.",
    ),
    ("null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("merge", re.compile("^<<$"), "<"),
)
"""What a word without quotes is: the tag, the form, and how it may begin; anything else is text."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (as PyYAML declares it)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As PyYAML has it; keys that come with `<<` may be given again.

        Raises:
            ConstructorError: a key is there twice.
        """
        lines: dict[tuple[str, Any], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                problem = f"{key.value} is there twice, in lines {lines[name]} and {line}; keep one of them"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[name] = line
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (as PyYAML declares it)


for _tag, _form, _first in _PLAIN:
    for _one in (_Loader, _Dumper):
        _one.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _form, list(_first))


def parse(text: str) -> Any:
    """The plain values of YAML text.

    Raises:
        one of `FAULTS`: it is no YAML, or a mapping has a key twice.
    """
    return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)


def dump(values: Any) -> str:
    """Plain values as YAML text that `parse` reads back to equal ones."""
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def explain(error: BaseException) -> str:
    """One of `FAULTS` in a line: where, and what is wrong."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        where = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        return f"{where}: {error.problem}" + (f" ({error.context})" if error.context else "")
    return " ".join(str(error).split())
