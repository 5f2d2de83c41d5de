"""Annotations of one's own: LabelMe, PPOCRLabel, and images without any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataset_files import (
    POINTS,
    content_of,
    counts,
    outline,
    polygons,
    read_folder,
    write_json,
    write_photo,
    write_text,
)
from published_folders import BUILDERS
from scenetext.data.readers import ReadReport, labelme
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.image_folder import OTHER, SHEETS
from scenetext.data.readers.instances import EMPTY_TEXT, FEW_POINTS, TWO_CORNERS
from scenetext.errors import DataError
from scenetext.structures import ImageRecord


def test_labelme_shapes_flags_and_names_of_classes(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "a.jpg")
    shape = {"label": "WORD", "points": POINTS, "shape_type": "polygon", "flags": {}}
    shapes = [
        shape,
        {**shape, "shape_type": "rectangle", "points": [[30, 12], [1, 2]], "label": "BOX"},
        {**shape, "shape_type": "circle", "points": [[1, 2], [3, 4]]},
        {**shape, "label": "text"},
        {**shape, "label": "text", "description": "Straße 1"},
        {**shape, "label": "###"},
        {**shape, "flags": {"difficult": True, "other": False}},
        {**shape, "label": ""},
        {"label": "old", "points": POINTS},
    ]
    content = {"imagePath": "..\\images\\a.jpg", "imageData": None, "shapes": shapes}
    write_json(tmp_path / "annotations" / "a.json", content)
    (record,), report = read_folder("labelme", tmp_path)["all"]
    known = [(text, False) for text in ("WORD", "BOX")]
    unknown, ignored = (None, False), (None, True)
    assert content_of(record) == [*known, unknown, ("Straße 1", False), ignored, ignored, unknown, ("old", False)]
    assert polygons(record) == [POINTS] * 8
    assert report.dropped[labelme.OTHER_SHAPE].examples == ["circle in a.json"]
    assert counts(report.noted) == {labelme.RECTANGLES: 1, EMPTY_TEXT: 1}
    (record,), _ = read_folder("labelme", tmp_path, class_labels="WORD, BOX")["all"]
    assert content_of(record)[:3] == [unknown, unknown, ("text", False)]


def labelme_shapes(folder: Path, shapes: list[dict[str, Any]]) -> tuple[list[ImageRecord], ReadReport]:
    write_photo(folder / "a.jpg")
    write_json(folder / "a.json", {"imagePath": "a.jpg", "imageData": None, "shapes": shapes})
    return read_folder("labelme", folder)["all"]


@pytest.mark.parametrize("kind", ["rectangle", "oriented_rectangle", "rotation", "quadrilateral"])
def test_rectangles_of_labelme_and_its_kin_have_two_corners_or_four(tmp_path: Path, kind: str) -> None:
    turned = [[10, 1], [40, 10], [35, 25], [5, 16]]
    shape = {"label": "A", "shape_type": kind, "direction": 0.3}
    (record,), report = labelme_shapes(
        tmp_path, [{**shape, "points": turned}, {**shape, "points": POINTS}, {**shape, "points": POINTS[::2]}]
    )
    assert polygons(record) == [turned, POINTS, POINTS]
    assert counts(report.noted) == {labelme.RECTANGLES: 3}


@pytest.mark.parametrize("where", [{"flags": None, "difficult": True}, {"attributes": {"difficult": True}}])
def test_difficult_counts_wherever_a_labelme_file_has_it(tmp_path: Path, where: dict[str, Any]) -> None:
    shape = {"label": "text", "points": POINTS, "shape_type": "polygon", "description": "A"}
    (record,), _ = labelme_shapes(tmp_path, [{**shape, **where}, {**shape, "difficult": False, "attributes": {}}])
    assert content_of(record) == [(None, True), ("A", False)]


@pytest.mark.parametrize("corners", [POINTS[::2], POINTS[1::2]], ids=["falling", "rising"])
def test_two_corners_of_a_label_file_are_a_box_and_a_flat_pair_is_dropped(
    tmp_path: Path, corners: list[list[int]]
) -> None:
    write_photo(tmp_path / "a.jpg")
    words = [{"transcription": "A", "points": points} for points in (corners, POINTS[:2])]
    write_text(tmp_path / "Label.txt", f"a.jpg\t{json.dumps(words)}\n")
    (record,), report = read_folder("ppocrlabel", tmp_path)["all"]
    assert polygons(record) == [POINTS]
    assert (counts(report.noted), counts(report.dropped)) == ({TWO_CORNERS: 1}, {FEW_POINTS: 1})


def test_ppocrlabel_lines_with_difficult_and_untyped_words(tmp_path: Path) -> None:
    folder = tmp_path / "my photos"
    write_photo(folder / "a b.jpg")
    words = [
        {"transcription": "A\tB", "points": POINTS, "difficult": False, "key_cls": "None"},
        {"transcription": "hard", "points": POINTS, "difficult": True},
        {"transcription": "###", "points": POINTS},
        {"transcription": "*", "points": POINTS},
        {"transcription": "待识别", "points": POINTS, "difficult": False},
        {"transcription": "curve", "points": outline(8), "difficult": False},
    ]
    line = json.dumps(words, ensure_ascii=False)
    write_text(folder / "Label.txt", f"\ufeffmy photos/a b.jpg\t{line}\r\n\nmy photos/gone.jpg\t[]\n")
    (record,), report = read_folder("ppocrlabel", folder)["all"]
    ignored = (None, True)
    assert content_of(record) == [("A\tB", False), ignored, ignored, ignored, (None, False), ("curve", False)]
    assert polygons(record)[-1] == outline(8)
    assert report.dropped[UNREADABLE].examples == ["gone.jpg"]
    assert counts(report.noted) == {EMPTY_TEXT: 1}


def test_images_without_labels_are_taken_from_all_subfolders_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.jpg", "2.PNG", "sub/3.gif", ".hidden.jpg"):
        write_photo(tmp_path / name)
    write_text(tmp_path / "notes.txt", "x")
    write_text(tmp_path / "broken.jpg", "x")
    records, report = read_folder("images", tmp_path)["all"]
    assert [record.path.name for record in records] == ["2.PNG", "10.jpg", "3.gif"]
    assert all(record.instances == () for record in records)
    assert counts(report.dropped) == {OTHER: 1, UNREADABLE: 1}


def test_a_second_run_does_not_take_the_first_ones_sheet_for_an_image(tmp_path: Path) -> None:
    for name in ("a.jpg", "all_samples.jpg", "shop_samples.jpg"):
        write_photo(tmp_path / name)
    write_text(tmp_path / "all.jsonl", "")
    records, report = read_folder("images", tmp_path)["all"]
    assert [record.path.name for record in records] == ["a.jpg", "shop_samples.jpg"]
    assert counts(report.dropped) == {OTHER: 1, SHEETS: 1}


PPOCR_FAULTS = {
    "no tab": ("a.jpg []", ":2: expected the name of an image, a tab and a list"),
    "no JSON": ("a.jpg\t[{]", ":2: is not valid JSON"),
    "no list": ("a.jpg\t{}", ":2: expected a list, got an empty object"),
    "no text": ('a.jpg\t[{"points": []}]', ":2: [0]: expected the key 'transcription'"),
    "no name": ("\t[]", ":2: expected the name of an image in its folder, got ''"),
}


@pytest.mark.parametrize(("line", "message"), PPOCR_FAULTS.values(), ids=PPOCR_FAULTS.keys())
def test_a_broken_line_of_a_label_file_is_named(tmp_path: Path, line: str, message: str) -> None:
    BUILDERS["ppocrlabel"][0](tmp_path)
    path = write_text(tmp_path / "Label.txt", f"a.jpg\t[]\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_folder("ppocrlabel", tmp_path)
    assert str(caught.value).startswith(f"{path}{message}")
