"""COCO's form, and what MMOCR writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from damage import data_error
from dataset_files import (
    FLAT,
    HEIGHT,
    IMAGE,
    POINTS,
    WIDTH,
    WORD,
    content_of,
    counts,
    edit,
    outline,
    polygons,
    read_folder,
    write_json,
    write_photo,
    write_text,
)
from published_folders import BUILDERS
from scenetext.data.readers import coco
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.frames import OTHER_SIZE
from scenetext.data.readers.instances import BOXES, EMPTY_TEXT, FLAT_OUTLINES
from scenetext.errors import DataError


def write_coco(folder: Path, annotations: list[dict[str, Any]], **more: Any) -> Path:
    write_photo(folder / "images" / "img_1.jpg")
    categories = [{"id": 1, "name": "text"}, {"id": 2, "name": "person"}]
    content = {"images": [IMAGE], "annotations": annotations, "categories": categories, **more}
    return write_json(folder / "annotations" / "instances_default.json", content)


def test_coco_boxes_parts_masks_crowds_and_texts(tmp_path: Path) -> None:
    small = [0, 0, 2, 0, 2, 2, 0, 2]
    words = [
        {**WORD, "segmentation": [FLAT], "transcription": "A"},
        {**WORD, "segmentation": [small, FLAT], "text": "B"},
        {**WORD, "segmentation": [], "utf8_string": "C"},
        {**WORD, "segmentation": {"counts": "abc", "size": [40, 60]}, "attributes": {"text": "D", "occluded": False}},
        {**WORD, "attributes": {"rotation": 0.0}},
        {**WORD, "iscrowd": 1, "text": "E"},
        {**WORD, "ignore": True, "attributes": {"rotation": 30.0}},
        {**WORD, "text": "###"},
        {**WORD, "text": ""},
    ]
    write_coco(tmp_path, words)
    (record,), report = read_folder("coco", tmp_path)["all"]
    unknown, ignored = (None, False), (None, True)
    known = [(text, False) for text in "ABCD"]
    assert content_of(record) == [*known, unknown, ignored, ignored, ignored, unknown]
    turned = polygons(record).pop(6)
    assert [*polygons(record)[:6], *polygons(record)[7:]] == [POINTS] * 8
    np.testing.assert_allclose(turned, [[5.44, -4.58], [30.56, 9.92], [25.56, 18.58], [0.44, 4.08]], atol=0.01)
    assert counts(report.noted) == {coco.PARTS: 1, BOXES: 7, coco.TURNED: 1, EMPTY_TEXT: 1}


def test_a_good_box_counts_where_the_segmentation_is_flat_or_empty(tmp_path: Path) -> None:
    outlines = ([[]], [[1, 2, 30, 12]], [[1, 2, 30, 2, 15, 2]], [[1, 2, 1, 2, 1, 2, 1, 2], []])
    words = [{**WORD, "segmentation": outline} for outline in outlines]
    words += [{**WORD, "segmentation": [[1, 2, 30, 2, 15, 2], FLAT]}, {**WORD, "segmentation": [FLAT], "bbox": None}]
    words += [{**WORD, "segmentation": FLAT, "bbox": [0, 0, 5, 5]}]
    write_coco(tmp_path, words)
    (record,), report = read_folder("coco", tmp_path)["all"]
    assert polygons(record) == [POINTS] * 7
    assert counts(report.noted) == {FLAT_OUTLINES: 3, BOXES: 1, coco.PARTS: 2}
    assert not report.dropped


@pytest.mark.parametrize("where", ["annotation", "attributes"])
@pytest.mark.parametrize("flag", ["ignore", "difficult", "illegible"])
def test_words_that_a_tool_marks_as_hard_are_ignored(tmp_path: Path, where: str, flag: str) -> None:
    words = [WORD | ({flag: value} if where == "annotation" else {"attributes": {flag: value}}) for value in (0, True)]
    write_coco(tmp_path, words)
    (record,), _ = read_folder("coco", tmp_path)["all"]
    assert content_of(record) == [(None, False), (None, True)]


def test_coco_categories_are_chosen_by_name(tmp_path: Path) -> None:
    write_coco(tmp_path, [WORD, {**WORD, "category_id": 2}, {**WORD, "category_id": 2}])
    (record,), report = read_folder("coco", tmp_path, categories="text")["all"]
    assert len(record.instances) == 1
    assert counts(report.dropped) == {coco.OTHER_CATEGORY: 2}
    (record,), _ = read_folder("coco", tmp_path, categories="text, person")["all"]
    assert len(record.instances) == 3
    with pytest.raises(DataError, match="has no category word; there are text, person"):
        read_folder("coco", tmp_path, categories="word")


@pytest.mark.parametrize("name", ["train/img_1.jpg", "img_1.jpg", "train\\img_1.jpg", "elsewhere/img_1.jpg"])
def test_images_are_found_however_annotations_spell_their_folder(tmp_path: Path, name: str) -> None:
    write_photo(tmp_path / "images" / "train" / "img_1.jpg")
    content = {"images": [{**IMAGE, "file_name": name}], "annotations": [WORD]}
    write_json(tmp_path / "annotations" / "train.json", content)
    ((record,), _) = read_folder("coco", tmp_path)["train"]
    assert record.path == tmp_path / "images" / "train" / "img_1.jpg"


def test_a_size_that_is_not_that_of_the_image_is_reported(tmp_path: Path) -> None:
    write_coco(tmp_path, [WORD], images=[{**IMAGE, "width": HEIGHT, "height": WIDTH}])
    (record,), report = read_folder("coco", tmp_path)["all"]
    assert (record.width, record.height) == (WIDTH, HEIGHT)
    assert report.noted[OTHER_SIZE].examples == ["img_1.jpg"]


def test_mmocr_ignored_words_and_boxes(tmp_path: Path) -> None:
    BUILDERS["mmocr-1x"][0](tmp_path)
    words = [
        {"polygon": FLAT, "bbox": [1, 2, 30, 12], "ignore": True, "text": "###"},
        {"bbox": [1, 2, 30, 12], "bbox_label": 0, "ignore": False},
        {"polygon": np.ravel(outline(14)).tolist(), "text": "A", "ignore": False},
        {"polygon": [5, 5, 5, 5, 5, 5], "bbox": [1, 2, 30, 12], "text": "B"},
    ]
    edit(tmp_path / "textdet_train.json", lambda content: content["data_list"][0].update(instances=words))
    (record,), report = read_folder("mmocr-1x", tmp_path)["train"]
    assert content_of(record) == [(None, True), (None, False), ("A", False), ("B", False)]
    assert polygons(record) == [POINTS, POINTS, outline(14), POINTS]
    assert counts(report.noted) == {BOXES: 1, FLAT_OUTLINES: 1}

    BUILDERS["mmocr-0x"][0](tmp_path / "old")
    words = [{**WORD, "segmentation": [FLAT]}, {**WORD, "segmentation": [FLAT], "iscrowd": 1}]
    edit(tmp_path / "old" / "instances_training.json", lambda content: content.update(annotations=words))
    (record,), _ = read_folder("mmocr-0x", tmp_path / "old")["train"]
    assert content_of(record) == [(None, False), (None, True)]


@pytest.mark.parametrize("folder", [".", "annotations"])
def test_mmocr_lines_have_an_image_each(tmp_path: Path, folder: str) -> None:
    for name in ("a.jpg", "b.jpg"):
        write_photo(tmp_path / "imgs" / name)
    words = [{**WORD, "segmentation": [FLAT]}, {**WORD, "iscrowd": 1}, {"box": FLAT, "text": "A", "label": 1}]
    entries = [
        {"file_name": name, "height": HEIGHT, "width": WIDTH, "annotations": chosen}
        for name, chosen in (("a.jpg", words), ("b.jpg", []), ("gone.jpg", []))
    ]
    path = write_text(tmp_path / folder / "instances_test.txt", "\r\n".join(map(json.dumps, entries)) + "\r\n")
    records, report = read_folder("mmocr-0x", tmp_path)["test"]
    assert [content_of(record) for record in records] == [[(None, False), (None, True), ("A", False)], []]
    assert polygons(records[0]) == [POINTS] * 3
    assert (counts(report.noted), counts(report.dropped)) == ({BOXES: 1}, {UNREADABLE: 1})
    write_text(path, json.dumps(entries[0]) + "\n{")
    with pytest.raises(DataError, match=r"instances_test\.txt:2: is not valid JSON"):
        read_folder("mmocr-0x", tmp_path)


def test_doctr_polygons_may_be_grouped_by_class(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write_photo(tmp_path / "train" / "images" / name)
    labels = {
        "a.jpg": {"img_dimensions": [9, 9], "img_hash": "", "polygons": {"words": [POINTS, POINTS], "dates": [POINTS]}},
        "b.jpg": {"img_dimensions": [9, 9], "img_hash": "", "polygons": []},
    }
    write_json(tmp_path / "train" / "labels.json", labels)
    records, report = read_folder("doctr", tmp_path)["train"]
    assert [content_of(record) for record in records] == [[(None, False)] * 3, []]
    assert polygons(records[0]) == [POINTS] * 3
    assert not report.noted


@pytest.mark.parametrize("name", ["\ud83d.jpg", "a" * 300 + ".jpg", "nul\0.jpg", "", "/etc/passwd", ".."])
def test_odd_names_of_images_are_no_crash(tmp_path: Path, name: str) -> None:
    BUILDERS["coco"][0](tmp_path)
    write_text(
        tmp_path / "annotations.json",
        json.dumps({"images": [IMAGE, {**IMAGE, "id": 8, "file_name": name}], "annotations": [WORD]}),
    )
    error = data_error(lambda: read_folder("coco", tmp_path))
    if error is not None:
        assert "images[1].file_name" in str(error)
        return
    records, report = read_folder("coco", tmp_path)["all"]
    assert len(records) == 1
    assert report.dropped[UNREADABLE].count == 1
    "".join(report.dropped[UNREADABLE].examples).encode("utf-8")
