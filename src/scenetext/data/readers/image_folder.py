"""A folder of images without labels: records without text, for self-training, inspection and timing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.files import files_below, find_images, is_sheet, natural_order
from scenetext.data.readers.labelled import Labelled, indexed_records
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import FOREIGN_SUFFIXES, IMAGE_SUFFIXES
from scenetext.structures import ImageRecord

OTHER = "files that are no images by their names"
FOREIGN = "images of formats that are not read; convert them to JPEG or PNG"
SHEETS = "sheets of samples beside records, which scenetext prepare drew"
_LABEL_SUFFIXES = frozenset({".txt", ".json", ".jsonl", ".xml", ".csv", ".tsv", ".mat", ".gt", ".vott", ".lif", ".pkl"})
_NOTES = re.compile(r"(readme|licen[sc]e|copying|notes?)\b", re.IGNORECASE)
"""Names of files that accompany images without labels."""


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


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    """Only where nothing could be labels: a format that no reader knows is not taken for no labels."""
    folder = values["images"]
    files = files_below(folder)
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    labels = [path for path in files if path.suffix.lower() in _LABEL_SUFFIXES and not _NOTES.match(path.name)]
    return f"there are {len(images)} images and no file that could have labels" if images and not labels else None


READER = Reader(
    title="images without labels",
    source="any images of your own",
    files="images in a folder or its subfolders",
    arguments=(Argument("images", "folder", "folder of the images, in itself or its subfolders"),),
    function=read_images,
    policy=OWN,
    recognise=_recognise,
    splits={"all": Split({"images": (".",)})},
)
