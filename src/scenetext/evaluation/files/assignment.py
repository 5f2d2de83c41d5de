"""Which image of a dataset a prediction file means by a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath

from scenetext.errors import DataError
from scenetext.structures import Detection


@dataclass(frozen=True, slots=True)
class AssignedPredictions:
    """The predictions of a dataset.

    Attributes:
        detections: of the images that have a result, be it empty.
        missing: images without one.
        other: names in the predictions that mean no image of the dataset.
    """

    detections: Mapping[Path, list[Detection]]
    missing: tuple[Path, ...]
    other: tuple[str, ...]


def assign_predictions(
    predictions: Mapping[str, list[Detection]], images: Iterable[Path], source: Path
) -> AssignedPredictions:
    """Finds the image of every prediction: by its file name, else by its file name without the suffix; among several of
    that name by the folders above.

    Args:
        source: where the predictions come from, for messages.

    Raises:
        DataError: a name means several images, an image has two results, or no name means any image at all.
    """
    paths = list(images)
    by_name: dict[str, list[Path]] = {}
    by_stem: dict[str, list[Path]] = {}
    for path in paths:
        by_name.setdefault(path.name, []).append(path)
        by_stem.setdefault(path.stem, []).append(path)
    assigned: dict[Path, str] = {}
    other: list[str] = []
    for name in predictions:
        image = _image_of(name, by_name, by_stem, source)
        if image is None:
            other.append(name)
        elif image in assigned:
            raise DataError(f"holds two results for {image}: {assigned[image]} and {name}", source)
        else:
            assigned[image] = name
    if not assigned and paths:
        example = f"such as {other[0]}" if other else "and there are none"
        raise DataError(f"none of its names, {example}, means an image of the dataset, such as {paths[0]}", source)
    detections = {path: predictions[assigned[path]] for path in paths if path in assigned}
    return AssignedPredictions(detections, tuple(path for path in paths if path not in assigned), tuple(other))


def _image_of(
    name: str, by_name: Mapping[str, Sequence[Path]], by_stem: Mapping[str, Sequence[Path]], source: Path
) -> Path | None:
    wanted = PureWindowsPath(name)  # takes / and \
    candidates = by_name.get(wanted.name) or by_stem.get(wanted.name, ())
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    agreeing = [_common_folders(wanted, path) for path in candidates]
    best = max(agreeing)
    if agreeing.count(best) > 1:
        same = [str(path) for path, count in zip(candidates, agreeing, strict=True) if count == best]
        raise DataError(f"the name {name} may mean {' or '.join(same[:2])}; write more of its path", source)
    return candidates[agreeing.index(best)]


def _common_folders(name: PurePath, path: PurePath) -> int:
    """How many folders above the file are named alike, from the file upwards."""
    count = 0
    for one, other in zip(reversed(name.parts[:-1]), reversed(path.parts[:-1]), strict=False):
        if one != other:
            break
        count += 1
    return count
