"""What MMOCR writes: one JSON object per image, named like the image (`preds/img_1.json`).

1.x inferencers: `det_polygons` (flat lists x1, y1, x2, y2, ...), `det_scores`, and with recognition `rec_texts`. 0.x:
`boundary_result`, flat lists whose last number is the score, beside the `filename` of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scenetext.evaluation.files.values import (
    PredictionError,
    check_name,
    check_score,
    check_text,
    polygon_of,
    shown,
)
from scenetext.structures import Detection

MMOCR_KEYS = ("det_polygons", "boundary_result")


def parse_mmocr_image(content: Mapping[str, Any], name: str) -> tuple[str, list[Detection]]:
    """Name and detections of one image.

    Args:
        name: of the image, if the content does not name it.

    Raises:
        PredictionError: says what is wrong.
    """
    if "boundary_result" in content:
        boundaries = _list_of(content, "boundary_result")
        return check_name(content.get("filename", name)), [_from_boundary(boundary) for boundary in boundaries]
    polygons = _list_of(content, "det_polygons")
    scores = _list_of(content, "det_scores") if "det_scores" in content else [1.0] * len(polygons)
    texts = _list_of(content, "rec_texts") if content.get("rec_texts") else [None] * len(polygons)
    if not len(polygons) == len(scores) == len(texts):
        raise PredictionError(
            f"{len(polygons)} det_polygons, {len(scores)} det_scores and {len(texts)} rec_texts do not belong together"
        )
    found = []
    for index, (polygon, score, text) in enumerate(zip(polygons, scores, texts, strict=True)):
        try:
            found.append(Detection(polygon_of(_numbers(polygon)), check_score(score), check_text(text)))
        except PredictionError as fault:
            raise PredictionError(f"detection {index}: {fault}") from None
    return name, found


def _from_boundary(boundary: Any) -> Detection:
    numbers = _numbers(boundary)
    return Detection(polygon_of(numbers[:-1]), check_score(numbers[-1] if numbers else None))


def _numbers(value: Any) -> list[Any]:
    if type(value) is not list:
        raise PredictionError(f"expected a list of numbers, got {shown(value)}")
    return value


def _list_of(content: Mapping[str, Any], key: str) -> list[Any]:
    if type(content[key]) is not list:
        raise PredictionError(f"{key} must be a list, got {shown(content[key])}")
    return content[key]
