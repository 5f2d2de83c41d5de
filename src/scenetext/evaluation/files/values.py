"""Checked pieces of prediction files: names, polygons, scores, texts. What is wrong is a `PredictionError`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

LARGEST_COORDINATE = 1e7
"""Pixels; the bound of records files, and exact enough in float32."""
_IN_MESSAGE = 60


class PredictionError(Exception):
    """What is wrong with a piece of a file; becomes a DataError where the file and the line are known."""


def check_name(value: Any) -> str:
    """The name of an image: a path, a file name, or that without its suffix."""
    if type(value) is not str or not value.strip():
        raise PredictionError(f"the name of the image must be a text that is not empty, got {shown(value)}")
    return value


def check_polygon(points: Any) -> np.ndarray:
    """(V, 2) float32 from a list of [x, y] in pixels, V >= 3."""
    if type(points) is not list or len(points) < 3:
        raise PredictionError(f"a polygon is a list of at least three [x, y], got {shown(points)}")
    for point in points:
        if type(point) is not list or len(point) != 2:
            raise PredictionError(f"a point of a polygon is [x, y], got {shown(point)}")
    return polygon_of([value for point in points for value in point])


def polygon_of(coordinates: Sequence[Any]) -> np.ndarray:
    """(V, 2) float32 from x1, y1, x2, y2, ... in pixels."""
    if len(coordinates) < 6 or len(coordinates) % 2:
        raise PredictionError(
            f"a polygon has two numbers for each of at least three points, got {len(coordinates)} numbers"
        )
    for value in coordinates:
        if type(value) not in (int, float) or not abs(value) <= LARGEST_COORDINATE:
            raise PredictionError(f"{shown(value)} is not a number of pixels")
    return np.array(coordinates, dtype=np.float32).reshape(-1, 2)


def check_score(value: Any) -> float:
    """A score in [0, 1]."""
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise PredictionError(f"a score is a number from 0 to 1, got {shown(value)}")
    return float(value)


def check_text(value: Any) -> str | None:
    """A transcription, or None where the system gave none."""
    if value is not None and type(value) is not str:
        raise PredictionError(f"a text is a string or null, got {shown(value)}")
    return value


def shown(value: Any) -> str:
    """A value for a message, not too long."""
    text = ascii(value)
    return text if len(text) <= _IN_MESSAGE else f"{text[:_IN_MESSAGE]}..."
