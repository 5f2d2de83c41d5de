"""The interface to OCR engines, which are external programs: an image goes in, texts come out.

As JSON, in the answers of an engine that runs as a command and in the journal, a text is

    {"text": "OPEN DAILY", "confidence": 0.97, "polygon": [[x, y], ...] | null}

with the polygon optional.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from scenetext.data.records.format import RecordError, format_instance, parse_instance
from scenetext.errors import ScenetextError
from scenetext.structures import TextInstance

_KEYS = frozenset({"text", "confidence", "polygon"})
_DECIMALS = 5


@dataclass(frozen=True, slots=True, eq=False)
class OcrText:
    """A word or a line that an engine has read.

    Attributes:
        text: what it says; blanks separate words.
        confidence: the engine's confidence, in [0, 1].
        polygon: (V, 2) float32, V >= 3, pixels of the stored image (EXIF rotation not applied); None = unknown.
    """

    text: str
    confidence: float
    polygon: np.ndarray | None = None


class OcrEngine(Protocol):
    """Reads the text of images; each worker has one of its own, which gets one image after the other."""

    def recognize(self, image: Path) -> Sequence[OcrText]:
        """The texts of an image file, in the engine's order; none is fine.

        Raises:
            ScenetextError: the engine fails on this image; it may be asked for others.
        """
        ...

    def close(self) -> None:
        """Ends what the engine has started; it is not asked again."""
        ...


def format_text(text: OcrText) -> dict[str, Any]:
    """The JSON object of a text.

    Raises:
        RecordError: `parse_text` would refuse the object.
    """
    formatted = format_instance(TextInstance(text.polygon, text.text))
    return {**formatted, "confidence": round(_check_confidence(text.confidence), _DECIMALS)}


def parse_texts(texts: Any) -> tuple[OcrText, ...]:
    """The texts that a list of JSON objects describes; those that consist of blanks alone are dropped.

    Raises:
        RecordError: says which of them is wrong, and how.
    """
    if type(texts) is not list:
        raise RecordError(f"texts must be a list, got {texts!r:.60}")
    parsed = []
    for index, text in enumerate(texts):
        try:
            if not (isinstance(text, dict) and isinstance(text.get("text"), str) and not text["text"].strip()):
                parsed.append(_parse_text(text))
        except RecordError as fault:
            raise RecordError(f"texts[{index}]: {fault}") from None
    return tuple(parsed)


def serve(engine: OcrEngine, paths: BinaryIO, answers: BinaryIO) -> None:
    """Makes a command of an engine: answers for one image after the other, until there are no more paths.

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


def _parse_text(text: Any) -> OcrText:
    if type(text) is not dict or not {"text", "confidence"} <= text.keys() <= _KEYS:
        raise RecordError(f"expected an object with text, confidence and, where known, polygon, got {text!r:.100}")
    instance = parse_instance({key: value for key, value in text.items() if key != "confidence"})
    if instance.text is None:
        raise RecordError("text must be a string, got null")
    return OcrText(instance.text, _check_confidence(text["confidence"]), instance.polygon)


def _check_confidence(confidence: Any) -> float:
    if type(confidence) not in (int, float) or not 0 <= confidence <= 1:
        raise RecordError(f"confidence must be a number from 0 to 1, got {confidence!r:.60}")
    return float(confidence)
