"""docs/scale.md gives a table and the lines that make it; they must belong together."""

from __future__ import annotations

import re
import subprocess
import sys

from checkout import REPOSITORY


def test_table_is_what_its_lines_of_python_print() -> None:
    page = (REPOSITORY / "docs" / "scale.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 1
    done = subprocess.run([sys.executable, "-c", blocks[0]], capture_output=True, text=True, check=True, timeout=60)
    rows = done.stdout.splitlines()
    assert len(rows) == 3
    assert all(row in page.splitlines() for row in rows), done.stdout
