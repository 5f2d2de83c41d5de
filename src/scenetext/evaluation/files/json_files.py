"""The scenetext file of detections, written by `scenetext detect`; other systems can write it, too.

One JSON object for many images, or JSON lines with one image each (`.jsonl`):

    {"images": [{"path": "a/img_1.jpg", "detections": [{"polygon": [[x, y], ...], "score": 0.93, "text": "EXIT"}]}]}

    {"path": "img_1.jpg", "detections": [{"polygon": [[x, y], ...], "score": 0.93, "text": "EXIT", "text_score": 0.8}]}

Polygons are in pixels of the original image, EXIF rotation not applied, with at least three points. `score` is from 0
to 1, and 1 if it is absent; `text` and `text_score` (of the text, also from 0 to 1) may be absent or null. An image
without detections has an empty list.
Keys beside `images` say where the file comes from, and are not read; elsewhere unknown keys are errors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scenetext.errors import did_you_mean
from scenetext.evaluation.files.values import (
    PredictionError,
    check_name,
    check_polygon,
    check_score,
    check_text,
    shown,
)
from scenetext.structures import Detection

_FRAME = "pixels of the stored image, EXIF orientation not applied"
_IMAGE_KEYS = ("path", "detections")
_DETECTION_KEYS = ("polygon", "score", "text", "text_score")


def write_detections(path: Path, detections: Mapping[Path, Sequence[Detection]]) -> None:
    """Writes the detections of several images as one JSON object, texts where there are any.

    Polygons are rounded to two decimals, scores to four.
    """
    images = [format_image(image, found, exact=False) for image, found in detections.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"frame": _FRAME, "images": images}, indent=1) + "\n", encoding="utf-8")


def format_image(image: Path, found: Sequence[Detection], exact: bool = True) -> dict[str, Any]:
    """Name and detections of one image as plain data.

    Args:
        exact: `parse_image` gives the same numbers back; False = rounded as `write_detections` does.
    """
    return {"path": str(image), "detections": [_format_detection(detection, exact) for detection in found]}


def parse_images(content: Mapping[str, Any]) -> list[tuple[str, list[Detection]]]:
    """Name and detections of every image of a whole file.

    Raises:
        PredictionError: says which image and detection is wrong, and how.
    """
    images = content["images"]
    if type(images) is not list:
        raise PredictionError(f"images must be a list, got {shown(images)}")
    parsed = []
    for index, image in enumerate(images):
        try:
            parsed.append(parse_image(image))
        except PredictionError as fault:
            raise PredictionError(f"images[{index}]: {fault}") from None
    return parsed


def parse_image(image: Any) -> tuple[str, list[Detection]]:
    """Name and detections of one image.

    Raises:
        PredictionError: as `parse_images`.
    """
    _check_keys(image, _IMAGE_KEYS, required=_IMAGE_KEYS)
    name, found = check_name(image["path"]), image["detections"]
    if type(found) is not list:
        raise PredictionError(f"detections must be a list, got {shown(found)}")
    detections = []
    for index, detection in enumerate(found):
        try:
            detections.append(_parse_detection(detection))
        except PredictionError as fault:
            raise PredictionError(f"detections[{index}] of {name}: {fault}") from None
    return name, detections


def _parse_detection(detection: Any) -> Detection:
    _check_keys(detection, _DETECTION_KEYS, required=("polygon",))
    text_score = detection.get("text_score")
    return Detection(
        check_polygon(detection["polygon"]),
        check_score(detection.get("score", 1.0)),
        check_text(detection.get("text")),
        None if text_score is None else check_score(text_score),
    )


def _format_detection(detection: Detection, exact: bool) -> dict[str, Any]:
    def number(value: float, decimals: int) -> float:
        return float(value) if exact else round(float(value), decimals)

    formatted: dict[str, Any] = {
        "polygon": [[number(x, 2), number(y, 2)] for x, y in detection.polygon],
        "score": number(detection.score, 4),
    }
    if detection.text is not None:
        formatted["text"] = detection.text
    if detection.text_score is not None:
        formatted["text_score"] = number(detection.text_score, 4)
    return formatted


def _check_keys(value: Any, known: Sequence[str], required: Sequence[str]) -> None:
    if type(value) is not dict:
        raise PredictionError(f"expected an object with the keys {', '.join(known)}, got {shown(value)}")
    for key in required:
        if key not in value:
            raise PredictionError(f"the key {key} is missing; there are: {', '.join(map(shown, value)) or 'none'}")
    for key in value:
        if key not in known:
            raise PredictionError(f"the key {shown(key)} is unknown{did_you_mean(key, known)}")
