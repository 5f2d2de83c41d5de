"""The other side of `command_engine`: any engine in Python as a command that reads paths and prints JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

from scenetext.acquisition.engine import OcrEngine, format_text
from scenetext.errors import ScenetextError


def serve(engine: OcrEngine, paths: BinaryIO, answers: BinaryIO) -> None:
    """Answers for one image after the other, until there are no more paths.

    Args:
        engine: what reads the images; closed at the end.
        paths: UTF-8, one a line, such as `sys.stdin.buffer`.
        answers: such as `sys.stdout.buffer`; a line of JSON each, as in `command_engine`.
    """
    try:
        for line in paths:
            path = line.decode("utf-8").rstrip("\r\n")
            answers.write(json.dumps({"path": path, **_read(engine, path)}).encode("ascii") + b"\n")
            answers.flush()
    finally:
        engine.close()


def _read(engine: OcrEngine, path: str) -> dict[str, Any]:
    try:
        return {"texts": [format_text(text) for text in engine.recognize(Path(path))]}
    except ScenetextError as error:
        return {"error": str(error)}
