"""A folder of images without labels: records without text, for self-training, inspection and timing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scenetext.data.readers.files import find_images, is_sheet, natural_order
from scenetext.data.readers.labelled import Labelled, indexed_records
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import FOREIGN_SUFFIXES
from scenetext.structures import ImageRecord

OTHER = "files that are no images by their names"
FOREIGN = "images of formats that are not read; convert them to JPEG or PNG"
SHEETS = "sheets of samples beside records, which scenetext prepare drew"


def read_images(images: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """All images of a folder and its subfolders; those that cannot be read are dropped and counted.

    Raises:
        DataError: there are none, or none of them can be read.
    """
    chosen, others = find_images(images)
    for path in others:
        report.drop(FOREIGN if path.suffix.lower() in FOREIGN_SUFFIXES else OTHER, path.name)
    sheets = {path for path in chosen if is_sheet(path)}
    report.drop(SHEETS, count=len(sheets))
    ordered = sorted(set(chosen) - sheets, key=lambda path: natural_order(str(path)))
    return indexed_records([Labelled(path, None) for path in ordered], lambda _: [], images, report)


READER = Reader(
    title="images without labels",
    source="any images of your own",
    files="images in a folder or its subfolders",
    arguments=(Argument("images", "folder", "folder of the images, in itself or its subfolders"),),
    function=read_images,
    policy=OWN,
    splits={"all": Split({"images": (".",)})},
)
