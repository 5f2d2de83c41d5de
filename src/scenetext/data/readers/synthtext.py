"""SynthText in the Wild (Gupta et al., CVPR 2016): 858,750 images with words drawn into them, listed in `gt.mat`.

`gt.mat` holds one cell per image in `imnames`, `wordBB`, `charBB` and `txt`. What it needs care for: the boxes of a
single word or character are 2 x 4, not 2 x 4 x 1; a text may hold several words with blanks and line ends between;
about half of the images have corners outside; some boxes have no area; two images carry the words of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenetext.data.readers.files import UNREADABLE, path_inside, with_headers
from scenetext.data.readers.matlab import Cell, CellArray
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.format import LARGEST_COORDINATE, is_encodable
from scenetext.errors import DataError, ImageError
from scenetext.geometry.polygon import clip_polygon, polygon_area
from scenetext.structures import ImageRecord, TextInstance

WRONG_IMAGES = frozenset({"67/fruits_129_18.jpg", "8/ballet_106_0.jpg"})
"""Their ground truth belongs to other images (ankush-me/SynthText, issue 199)."""
SMALLEST_AREA = 1.0
"""Square pixels inside the image below which a box is dropped; the word keeps its text."""

KEEP, SKIP = "keep", "skip"
"""What is done with the boxes of characters."""

WRONG = "images whose ground truth is known to be that of other images"
UNMATCHED = "images with another number of boxes than of words: words kept without polygon"
WITHOUT_POLYGON = "words kept without polygon, which has no area inside the image"
CUT = "polygons cut at the border of the image"
UNMATCHED_CHARACTERS = "images with another number of character boxes than of characters: kept without these boxes"
WITHOUT_CHARACTERS = "words kept without the boxes of their characters, of which one has no finite corners"


def read_synthtext(
    images: Path, ground_truths: Path, report: ReadReport, character_boxes: str = SKIP
) -> Iterator[ImageRecord]:
    """Reads the dataset, in the order of `gt.mat`.

    A word whose box is unusable keeps its text, without polygon: pre-training needs no more.

    Args:
        images: folder that holds the numbered folders 1 to 200.
        ground_truths: `gt.mat`, read as a stream.
        character_boxes: `KEEP` them, which makes records several times as long, or `SKIP` them.

    Raises:
        DataError: `gt.mat` is damaged, of another format or inconsistent (the number of the image is named), or none
            of its images can be read; or no such choice for the boxes of characters.
    """
    if character_boxes not in (KEEP, SKIP):
        raise DataError(f"--character-boxes {character_boxes}: the choices are {KEEP} and {SKIP}")
    names = ["imnames", "wordBB", "txt", *(["charBB"] if character_boxes == KEEP else [])]
    variables = [CellArray(ground_truths, name) for name in names]
    if len(set(map(len, variables))) > 1:
        counts = ", ".join(f"{variable.name} {len(variable)}" for variable in variables)
        raise DataError(f"is inconsistent: its variables have different numbers of images ({counts})", ground_truths)
    entries = (
        _entry(number, cells, images, ground_truths)
        for number, cells in enumerate(zip(*variables, strict=True), start=1)
    )
    total = len(variables[0])
    read = 0
    first_error: ImageError | None = None
    for entry, header in with_headers(entries, lambda entry: entry.path, total):
        name = entry.name
        if isinstance(header, ImageError):
            report.drop(UNREADABLE, name)
            first_error = first_error or header
            continue
        read += 1
        if name in WRONG_IMAGES:
            report.drop(WRONG, name)
            continue
        yield ImageRecord(entry.path, header.size[1], header.size[0], _instances(entry, header.size, report))
    if not read:
        reason = f"first: {first_error}" if first_error else "it names none"
        raise DataError(f"none of its {total} images can be read in {images} ({reason})", ground_truths)


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """One image of `gt.mat`: its file and its name there, words, quadrilaterals (n, 4, 2) of words and characters."""

    path: Path
    name: str
    words: list[str]
    quads: np.ndarray
    characters: np.ndarray | None


def _entry(number: int, cells: tuple[Cell, ...], images: Path, ground_truths: Path) -> _Entry:
    """One image of `gt.mat`, checked."""
    name, boxes, texts, *characters = cells
    try:
        written = "".join(_strings(name))
        path = path_inside(images, written)
        if path is None:
            raise ValueError(f"{written!r:.80} is not the name of a file in the folder of the images")
        words = [word for text in _strings(texts) for word in text.split()]
        character_quads = _quadrilaterals(characters[0], "charBB") if characters else None
        return _Entry(path, written, words, _quadrilaterals(boxes, "wordBB"), character_quads)
    except ValueError as problem:
        raise DataError(f"image {number}: {problem}", ground_truths) from None


def _strings(cell: Cell) -> tuple[str, ...]:
    if isinstance(cell, np.ndarray):
        if cell.size:
            raise ValueError(f"text is expected, got numbers of shape {cell.shape}")
        return ()
    if not all(map(is_encodable, cell)):
        raise ValueError(f"{cell!a:.60} holds half of a character (a lone surrogate)")
    return cell


def _quadrilaterals(cell: Cell, variable: str) -> np.ndarray:
    """(n, 4, 2) float32 of wordBB or charBB, which is 2 x 4 x n, or 2 x 4 for a single one."""
    if not isinstance(cell, np.ndarray):
        raise ValueError(f"{variable} holds text, expected numbers: {cell!a:.60}")
    if not cell.size:
        return np.empty((0, 4, 2), dtype=np.float32)
    array = cell[:, :, None] if cell.ndim == 2 else cell
    if array.ndim != 3 or array.shape[:2] != (2, 4):
        raise ValueError(f"{variable} has the shape {cell.shape}, expected 2 x 4 x boxes")
    with np.errstate(over="ignore"):
        return array.astype(np.float32).transpose(2, 1, 0)


def _instances(entry: _Entry, size: tuple[int, int], report: ReadReport) -> tuple[TextInstance, ...]:
    name, words, quads = entry.name, entry.words, entry.quads
    if len(quads) != len(words):
        report.note(UNMATCHED, f"{name}: {len(words)} words, {len(quads)} boxes")
        return tuple(TextInstance(None, word) for word in words)
    plain = _inside_and_convex(quads, size)
    instances = []
    for word, quad, characters, is_plain in zip(words, quads, _characters(entry, report), plain, strict=True):
        polygon = quad if is_plain else _part_inside(quad, size)
        if polygon is None:
            report.note(WITHOUT_POLYGON, f"{word} in {name}")
        elif polygon is not quad:
            report.note(CUT)
        instances.append(TextInstance(polygon, word, characters=None if polygon is None else characters))
    return tuple(instances)


def _characters(entry: _Entry, report: ReadReport) -> list[np.ndarray | None]:
    """For every word the boxes of its characters, (n, 4, 2), as they are, also outside the image."""
    unknown: list[np.ndarray | None] = [None] * len(entry.words)
    if entry.characters is None or not entry.words:
        return unknown
    ends = np.cumsum([len(word) for word in entry.words])
    if len(entry.characters) != ends[-1]:
        report.note(UNMATCHED_CHARACTERS, f"{entry.name}: {ends[-1]} characters, {len(entry.characters)} boxes")
        return unknown
    found = []
    for word, quads in zip(entry.words, np.split(entry.characters, ends[:-1]), strict=True):
        is_usable = bool((np.abs(quads) <= LARGEST_COORDINATE).all())
        if not is_usable:
            report.note(WITHOUT_CHARACTERS, f"{word} in {entry.name}")
        found.append(quads if is_usable else None)
    return found


def _inside_and_convex(quads: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(n,) bool: quadrilaterals that are kept as they are; the others take the slow path."""
    height, width = size
    inside = ((quads >= 0) & (quads <= (width, height))).all(axis=(1, 2))
    with np.errstate(invalid="ignore", over="ignore"):
        edges = np.roll(quads, -1, axis=1) - quads
        following = np.roll(edges, -1, axis=1)
        turns = edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
    # Cross products of neighbouring edges: each is twice the signed area of the triangle at its vertex.
    return inside & ((turns >= 2 * SMALLEST_AREA).all(axis=1) | (turns <= -2 * SMALLEST_AREA).all(axis=1))


def _part_inside(quad: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """What of a quadrilateral lies in the image, (V, 2) float32; None where that is less than `SMALLEST_AREA`."""
    if not np.isfinite(quad).all():
        return None
    part = clip_polygon(quad, size[1], size[0])
    if part is None or polygon_area(part) < SMALLEST_AREA:
        return None
    return quad if np.array_equal(part, quad) else part


READER = Reader(
    title="SynthText: 858,750 images with words drawn into them, with polygons and transcriptions",
    source="get it from https://www.robots.ox.ac.uk/~vgg/data/scenetext/ (SynthText.zip, 41 GB)",
    files="the unpacked folder with gt.mat and the image folders 1 to 200",
    arguments=(
        Argument("images", "folder", "folder that holds the image folders 1 to 200"),
        Argument("ground_truths", "file", "gt.mat"),
        Argument("character_boxes", "text", "boxes of characters, for Mask TextSpotter: keep or skip", SKIP),
    ),
    function=read_synthtext,
    splits={"train": Split({"images": (".",), "ground_truths": ("gt.mat",)})},
)
