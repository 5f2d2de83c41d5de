"""Which image of a dataset a prediction file means by a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scenetext.data.records.references import ImageNames, UnclearNameError
from scenetext.errors import DataError
from scenetext.structures import Detection


@dataclass(frozen=True, slots=True)
class AssignedPredictions:
    """The predictions of a dataset.

    Attributes:
        detections: of the images that have a result, be it empty.
        missing: images without one.
        other: names in the predictions that mean no image of the dataset.
        changed: by reason, the names that are not spelled as their images are ("<name> is <image>").
    """

    detections: Mapping[Path, list[Detection]]
    missing: tuple[Path, ...]
    other: tuple[str, ...]
    changed: Mapping[str, Sequence[str]]


def assign_predictions(
    predictions: Mapping[str, list[Detection]], images: Iterable[Path], source: Path
) -> AssignedPredictions:
    """Finds the image of every prediction by its name, which may lack the suffix: see `ImageNames`.

    Args:
        source: where the predictions come from, for messages.

    Raises:
        DataError: a name means several images, an image has two results, or no name means any image at all.
    """
    paths = list(images)
    names = ImageNames(paths)
    assigned: dict[Path, str] = {}
    other: list[str] = []
    changed: dict[str, list[str]] = {}
    for name in predictions:
        try:
            found = names.find(name)
        except UnclearNameError as fault:
            raise DataError(str(fault), source) from None
        if found is None:
            other.append(name)
            continue
        if found.path in assigned:
            raise DataError(f"holds two results for {found.path}: {assigned[found.path]} and {name}", source)
        assigned[found.path] = name
        if found.change is not None:
            changed.setdefault(found.change, []).append(f"{name} is {found.path}")
    if not assigned and paths:
        example = f"such as {other[0]}" if other else "and there are none"
        raise DataError(f"none of its names, {example}, means an image of the dataset, such as {paths[0]}", source)
    detections = {path: predictions[assigned[path]] for path in paths if path in assigned}
    missing = tuple(path for path in paths if path not in assigned)
    return AssignedPredictions(detections, missing, tuple(other), changed)
