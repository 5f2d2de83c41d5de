"""Annotations of the upright image, of the stored pixels, or of the image before it was resized.

Every image here is stored with 60 x 40 pixels (width x height).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dataset_files import HEIGHT, WIDTH, counts, write_json, write_text
from scenetext.data.readers import READERS, Policy, ReadReport
from scenetext.data.readers.frames import EXCHANGED, OTHER_SIZE, RESIZED, TURNED, Declared, to_stored_pixels
from scenetext.data.readers.instances import Label, box_points
from scenetext.data.readers.report import FrameError
from scenetext.data.records.images import ImageHeader, image_header
from scenetext.errors import DataError

STORED, UPRIGHT = (HEIGHT, WIDTH), (WIDTH, HEIGHT)
FITS_BOTH, FITS_STORED, FITS_UPRIGHT = (2.0, 3.0, 20.0, 13.0), (2.0, 3.0, 55.0, 13.0), (2.0, 3.0, 20.0, 55.0)
IMAGE = Path("a.jpg")
Box = tuple[float, float, float, float]


def moved(box: Box, size: tuple[int, int] | None, orientation: int, **policy: Any) -> tuple[Box, dict[str, int]]:
    """The bounding box of a polygon in stored pixels, and what was noted."""
    report = ReadReport(Policy(**{"frame": "auto", **policy}))
    labels = [Label(box_points(*box)), Label(None, "A")]
    header = ImageHeader(STORED, orientation)
    polygon, nowhere = to_stored_pixels(labels, Declared(size), header, IMAGE, report)
    assert nowhere == labels[1]
    assert polygon.polygon is not None
    (left, top), (right, bottom) = polygon.polygon.min(axis=0).tolist(), polygon.polygon.max(axis=0).tolist()
    return (left, top, right, bottom), counts(report.noted)


@pytest.mark.parametrize(
    ("box", "size", "orientation", "expected", "noted"),
    [
        # x of the stored pixels is y of the image turned by 6 (clockwise), their y runs against its x
        (FITS_BOTH, STORED, 1, FITS_BOTH, None),
        (FITS_BOTH, None, 1, FITS_BOTH, None),
        (FITS_BOTH, STORED, 6, FITS_BOTH, None),
        (FITS_BOTH, UPRIGHT, 6, (3, 20, 13, 38), TURNED),
        (FITS_BOTH, UPRIGHT, 8, (47, 2, 57, 20), TURNED),
        (FITS_UPRIGHT, STORED, 6, (3, 20, 55, 38), TURNED),
        (FITS_UPRIGHT, None, 6, (3, 20, 55, 38), TURNED),
        (FITS_STORED, None, 6, FITS_STORED, None),
        (FITS_BOTH, (HEIGHT * 2, WIDTH * 2), 1, (1, 1.5, 10, 6.5), RESIZED),
        (FITS_BOTH, (HEIGHT * 2 + 1, WIDTH * 2), 1, (1, 1.481481, 10, 6.419753), RESIZED),
        (FITS_BOTH, (0, 0), 1, FITS_BOTH, None),
        (FITS_STORED, UPRIGHT, 1, FITS_STORED, EXCHANGED),
    ],
)
def test_the_frame_is_found(
    box: Box, size: tuple[int, int] | None, orientation: int, expected: Box, noted: str | None
) -> None:
    found, notes = moved(box, size, orientation)
    assert found == pytest.approx(expected, abs=1e-4)
    assert notes == ({noted: 1} if noted else {})


def test_an_image_that_is_both_turned_and_resized() -> None:
    found, notes = moved(FITS_BOTH, (WIDTH * 2, HEIGHT * 2), 6)
    assert found == pytest.approx((1.5, 30, 6.5, 39))
    assert notes == {TURNED: 1, RESIZED: 1}


@pytest.mark.parametrize(
    ("box", "size", "orientation", "message"),
    [
        (FITS_BOTH, None, 6, "orientation 6"),
        (FITS_BOTH, STORED, 3, "orientation 3"),
        (FITS_BOTH, None, 2, "orientation 2"),
        (FITS_BOTH, UPRIGHT, 1, r"40 x 60 pixels \(width x height\), it has 60 x 40"),
        (FITS_BOTH, (100, 100), 1, "no scaled copy"),
        (FITS_BOTH, (100, 100), 6, "no scaled copy"),
    ],
)
def test_what_stays_in_doubt_is_refused(box: Box, size: tuple[int, int] | None, orientation: int, message: str) -> None:
    with pytest.raises(FrameError, match=rf"^a\.jpg: .*{message}"):
        moved(box, size, orientation)


def test_a_user_or_a_tool_may_say_the_frame() -> None:
    turned_over = (40, 27, 58, 37)
    assert moved(FITS_BOTH, STORED, 3, frame="upright") == (turned_over, {TURNED: 1})
    assert moved(FITS_BOTH, STORED, 3, frame="stored") == (FITS_BOTH, {})
    assert moved(FITS_BOTH, UPRIGHT, 6, frame="stored") == (FITS_BOTH, {OTHER_SIZE: 1})
    report = ReadReport(Policy(frame="auto"))
    labels = [Label(box_points(*FITS_BOTH))]
    (label,) = to_stored_pixels(labels, Declared(STORED, is_upright=True), ImageHeader(STORED, 3), IMAGE, report)
    assert label.polygon is not None
    assert label.polygon.min(axis=0).tolist() == [40, 27]


def test_an_image_without_polygons_is_never_in_doubt() -> None:
    report = ReadReport(Policy(frame="auto"))
    assert to_stored_pixels([], Declared((7, 7)), ImageHeader(STORED, 6), IMAGE, report) == []


def photo(path: Path, orientation: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    assert image_header(path) == ImageHeader(STORED, orientation)
    return path


def test_readers_give_polygons_in_stored_pixels(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.jpg", 6)
    left, top, right, bottom = FITS_UPRIGHT
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    flat = [value for corner in corners for value in corner]
    shapes = [{"label": "A", "points": corners, "shape_type": "polygon", "flags": {}}]
    entry = {"id": 1, "file_name": "a.jpg", "width": HEIGHT, "height": WIDTH}
    word = {"image_id": 1, "category_id": 1, "bbox": [left, top, right - left, bottom - top]}
    instance = {"polygon": flat, "text": "A"}
    labels = json.dumps([{"transcription": "A", "points": corners, "difficult": False}])
    upright = {"imageWidth": HEIGHT, "imageHeight": WIDTH}
    listed = {"img_path": "a.jpg", "width": HEIGHT, "height": WIDTH, "instances": [instance]}
    truths = {
        "labelme": write_json(tmp_path / "json" / "a.json", {"imagePath": "a.jpg", "shapes": shapes, **upright}).parent,
        "coco": write_json(tmp_path / "coco.json", {"images": [entry], "annotations": [word], "categories": []}),
        "mmocr-1x": write_json(tmp_path / "mmocr.json", {"metainfo": {}, "data_list": [listed]}),
        "ppocrlabel": write_text(tmp_path / "Label.txt", f"a.jpg\t{labels}\n"),
        "icdar-folder": write_text(tmp_path / "gts" / "a.txt", ",".join(map(str, map(int, flat)))).parent,
    }
    for name, truth in truths.items():
        report = ReadReport(READERS[name].policy)
        values = {one.name: one.default_value for one in READERS[name].arguments}
        images = {"images": tmp_path / "images", "ground_truths": truth}
        (record,) = READERS[name].read({**values, **images}, report)
        assert (record.width, record.height) == (WIDTH, HEIGHT), name
        (instance_read,) = record.instances
        assert instance_read.polygon is not None
        assert instance_read.polygon.min(axis=0).tolist() == [3, 20], name
        assert report.noted[TURNED].count == 1, name


def test_an_image_in_doubt_is_counted_by_name_or_stops(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "turned.jpg", 6)
    photo(tmp_path / "images" / "upright.jpg", 1)
    for name in ("turned", "upright"):
        write_text(tmp_path / "gts" / f"{name}.txt", "2,3,20,3,20,13,2,13,A")
    values = READERS["icdar-folder"].find(tmp_path).splits["all"]
    report = ReadReport(READERS["icdar-folder"].policy)
    (record,) = READERS["icdar-folder"].read(values, report)
    assert record.path.name == "upright.jpg"
    ((reason, finding),) = report.dropped.items()
    assert reason == "images whose annotations may be for other pixels than theirs"
    assert "turned.jpg: a viewer turns it" in finding.examples[0]
    with pytest.raises(DataError, match=r"turned\.jpg: a viewer turns it"):
        list(READERS["icdar-folder"].read(values, ReadReport(Policy(unreadable="stop", frame="auto"))))
