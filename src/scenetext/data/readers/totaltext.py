"""Total-Text (Ch'ng and Chan, ICDAR 2017): images with polygons around words, many of them curved.

Its ground truth comes as MATLAB files (`polygt`, a row for each word: "x:", xs, "y:", ys, text, orientation), as text
files (`totaltext_text.py`), and in DB's package as lines of points and text (`label_lines.py`). One training image is
`img61.JPG`, in capitals, and one test image has an EXIF rotation: polygons are on the stored pixels.

Two flags say what is ignored: `#` as orientation (342 of 2,546 test words, 2,204 count) and `#` as text (331, 2,215
count). The records keep both, and evaluation rules read theirs; what is learnt follows the one that is chosen. DB's
package has the second flag alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.data.readers.files import files_by_name, image_name, renamed
from scenetext.data.readers.instances import Label, points_of
from scenetext.data.readers.label_lines import ANY_POINTS, line_parser
from scenetext.data.readers.labelled import pair_files, paired_records
from scenetext.data.readers.lines import text_lines
from scenetext.data.readers.matlab import Cell, CellArray
from scenetext.data.readers.peek import Peek, files_with
from scenetext.data.readers.reader import IMAGES, Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.readers.totaltext_text import BY_ORIENTATION, flagged_label, read_text_file
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

IGNORE_FLAGS = (BY_ORIENTATION, "text")
BY_ORIENTATION_ALONE = "words whose text is known, ignored by their orientation alone"
KEPT = "words kept although their orientation is #, since their text is known"

_COLUMNS = 5
"""Of polygt that must be there; the sixth is the orientation."""


def read_totaltext(
    images: Path, ground_truths: Path, report: ReadReport, ignore_by: str = BY_ORIENTATION
) -> Iterator[ImageRecord]:
    """Reads the dataset, images in the order of their numbers.

    Args:
        images: folder of the images.
        ground_truths: folder of the `poly_gt_<name>` or `gt_<name>` files, .mat or .txt, or `<name>.jpg.txt`.
        ignore_by: the flag by which words are ignored, one of `IGNORE_FLAGS`.

    Raises:
        DataError: no such flag; images and ground truths are not pairs, or a ground truth is broken (file and row or
            line are named).
        ImageError: an image whose size cannot be read.
    """
    if ignore_by not in IGNORE_FLAGS:
        raise DataError(f"--ignore-by {ignore_by}: Total-Text's flags are {' and '.join(IGNORE_FLAGS)}")
    image_files = files_by_name(images, IMAGE_SUFFIXES)
    truth_files = files_by_name(ground_truths, frozenset({".mat", ".txt"}))
    truth_files = renamed(truth_files, lambda name: image_name(name, image_files))
    pairs = pair_files(image_files, truth_files, str(images), str(ground_truths))
    parsers = {path: _parser(path) for path in truth_files.values()}
    read_lines = line_parser([path for path, parser in parsers.items() if parser is None], ANY_POINTS, report)

    def read_labels(path: Path) -> list[Label]:
        return _heeding((parsers[path] or read_lines)(path), ignore_by, path.name, report)

    return paired_records(pairs, read_labels, report)


def _heeding(labels: Sequence[Label], flag: str, name: str, report: ReadReport) -> list[Label]:
    """The labels ignored by the chosen flag where two disagree; those are counted."""
    disagreeing = sum(label.ignore_flag is not None for label in labels)
    report.note(BY_ORIENTATION_ALONE if flag == BY_ORIENTATION else KEPT, name, disagreeing)
    return [
        label if label.ignore_flag is None else label._replace(ignore=label.ignore_flag == flag) for label in labels
    ]


def _parser(path: Path) -> Callable[[Path], list[Label]] | None:
    """What reads a file, by its suffix and its first line; None = it is one of DB's."""
    if path.suffix.lower() == ".mat":
        return _read_matlab
    _, first_line = next(text_lines(path), (1, ""))
    return None if first_line[:1].isdigit() or first_line.startswith("-") else read_text_file


def _read_matlab(path: Path) -> list[Label]:
    array = CellArray(path, "polygt")
    cells = list(array)
    if not cells:
        return []
    rows = array.shape[0]
    if len(array.shape) != 2 or array.shape[1] < _COLUMNS:
        raise DataError(f"polygt has the shape {array.shape}, expected a row of 5 or 6 cells for each word", path)
    labels = []
    for row in range(rows):
        try:
            labels.append(_label(cells[row::rows]))
        except ValueError as problem:
            raise DataError(f"polygt, row {row + 1}: {problem}", path) from None
    return labels


def _label(cells: list[Cell]) -> Label:
    x, y = _numbers(cells[1]), _numbers(cells[3])
    if len(x) != len(y):
        raise ValueError(f"has {len(x)} x for {len(y)} y")
    text = _text(cells[4])
    orientation = _text(cells[5]) if len(cells) > _COLUMNS else ""
    points = points_of([number for point in zip(x, y, strict=True) for number in point])
    return flagged_label(points, text, orientation)


def _numbers(cell: Cell) -> list[float]:
    if not isinstance(cell, np.ndarray):
        raise ValueError(f"has text where coordinates are expected: {cell!a:.60}")
    return cell.ravel().tolist()


def _text(cell: Cell) -> str:
    """The one row of a character matrix; MATLAB's empty array is an empty text."""
    if isinstance(cell, np.ndarray):
        if cell.size:
            raise ValueError(f"has numbers of shape {cell.shape} where text is expected")
        return ""
    if len(cell) > 1:
        raise ValueError(f"has {len(cell)} lines of text, expected one: {cell!a:.60}")
    return "".join(cell).strip()


def _split(name: str, other_name: str) -> Split:
    truths = ("Groundtruth/Polygon", "groundtruth_polygonal_annotation", "Annotation/*polygon*", "Polygon")
    texts = ("Groundtruth/Text", "txt_format", "Groundtruth/Text/Legacy/txt_format", "Annotation", "gt", "gts")
    return Split(
        {
            "images": (f"Images/{name}", f"imgs/{other_name}", f"{name}/images", f"{name}_images"),
            "ground_truths": (
                *(f"{folder}/{name}" for folder in (*truths, *texts)),
                f"annotations/{other_name}",
                f"{name}/gts",
                f"{name}_gts",
            ),
        }
    )


def _recognise(values: Mapping[str, Any], peek: Peek) -> str | None:
    folder = values["ground_truths"]
    if not (peek.lines_of(folder, ".txt") or [""])[0].startswith("x:") and not files_with(folder, ".mat"):
        return None
    return "the ground truths are MATLAB files or lines of x: and y:, as those of Total-Text are"


_ALL = Split(
    {"images": ("images", "imgs"), "ground_truths": ("gts", "gt", "groundtruth", "annotations")}, fallback=True
)

READER = Reader(
    title="Total-Text: 1,255 + 300 images with polygons around words, many of them curved",
    source="get it from https://github.com/cs-chan/Total-Text-Dataset",
    files="Images/{Train,Test}/<name>.jpg and Groundtruth/Polygon/{Train,Test}/poly_gt_<name>.mat (or .txt); or "
    "{train,test}_images and {train,test}_gts/<name>.jpg.txt, as DB has them",
    arguments=(
        IMAGES,
        Argument("ground_truths", "folder", "folder of the poly_gt_* or gt_* files, .mat or .txt"),
        Argument("ignore_by", "text", "flag by which words are ignored: orientation or text", BY_ORIENTATION),
    ),
    function=read_totaltext,
    recognise=_recognise,
    splits={"train": _split("Train", "training"), "test": _split("Test", "test"), "all": _ALL},
)
