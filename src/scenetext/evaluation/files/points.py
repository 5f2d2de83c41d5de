"""Points of predictions in another order than the rules expect: y before x, or quadrilaterals row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scenetext.geometry.polygon import is_valid, reordered
from scenetext.structures import Detection

_MOST = 0.5
"""Share of quadrilaterals that cross themselves from which on it is the order of points, and no fault of detections."""


def exchanged_axes(detections: Sequence[Detection]) -> list[Detection]:
    """The same detections with x and y of every point exchanged."""
    return [replace(found, polygon=found.polygon[:, ::-1]) for found in detections]


def in_outline_order(predictions: Mapping[str, list[Detection]]) -> tuple[dict[str, list[Detection]], int]:
    """The predictions with quadrilaterals in the order of their outline, and how many were not.

    Single detections that cross themselves stay as they are, for rules differ in what they make of them. Only where
    most quadrilaterals of a set cross themselves are their points listed in another order, such as top left, top right,
    bottom left, bottom right.
    """
    quadrilaterals = [one for found in predictions.values() for one in found if len(one.polygon) == 4]
    outlines = {id(one): reordered(one.polygon) for one in quadrilaterals if not is_valid(one.polygon)}
    changed = {key: outline for key, outline in outlines.items() if outline is not None}
    count = sum(id(one) in changed for one in quadrilaterals)
    if count <= _MOST * len(quadrilaterals):
        return dict(predictions), 0
    ordered = {
        name: [replace(one, polygon=changed.get(id(one), one.polygon)) for one in found]
        for name, found in predictions.items()
    }
    return ordered, count
