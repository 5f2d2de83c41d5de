"""Images with what belongs to them, to records: in pairs of files, or by a file that names the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from scenetext.data.readers.files import first_names, natural_order, with_headers
from scenetext.data.readers.frames import Declared, to_stored_pixels
from scenetext.data.readers.instances import Label, make_instances
from scenetext.data.readers.references import ImageReferences
from scenetext.data.readers.report import ReadReport
from scenetext.data.records.images import ImageHeader
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord

TWICE = "images that the annotations have more than once; their labels were put together"
UNLABELLED = "images that no annotation belongs to"
UNLABELLED_KEPT = "images that no annotation belongs to, kept as images without text"

Truth = TypeVar("Truth")


@dataclass(frozen=True, slots=True)
class Labelled(Generic[Truth]):
    """An image and what is known about it.

    Attributes:
        image: the file.
        truth: what its labels are read from; None = it has none, and no text.
        size: (height, width) pixels as the annotations have it; None = they do not say.
        is_upright: was annotated with a tool that shows images upright; counts where nothing else tells the frame.
    """

    image: Path
    truth: Truth | None
    size: tuple[int, int] | None = None
    is_upright: bool = False


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
    for pair, header in with_headers(pairs, lambda pair: pair.image, len(pairs)):
        if isinstance(header, ImageError):
            raise header
        yield _record([pair], header, read_labels, report)


def unlabelled_images(references: ImageReferences, report: ReadReport) -> list[Labelled[Any]]:
    """The images in the folders of labelled ones that no annotation belongs to: counted, and kept where the policy
    keeps them.

    Raises:
        DataError: there are some, and the policy stops then.
    """
    images = references.unnamed()
    if report.policy.without_labels == "keep":
        for image in images:
            report.note(UNLABELLED_KEPT, image.name)
        return [Labelled(image, None) for image in images]
    for image in images:
        report.drop(UNLABELLED, image.name)
    if images and report.policy.without_labels == "stop":
        raise DataError(f"{UNLABELLED}: {report.dropped[UNLABELLED]}", images[0].parent)
    return []


def indexed_records(
    entries: Sequence[Labelled[Truth]],
    read_labels: Callable[[Truth], Sequence[Label]],
    index: Path,
    report: ReadReport,
) -> Iterator[ImageRecord]:
    """Records of the images that a file names, each image once; those that cannot be used are counted or an error, as
    the policy of the report says.

    Args:
        index: the file, for the message.

    Raises:
        DataError: an annotation is broken and the policy stops then; more images are skipped than it allows; or none
            of the images can be read.
    """
    images = _by_image(entries, report)
    read = 0
    for same, header in with_headers(images, lambda same: same[0].image, len(images)):
        record = None
        with report.tolerating(same[0].image.name):
            if isinstance(header, ImageError):
                raise header
            record = _record(same, header, read_labels, report)
        if record is not None:
            read += 1
            yield record
    if not read:
        reason = f"first: {report.first_fault}" if report.first_fault else "it names none"
        raise DataError(f"none of its {len(entries)} images can be read ({reason})", index)
    report.check_skipped(read)


def _by_image(entries: Sequence[Labelled[Truth]], report: ReadReport) -> list[list[Labelled[Truth]]]:
    """The entries of every image, images in the order of their first entries."""
    images: dict[Path, list[Labelled[Truth]]] = {}
    for entry in entries:
        same = images.setdefault(entry.image, [])
        same.append(entry)
        report.note(TWICE, entry.image.name, count=int(len(same) == 2))
    return list(images.values())


def _record(
    same: Sequence[Labelled[Truth]],
    header: ImageHeader,
    read_labels: Callable[[Truth], Sequence[Label]],
    report: ReadReport,
) -> ImageRecord:
    """The record of an image from all its entries; what several of them say is there once."""
    image = same[0].image
    labels: list[Label] = []
    for entry in same:
        found = [] if entry.truth is None else read_labels(entry.truth)
        stored = to_stored_pixels(found, Declared(entry.size, entry.is_upright), header, image, report)
        labels += [one for one in stored if not any(_are_equal(one, other) for other in labels)] if labels else stored
    height, width = header.size
    return ImageRecord(image, width, height, make_instances(labels, image.stem, report))


def _are_equal(one: Label, other: Label) -> bool:
    if (one.text, one.ignore) != (other.text, other.ignore):
        return False
    return one.polygon is other.polygon is None or (
        one.polygon is not None and other.polygon is not None and np.array_equal(one.polygon, other.polygon)
    )
