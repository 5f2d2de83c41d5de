"""Commands in processes of their own, each forked from one that has imported torch already: seconds less for each.

`tests/commands/test_help.py` starts every tool as a new interpreter; here it is what the commands do that counts.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    return run_function(_run_words, words, cwd, timeout=timeout)


def run_function(function: Callable[..., Any], *arguments: Any, timeout: float) -> subprocess.CompletedProcess[str]:
    """Calls a function of a module in a new process; what it printed and its exit code come back.

    Raises:
        TimeoutExpired: it ran longer than `timeout` seconds, and was ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder, name) for name in ("stdout", "stderr")]
        process = forkserver().Process(target=_call, args=(function, arguments, *printed))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired([str(argument) for argument in arguments], timeout)
        texts = [path.read_text(encoding="utf-8") for path in printed]
    return subprocess.CompletedProcess([str(argument) for argument in arguments], process.exitcode, *texts)


def _run_words(words: list[str], cwd: Path) -> None:
    os.chdir(cwd)
    sys.argv = words
    runpy.run_path(str(REPOSITORY / words[0]), run_name="__main__")


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], stdout: Path, stderr: Path) -> None:
    """The new process: as a program of its own would be, once torch is imported."""
    for descriptor, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    multiprocessing.set_start_method("fork", force=True)  # Linux' own before Python 3.14; here it is the forkserver's
    try:
        function(*arguments)
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
