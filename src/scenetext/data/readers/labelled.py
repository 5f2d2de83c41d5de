"""Images with what belongs to them, to records: in pairs of files, or by a file that names the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from scenetext.data.readers.files import UNREADABLE, first_names, natural_order, with_sizes
from scenetext.data.readers.instances import Label, make_instances
from scenetext.data.readers.report import ReadReport
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord

OTHER_SIZE = "images whose size is not what their annotations say; the stored one counts"

Truth = TypeVar("Truth")


@dataclass(frozen=True, slots=True)
class Labelled(Generic[Truth]):
    """An image and what is known about it.

    Attributes:
        image: the file.
        truth: what its labels are read from.
        size: (height, width) pixels as the annotations have it; None = they do not say.
    """

    image: Path
    truth: Truth
    size: tuple[int, int] | None = None


def pair_files(
    images: Mapping[str, Path], truths: Mapping[str, Path], images_path: str, truths_path: str
) -> list[Labelled[Path]]:
    """Images and their ground-truth files, by common names, in natural order.

    Args:
        images_path, truths_path: their folders, for the message.

    Raises:
        DataError: one lacks the other; all of them are counted, the first named.
    """
    problems = []
    if without_truth := images.keys() - truths.keys():
        names = first_names(images[name].name for name in without_truth)
        problems.append(f"{len(without_truth)} images in {images_path} have no ground truth in {truths_path}: {names}")
    if without_image := truths.keys() - images.keys():
        names = first_names(truths[name].name for name in without_image)
        problems.append(f"{len(without_image)} ground truths in {truths_path} have no image in {images_path}: {names}")
    if problems:
        raise DataError("; ".join(problems))
    return [Labelled(images[name], truths[name]) for name in sorted(images, key=natural_order)]


def paired_records(
    pairs: Sequence[Labelled[Truth]], read_labels: Callable[[Truth], Sequence[Label]], report: ReadReport
) -> Iterator[ImageRecord]:
    """Records of a dataset that is complete or no dataset: a benchmark that lacks an image would give other values.

    Raises:
        ImageError: an image that is missing or whose size cannot be read.
    """
    for pair, size in with_sizes(pairs, lambda pair: pair.image, len(pairs)):
        if isinstance(size, ImageError):
            raise size
        yield _record(pair, size, read_labels, report)


def indexed_records(
    entries: Sequence[Labelled[Truth]],
    read_labels: Callable[[Truth], Sequence[Label]],
    index: Path,
    report: ReadReport,
) -> Iterator[ImageRecord]:
    """Records of the images that a file names; those that are missing or unreadable are dropped and counted.

    Args:
        index: the file, for the message.

    Raises:
        DataError: none of the images can be read.
    """
    read = 0
    first_error: ImageError | None = None
    for entry, size in with_sizes(entries, lambda entry: entry.image, len(entries)):
        if isinstance(size, ImageError):
            report.drop(UNREADABLE, entry.image.name)
            first_error = first_error or size
            continue
        read += 1
        yield _record(entry, size, read_labels, report)
    if not read:
        reason = f"first: {first_error}" if first_error else "it names none"
        raise DataError(f"none of its {len(entries)} images can be read ({reason})", index)


def _record(
    item: Labelled[Truth],
    size: tuple[int, int],
    read_labels: Callable[[Truth], Sequence[Label]],
    report: ReadReport,
) -> ImageRecord:
    report.note(OTHER_SIZE, item.image.name, count=int(item.size is not None and item.size != size))
    instances = make_instances(read_labels(item.truth), item.image.stem, report)
    return ImageRecord(item.image, size[1], size[0], instances)
