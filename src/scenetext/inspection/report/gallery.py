"""The images of the page about runs: small pictures, and polygons with their outcome at every score threshold."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scenetext.data.records.images import encode_image
from scenetext.data.records.shards import read_record_image
from scenetext.errors import ImageError
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.scores import ImageEvaluation
from scenetext.structures import Detection, ImageRecord

SIDES = (960, 800, 640, 512, 400, 300, 220)
"""Longer sides of pictures in pixels, from the one that is wished for to the least."""
QUALITY = 80
"""Of their JPEGs."""
DATA_URI = "data:image/jpeg;base64,"


@dataclass(frozen=True)
class GalleryImage:
    """An image and the name of the dataset that it is of."""

    record: ImageRecord
    dataset: str


@dataclass(frozen=True)
class ImageResults:
    """What a run detected in all images, and what it counts as.

    Attributes:
        evaluator: has all images of the gallery that have a result.
        detections: of those images, in original pixels.
    """

    evaluator: DetectionEvaluator
    detections: Mapping[Path, Sequence[Detection]]


def describe_image(image: GalleryImage, runs: Sequence[ImageResults | None], budget: int) -> dict[str, Any]:
    """One image of the gallery as plain data.

    Args:
        runs: a result per run of the page; None for one that was not evaluated.
        budget: bytes that its picture may take on the page; without a picture that small it has None.
    """
    record = image.record
    return {
        "name": record.path.name,
        "path": str(record.path),
        "dataset": image.dataset,
        "width": record.width,
        "height": record.height,
        "picture": _picture(record, budget),
        "truths": [
            {
                "points": None if one.polygon is None else _points(one.polygon),
                "text": one.text,
                "height": None if one.polygon is None else text_height(one.polygon),
            }
            for one in record.instances
        ],
        "runs": [None if one is None else _describe_results(record.path, one) for one in runs],
    }


def text_height(polygon: np.ndarray) -> float:
    """Shorter side of the smallest rectangle around a polygon (V, 2), in its pixels: the height of a straight word."""
    return round(float(min(cv2.minAreaRect(np.asarray(polygon, dtype=np.float32))[1])), 1)


def _describe_results(path: Path, results: ImageResults) -> dict[str, Any] | None:
    """Detections and outcomes of an image; None where there is no result of it."""
    evaluation = results.evaluator.images.get(path)
    if evaluation is None:
        return None
    states: list[dict[str, Any]] = []
    at = []
    for threshold in results.evaluator.thresholds:
        state = _state(evaluation, threshold)
        if not states or states[-1] != state:
            states.append(state)
        at.append(len(states) - 1)
    return {
        "detections": [
            {
                "points": _points(one.polygon),
                "score": round(one.score, 3),
                "text": one.text,
                "height": text_height(one.polygon),
            }
            for one in results.detections.get(path, ())
        ],
        "states": states,
        "at": at,
    }


def _state(evaluation: ImageEvaluation, threshold: float) -> dict[str, Any]:
    """Indices of detections and ground truths by outcome, and the number of errors, at a threshold."""
    outcome = evaluation.outcome(threshold)
    return {
        "hit": outcome.hits,
        "false": outcome.false,
        "excluded": outcome.excluded,
        "missed": outcome.missed,
        "ignored": outcome.ignored,
        "errors": round(evaluation.at(threshold).errors, 2),
    }


def _picture(record: ImageRecord, budget: int) -> str | None:
    """The image as a data URI of at most so many bytes, as large as that allows; None where it cannot be read."""
    try:
        pixels = read_record_image(record)
    except ImageError:
        return None
    longer = max(pixels.shape[:2])
    for side in SIDES:
        scale = min(1.0, side / longer)
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        content = encode_image(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), Path("picture.jpg"), QUALITY)
        uri = DATA_URI + base64.b64encode(content).decode("ascii")
        if len(uri) <= budget:
            return uri
    return None


def _points(polygon: np.ndarray) -> str:
    """Points of an SVG polygon, rounded to a tenth of a pixel."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in polygon.tolist())
