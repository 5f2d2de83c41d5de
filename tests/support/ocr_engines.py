"""A made-up OCR engine, as a command: what it does with an image depends on the name of the image."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

PROGRAM = """
import json, os, sys, time
from pathlib import Path

log = Path(sys.argv[1])  # one line for every path that was asked for
pause = float(sys.argv[2])
for line in sys.stdin:
    path = line.rstrip("\\n")
    with log.open("a") as file:
        file.write(f"{os.getpid()} {path}\\n")
    time.sleep(pause)
    stem = Path(path).stem
    answer = {"path": path, "texts": []}
    if "crash" in stem:
        sys.exit("no memory left for " + stem)
    if "hang" in stem:
        time.sleep(60)
    if "garbage" in stem:
        print("Loading the model ...", flush=True)
        continue
    if "other" in stem:
        answer["path"] = path + ".jpg"
    if "refuse" in stem:
        answer = {"path": path, "error": "too dark"}
    elif "badpolygon" in stem:
        answer["texts"] = [{"text": "WORD", "confidence": 0.5, "polygon": [[1, 2]]}]
    elif "toosure" in stem:
        answer["texts"] = [{"text": "WORD", "confidence": 1.5}]
    else:
        words = stem.split("-")  # WORD_97-OTHER_50
        pairs = [word.rsplit("_", 1) for word in words if "_" in word]
        answer["texts"] = [{"text": text.replace("+", " "), "confidence": int(sure) / 100} for text, sure in pairs]
        if Path(path).parent.name == "placed":
            answer["texts"][0]["polygon"] = [[1, 2], [9, 2], [9, 8.5], [1, 8]]
    print(json.dumps(answer), flush=True)
    if "chatty" in stem:
        print("done", flush=True)
"""


class MadeUpEngine:
    """The program and the log of what it was asked for."""

    def __init__(self, folder: Path, pause: float = 0) -> None:
        self.program, self._log = folder / "engine.py", folder / "asked.txt"
        self.program.write_text(PROGRAM)
        self._log.touch()
        self.command = [sys.executable, "-S", str(self.program), str(self._log), str(pause)]

    def asked(self) -> list[str]:
        """Names of the images it was asked for, one after the other."""
        return [Path(line.split(" ", 1)[1]).name for line in self._log.read_text().splitlines()]

    def processes(self) -> list[str]:
        """Which process was asked, at each time."""
        return [line.split(" ", 1)[0] for line in self._log.read_text().splitlines()]


def write_grey_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((12, 20, 3), 128, dtype=np.uint8))
    return path
