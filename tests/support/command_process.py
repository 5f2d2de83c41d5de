"""Commands in processes of their own, each forked from one that has imported torch already: seconds less for each.

`tests/commands/test_help.py` starts every tool as a new interpreter; here it is what the commands do that counts.
"""

from __future__ import annotations

import atexit
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from checkout import REPOSITORY
from processes import forkserver


def run_tool(
    tool: str, *arguments: object, cwd: Path = REPOSITORY, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Runs `tools/<tool>.py` with these arguments; what it printed and its exit code come back.

    Raises:
        TimeoutExpired: it ran longer than `timeout` seconds, and was ended.
    """
    words = [f"tools/{tool}.py", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder, name) for name in ("stdout", "stderr")]
        process = forkserver().Process(target=_run, args=(words, cwd, *printed))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(words, timeout)
        texts = [path.read_text(encoding="utf-8") for path in printed]
    return subprocess.CompletedProcess(words, process.exitcode, *texts)


def _run(words: list[str], cwd: Path, stdout: Path, stderr: Path) -> None:
    """The new process: as `python tools/<tool>.py ...` would be, once torch is imported."""
    os.chdir(cwd)
    for descriptor, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = words
    try:
        runpy.run_path(str(REPOSITORY / words[0]), run_name="__main__")
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
