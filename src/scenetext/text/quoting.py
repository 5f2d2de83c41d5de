"""Texts in quotes, as the files of ICDAR's challenges write them."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r'\\(["\\])')


def unquoted(written: str) -> str:
    """A text as it is meant: `"..."` stands for its inside, with escaped marks (ICDAR 2015, task 4)."""
    return unescaped(written[1:-1]) if len(written) >= 2 and written[0] == written[-1] == '"' else written


def unescaped(inside: str) -> str:
    """What stands between quotes, with escaped quotes and backslashes as themselves."""
    return _ESCAPED.sub(r"\1", inside)
