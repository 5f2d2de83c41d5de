"""Detections that are kept image by image, so that a long detection that is cut short goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from scenetext.evaluation.files.json_files import format_image, parse_image
from scenetext.evaluation.files.values import PredictionError
from scenetext.structures import Detection

JOURNAL = "detections.partial.jsonl"
"""What the file is called, in the folder of the results."""
STORED = "detections.jsonl"
"""What the journal of a finished evaluation is called: `scenetext report` draws the detections that are in it."""
_PROBABILITIES = "character_probabilities"


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
        lines = {}
        for image, detections, line in _whole_lines(path, made_by):
            self.done[image], lines[image] = detections, line
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._file.writelines(f"{line}\n" for line in [json.dumps(made_by), *lines.values()])
        self._file.flush()

    def __enter__(self) -> DetectionJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, image: Path, detections: list[Detection]) -> None:
        """Keeps the detections of an image."""
        line = format_image(image, detections)
        probabilities = [one.character_probabilities for one in detections]
        if any(one is not None for one in probabilities):  # no part of a file for others, which have no use for it
            line[_PROBABILITIES] = [None if one is None else one.tolist() for one in probabilities]
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def remove(self) -> None:
        """Takes the file away."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def stored_detections(path: Path, made_by: Mapping[str, Any]) -> dict[Path, list[Detection]]:
    """The detections in a journal by the paths of their images; none where there is no journal, or where something else
    made them.

    Args:
        made_by: as of `DetectionJournal`.
    """
    return {image: detections for image, detections, _ in _whole_lines(path, made_by)}


def _whole_lines(path: Path, made_by: Mapping[str, Any]) -> Iterator[tuple[Path, list[Detection], str]]:
    """Image, detections and line of every whole line of a journal that has this head; the last line of a run that was
    killed may not be whole."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines or lines[0] != json.dumps(made_by):
        return
    for line in lines[1:]:
        try:
            content = json.loads(line)
            probabilities = content.pop(_PROBABILITIES, None)
            name, detections = parse_image(content)
        except (ValueError, AttributeError, PredictionError):
            continue
        yield (
            Path(name),
            [
                one if its_own is None else replace(one, character_probabilities=np.array(its_own, dtype=np.float32))
                for one, its_own in zip(detections, probabilities or [None] * len(detections), strict=True)
            ],
            line,
        )


def made_by(checkpoint: Path, overrides: list[str], score: float = 0.0) -> dict[str, Any]:
    """What decides about a detector's detections, for a `DetectionJournal`.

    Args:
        score: lower ones are dropped.
    """
    status = checkpoint.stat()
    return {
        "checkpoint": [str(checkpoint.resolve()), status.st_size, status.st_mtime_ns],
        "settings": overrides,
        "score": score,
    }


def describe_resumed(images: int) -> list[str]:
    """A line about the images whose detections an earlier run made; none where there are none."""
    if not images:
        return []
    return [f"{images} images were done already, by a run with the same detector and settings that was cut short"]
