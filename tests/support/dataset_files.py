"""Small datasets as their publishers hand them out, and reading them as the command does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from scenetext.data.readers import READERS, Finding, ReadReport
from scenetext.data.records.images import write_image
from scenetext.structures import ImageRecord

WIDTH, HEIGHT = 60, 40
QUAD = "1,2,30,2,30,12,1,12"
POINTS = [[1, 2], [30, 2], [30, 12], [1, 12]]
FLAT = [1, 2, 30, 2, 30, 12, 1, 12]
CURVE = [number for x in range(7) for number in (5 + 8 * x, 5 + x)] + [
    number for x in reversed(range(7)) for number in (5 + 8 * x, 20 + x)
]
"""14 points of a line of text, as flat list."""

IMAGE = {"id": 7, "file_name": "img_1.jpg", "width": WIDTH, "height": HEIGHT}
WORD = {"image_id": 7, "category_id": 1, "iscrowd": 0, "bbox": [1, 2, 29, 10]}
"""An image and a word of it in COCO's form."""

Read = dict[str, tuple[list[ImageRecord], ReadReport]]


def write_photo(path: Path) -> Path:
    """A picture in the format of its suffix; OpenCV cannot write .gif everywhere, Pillow can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    if path.suffix.lower() == ".gif":
        Image.fromarray(pixels).save(path)
    else:
        write_image(path, pixels)
    return path


def write_text(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_json(path: Path, content: Any) -> Path:
    return write_text(path, json.dumps(content, ensure_ascii=False))


def outline(count: int) -> list[list[int]]:
    """A polygon of an even number of points, clockwise."""
    upper = [[3 * x, 1 + x] for x in range(count // 2)]
    return upper + [[x, y + 15] for x, y in reversed(upper)]


def edit(path: Path, change: Callable[[Any], Any]) -> Path:
    """Changes a JSON file in place, or replaces its content by what `change` returns."""
    content = json.loads(path.read_text(encoding="utf-8"))
    returned = change(content)
    return write_json(path, content if returned is None else returned)


def write_polygt(path: Path, rows: list[list[Any]]) -> Path:
    """Total-Text's MATLAB file."""
    cells = np.empty((len(rows), 6), dtype=object)
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            cells[row, column] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"polygt": cells})
    return path


def polygt_row(points: list[list[int]], text: Any, orientation: Any = "c") -> list[Any]:
    x, y = np.array(points, dtype=np.int16).reshape(-1, 2).T
    return ["x:", x[None], "y:", y[None], text, orientation]


def read_folder(name: str, folder: Path, **options: Any) -> Read:
    """Records and report of every split that is there."""
    reader = READERS[name]
    found: Read = {}
    for split, values in reader.find(folder).splits.items():
        report = ReadReport()
        found[split] = (list(reader.read({**values, **options}, report)), report)
    return found


def content_of(record: ImageRecord) -> list[tuple[str | None, bool]]:
    """Text and ignore of its instances."""
    return [(instance.text, instance.ignore) for instance in record.instances]


def polygons(record: ImageRecord) -> list[list[list[float]]]:
    return [instance.polygon.tolist() for instance in record.instances if instance.polygon is not None]


def counts(findings: Mapping[str, Finding]) -> dict[str, int]:
    return {reason: finding.count for reason, finding in findings.items()}
