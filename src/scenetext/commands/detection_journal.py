"""Detections that are kept image by image, so that a long detection that is cut short goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from scenetext.evaluation.files.json_files import format_image, parse_image
from scenetext.evaluation.files.values import PredictionError
from scenetext.structures import Detection


class DetectionJournal:
    """A file of JSON lines: first what made the detections, then one image a line. Use as a context manager.

    Args:
        path: of the file, which `remove` takes away once its content is written elsewhere.
        made_by: plain data that say how detections are made; what was made otherwise is started again.

    Attributes:
        done: detections that an earlier run made, by the paths of their images.
    """

    def __init__(self, path: Path, made_by: Mapping[str, Any]) -> None:
        self.path = path
        self.done: dict[Path, list[Detection]] = {}
        head = json.dumps(made_by)
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        goes_on = bool(lines) and lines[0] == head
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in lines[1:] if self._take(line)] if goes_on else []
        self._file = path.open("w", encoding="utf-8")
        self._file.writelines(f"{line}\n" for line in [head, *kept])
        self._file.flush()

    def __enter__(self) -> DetectionJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, image: Path, detections: list[Detection]) -> None:
        """Keeps the detections of an image."""
        self._file.write(json.dumps(format_image(image, detections)) + "\n")
        self._file.flush()

    def remove(self) -> None:
        """Takes the file away."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _take(self, line: str) -> bool:
        """Whether a line is whole; the last one of a run that was killed may not be."""
        try:
            name, detections = parse_image(json.loads(line))
        except (ValueError, PredictionError):
            return False
        self.done[Path(name)] = detections
        return True


def made_by(checkpoint: Path, overrides: list[str], score: float) -> dict[str, Any]:
    """What decides about a detector's detections, for a `DetectionJournal`."""
    status = checkpoint.stat()
    return {
        "checkpoint": [str(checkpoint.resolve()), status.st_size, status.st_mtime_ns],
        "settings": overrides,
        "score": score,
    }
