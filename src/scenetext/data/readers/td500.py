"""MSRA-TD500 (Yao et al., CVPR 2012) and HUST-TR400 (2014): images with rotated boxes around lines of text.

A ground truth `<name>.gt` lies beside its image and has a line for each text, `index difficult x y width height theta`:
the box before it is turned by theta radians about its centre (clockwise on the screen, for y runs downwards). Difficult
texts are ignored. A line of HUST-TR400 goes on with its transcription; MSRA-TD500 has none.

DB's packages of both have `<name>.JPG.txt` instead, with the corners and whether the text is difficult
(`label_lines.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from scenetext.data.readers.files import files_by_name, image_name, renamed
from scenetext.data.readers.instances import IGNORED_TEXT, Label, points_of
from scenetext.data.readers.label_lines import FIND_POINTS, line_parser
from scenetext.data.readers.labelled import pair_files, paired_records
from scenetext.data.readers.lines import read_label_lines, to_numbers
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.geometry.polygon import rotated_box
from scenetext.structures import ImageRecord

_FIELDS = 7


def read_td500(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads MSRA-TD500, images in the order of their numbers.

    Args:
        images: folder of the images.
        ground_truths: folder of the `<name>.gt` files, which may be the same; or of DB's `<name>.JPG.txt` files.

    Raises:
        DataError: images and ground truths are not pairs, or a line is broken (file and line are named).
        ImageError: an image whose size cannot be read.
    """
    return _read(images, ground_truths, parse_line, report)


def read_tr400(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads HUST-TR400, whose lines end in transcriptions; otherwise as `read_td500`."""
    return _read(images, ground_truths, parse_line_with_text, report)


def _read(
    images: Path, ground_truths: Path, parse: Callable[[str], Label], report: ReadReport
) -> Iterator[ImageRecord]:
    image_files = files_by_name(images, IMAGE_SUFFIXES)
    suffixes = {path.suffix.lower() for path in ground_truths.iterdir()}
    is_published = ".gt" in suffixes or ".txt" not in suffixes
    truth_files = files_by_name(ground_truths, frozenset({".gt" if is_published else ".txt"}))
    truth_files = renamed(truth_files, lambda name: image_name(name, image_files))
    pairs = pair_files(image_files, truth_files, str(images), str(ground_truths))
    if is_published:
        return paired_records(pairs, lambda path: read_label_lines(path, parse), report)
    return paired_records(pairs, line_parser(truth_files.values(), FIND_POINTS, report), report)


def parse_line_with_text(line: str) -> Label:
    """One text and what is written there, if that is known; ValueError says what is wrong with it."""
    fields = line.split(maxsplit=_FIELDS)
    label = parse_line(" ".join(fields[:_FIELDS]))
    text = fields[_FIELDS] if len(fields) > _FIELDS else None
    return label._replace(text=text, ignore=label.ignore or text == IGNORED_TEXT)


def parse_line(line: str) -> Label:
    """One text; ValueError says what is wrong with it."""
    fields = line.split()
    if len(fields) != _FIELDS:
        raise ValueError(f"expected index difficult x y width height theta, got {len(fields)} fields: {line!r:.80}")
    _, difficult, left, top, width, height, theta = to_numbers(fields, line)
    if difficult not in (0, 1):
        raise ValueError(f"difficult must be 0 or 1, got {fields[1]!r:.20}")
    polygon = rotated_box((left + width / 2, top + height / 2), width, height, theta)
    return Label(points_of(polygon.ravel().tolist()), ignore=bool(difficult))


_ARGUMENTS = (IMAGES, Argument("ground_truths", "folder", "folder of the .gt (or DB's .txt) files"))


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    lines = peek.lines_of(values["ground_truths"], ".gt")
    if not lines or any(len(line.split()) != _FIELDS for line in lines):
        return None
    return f"the .gt files have seven numbers a line, as in {lines[0]!r:.60}"


def _recognise_with_text(values: Mapping[str, Any], peek: Peek) -> str | None:
    lines = peek.lines_of(values["ground_truths"], ".gt")
    if all(len(line.split()) <= _FIELDS for line in lines):
        return None
    return f"the .gt files have seven numbers and a text a line, as in {lines[0]!r:.60}"


MSRA_TD500 = Reader(
    title="MSRA-TD500: 300 + 200 images with rotated boxes around lines of Chinese and English text",
    source="get it from http://www.iapr-tc11.org/mediawiki/index.php/MSRA_Text_Detection_500_Database_(MSRA-TD500), or "
    "https://pages.ucsd.edu/~ztu/publication/MSRA-TD500.zip",
    files="{train,test}/IMG_<number>.JPG, each with IMG_<number>.gt beside it; or {train,test}_images and "
    "{train,test}_gts/IMG_<number>.JPG.txt, as DB has them",
    arguments=_ARGUMENTS,
    function=read_td500,
    recognise=_recognise,
    splits={
        **{
            name: Split(
                {
                    "images": (name, f"{name}_images", f"TD500/{name}_images"),
                    "ground_truths": (name, f"{name}_gts", f"TD500/{name}_gts"),
                }
            )
            for name in ("train", "test")
        },
        "all": Split({"images": ("*.gt/..",), "ground_truths": ("*.gt/..",)}, fallback=True),
    },
)

HUST_TR400 = Reader(
    title="HUST-TR400: 400 images in the form of MSRA-TD500, added to its training set by most papers",
    source="it comes with the datasets of https://github.com/MhLiao/DB (TD_TR), there with text files instead of .gt",
    files="a folder of images, each with a .gt beside it; or train_images and train_gts/IMG_<number>.jpg.txt, as DB "
    "has them",
    arguments=_ARGUMENTS,
    function=read_tr400,
    recognise=_recognise_with_text,
    splits={
        "train": Split(
            {
                "images": ("HUST-TR400", "TR400/train_images", "train_images", "."),
                "ground_truths": ("HUST-TR400", "TR400/train_gts", "train_gts", "*.gt/.."),
            }
        )
    },
)
