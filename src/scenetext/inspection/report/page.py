"""The page itself: one HTML file that loads nothing, with its style, its script and its data inside.

Text of data (words, file names, settings) is never part of the markup: it is in a block of JSON, and the script puts it
on the page as text. A content security policy allows the page its own script and style, by their hashes, and images
that are in it; whatever else ended up on it could neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def page(title: str, content: Mapping[str, Any]) -> str:
    """The HTML of a page.

    Args:
        content: plain data for the script, see `page.js`.
    """
    style, script = (_part(name) for name in ("page.css", "page.js"))
    parts = {
        "title": escape(title),
        "policy": f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}",
        "style": style,
        "script": script,
        "content": _json_block(content),
    }
    return re.sub("@@([a-z]+)@@", lambda match: parts[match[1]], _part("page.html"))


def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """What a content security policy calls an inline script or style (CSP 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json_block(content: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element: without `<`, no text can end that element, or begin a comment."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
