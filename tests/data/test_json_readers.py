"""Datasets whose annotations are JSON: ArT, LSVT, TextOCR, COCO-Text, SynthText150k, COCO, MMOCR and LabelMe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import data_error
from dataset_files import (
    BUILDERS,
    FLAT,
    HEIGHT,
    POINTS,
    WIDTH,
    counts,
    polygons,
    read_folder,
    told,
    write_json,
    write_photo,
    write_text,
)

from scenetext.data.readers import coco, coco_text, labelme, synthtext150k
from scenetext.data.readers.art2019 import EXCLUDED
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.grouped import HOMELESS
from scenetext.data.readers.image_folder import OTHER
from scenetext.data.readers.instances import BROKEN_TEXT, FEW_POINTS, UNTOLD
from scenetext.data.readers.keyed_labels import MISSING, UNLABELLED
from scenetext.data.readers.labelled import OTHER_SIZE
from scenetext.errors import DataError

IMAGE = {"id": 7, "file_name": "img_1.jpg", "width": WIDTH, "height": HEIGHT}
WORD = {"image_id": 7, "category_id": 1, "iscrowd": 0, "bbox": [1, 2, 29, 10]}


def outline(count: int) -> list[list[int]]:
    """A polygon of an even number of points, clockwise."""
    upper = [[3 * x, 1 + x] for x in range(count // 2)]
    return upper + [[x, y + 15] for x, y in reversed(upper)]


def edit(path: Path, change: Callable[[Any], Any]) -> Path:
    """Changes a JSON file in place, or replaces its content by what `change` returns."""
    content = json.loads(path.read_text(encoding="utf-8"))
    returned = change(content)
    return write_json(path, content if returned is None else returned)


def test_art_outlines_of_any_number_of_points_and_illegible_words(tmp_path: Path) -> None:
    BUILDERS["art2019"][0](tmp_path)
    numbers = (4, 8, 10, 12, 14, 26)
    words = [
        {"points": outline(number), "transcription": f"w{number}", "language": "Latin", "illegibility": False}
        for number in numbers
    ]
    words += [
        {"points": POINTS, "transcription": "blurred", "illegibility": True},
        {"points": POINTS, "transcription": "blurred", "illegibility": 1},
        {"points": POINTS, "transcription": "###", "illegibility": False},
        {"points": POINTS, "transcription": "中文", "illegibility": 0},
        {"points": POINTS, "transcription": ""},
        {"points": POINTS[:2], "transcription": "line"},
        {"points": POINTS, "transcription": "\ud83d"},
    ]
    (tmp_path / "train_labels.json").write_text("\ufeff" + json.dumps({"gt_0": words}), encoding="utf-8")
    (record,), report = read_folder("art2019", tmp_path)["train"]
    ignored, unknown = (None, True), (None, False)
    assert told(record) == [
        *((f"w{number}", False) for number in numbers),
        *(ignored, ignored, ignored, ("中文", False), unknown, unknown),
    ]
    assert [len(polygon) for polygon in polygons(record)][:6] == list(numbers)
    assert polygons(record)[2] == outline(10)
    assert counts(report.left_out) == {FEW_POINTS: 1}
    assert counts(report.noted) == {UNTOLD: 1, BROKEN_TEXT: 1}


def test_art_images_of_other_benchmarks_are_left_out_by_a_list(tmp_path: Path) -> None:
    names = [f"gt_{number}" for number in range(4)]
    for name in names:
        write_photo(tmp_path / "train_images" / f"{name}.jpg")
    write_json(tmp_path / "train_labels.json", {name: [] for name in names})
    listed = write_text(tmp_path / "in_totaltext.txt", "gt_1\r\n\ngt_3.jpg\n")
    records, report = read_folder("art2019", tmp_path, exclude=listed)["train"]
    assert [record.path.stem for record in records] == ["gt_0", "gt_2"]
    assert report.left_out[EXCLUDED].examples == ["gt_1", "gt_3"]
    assert UNLABELLED not in report.left_out
    write_text(listed, "gt_1\n\ngt_7\n")
    with pytest.raises(DataError, match="'gt_7' is no image of") as caught:
        read_folder("art2019", tmp_path, exclude=listed)
    assert str(caught.value).startswith(f"{listed}:3: ")
    with pytest.raises(DataError, match="--exclude .*nowhere: no such file"):
        read_folder("art2019", tmp_path, exclude=tmp_path / "nowhere")


def test_lsvt_images_lie_in_two_archives_and_every_tenth_is_for_validation(tmp_path: Path) -> None:
    for number in range(25):
        write_photo(tmp_path / f"train_full_images_{number % 2}" / f"gt_{number}.jpg")
    write_json(tmp_path / "train_full_labels.json", {f"gt_{number}": [] for number in range(25)})
    found = read_folder("lsvt", tmp_path)
    validation = [record.path.stem for record in found["val"][0]]
    training = [record.path.stem for record in found["train"][0]]
    assert validation == ["gt_0", "gt_10", "gt_20"]
    assert sorted(validation + training) == sorted(f"gt_{number}" for number in range(25))
    everything, _ = read_folder("lsvt", tmp_path, part="all")["train"]
    assert len(everything) == 25
    with pytest.raises(DataError, match="--part 'none': there are all, train, val"):
        read_folder("lsvt", tmp_path, part="none")


def test_missing_unlabelled_and_unreadable_images_are_counted(tmp_path: Path) -> None:
    names = ["gt_1", "gt_2", "gt_3", "gt_4", "gt_10"]
    for name in (*names[:3], "gt_10"):
        write_photo(tmp_path / "train_full_images_0" / f"{name}.jpg")
    (tmp_path / "train_full_images_0" / "gt_1.jpg").write_bytes(b"")
    write_json(tmp_path / "train_full_labels.json", {name: [] for name in names if name != "gt_2"})
    records, report = read_folder("lsvt", tmp_path)["train"]
    assert [record.path.stem for record in records] == ["gt_3"]
    assert counts(report.left_out) == {MISSING: 1, UNLABELLED: 1, UNREADABLE: 1}
    assert report.left_out[MISSING].examples == ["gt_4"]
    (tmp_path / "train_full_images_0" / "gt_10.jpg").unlink()
    with pytest.raises(DataError, match=r"none of the 1 images that are wanted of it is in .*train_full_images_0"):
        read_folder("lsvt", tmp_path)


@pytest.mark.parametrize("index", ["imgToAnns", "img2Anns", None])
def test_textocr_whatever_the_index_of_annotations_is_called(tmp_path: Path, index: str | None) -> None:
    BUILDERS["textocr"][0](tmp_path)
    word = {"image_id": "train1", "points": [0.5, 1, 9, 1, 9, 5.25, 4, 7, 0, 5], "utf8_string": "A.", "area": 9.5}
    words = {"train1_1": word, "train1_2": {**word, "utf8_string": "."}, "x_3": {**word, "image_id": "x"}}

    def change(content: dict[str, Any]) -> None:
        content["anns"] = words
        del content["imgToAnns"]
        if index:
            content[index] = {"train1": list(words)}

    edit(tmp_path / "TextOCR_0.1_train.json", change)
    (record,), report = read_folder("textocr", tmp_path)["train"]
    assert told(record) == [("A.", False), (None, True)]
    assert polygons(record)[0] == [[0.5, 1], [9, 1], [9, 5.25], [4, 7], [0, 5]]
    assert report.left_out[HOMELESS].examples == ["image_id x"]


def test_coco_text_masks_boxes_and_illegible_words(tmp_path: Path) -> None:
    BUILDERS["coco-text"][0](tmp_path)
    word = {"image_id": 36, "bbox": [1.5, 2, 10, 5], "mask": FLAT, "legibility": "legible", "utf8_string": "A"}
    words = [
        word,
        {**word, "legibility": "illegible", "utf8_string": ""},
        {**word, "mask": []},
        {**word, "mask": [1, 2]},
    ]
    words += [{key: value for key, value in word.items() if key != "utf8_string"}, {**word, "image_id": 49}]

    def change(content: dict[str, Any]) -> None:
        content["anns"] = {str(number): word for number, word in enumerate(words)}
        content["imgs"]["99"] = {**content["imgs"]["36"], "set": "test"}

    edit(tmp_path / "cocotext.v2.json", change)
    found = read_folder("coco-text", tmp_path)
    (record,), report = found["train"]
    assert told(record) == [("A", False), (None, True), ("A", False), ("A", False), (None, False)]
    assert polygons(record)[0] == POINTS
    assert polygons(record)[2] == [[1.5, 2], [11.5, 2], [11.5, 7], [1.5, 7]]
    assert counts(report.noted) == {coco_text.BOXES: 2, UNTOLD: 1}
    assert [told(record) for record in found["val"][0]] == [[("A", False)]]


def test_bezier_curves_become_outlines() -> None:
    straight = np.array([[0, 0], [10, 0], [20, 0], [30, 0], [30, 10], [20, 10], [10, 10], [0, 10]], dtype=np.float64)
    outline = synthtext150k.bezier_polygon(straight)
    assert outline.shape == (16, 2)
    assert outline.dtype == np.float32
    np.testing.assert_allclose(outline[:8, 0], np.linspace(0, 30, 8), atol=1e-5)
    np.testing.assert_allclose(outline[:8, 1], 0, atol=1e-6)
    np.testing.assert_allclose(outline[8:], outline[7::-1] + np.array([0, 10]), atol=1e-5)
    arch = np.concatenate([[[0, 0], [0, 40], [30, 40], [30, 0]], straight[4:] + np.array([0, 60])])
    for t, point in zip(np.linspace(0, 1, 8), synthtext150k.bezier_polygon(arch), strict=False):
        x = 3 * 30 * t**2 * (1 - t) + 30 * t**3
        np.testing.assert_allclose(point, [x, 120 * t * (1 - t)], atol=1e-4)


def test_synthtext150k_outlines_of_three_sorts_and_spelled_words(tmp_path: Path) -> None:
    BUILDERS["synthtext150k"][0](tmp_path)
    polygon = np.ravel(outline(10)).tolist()
    fill = [96] * 20
    base = {"image_id": 1, "iscrowd": 0, "bbox": [1, 2, 29, 10], "segmentation": [FLAT]}
    words = [
        {**base, "polys": polygon, "rec": [33, 66, *fill]},
        {**base, "rec": [0, 94, *fill]},
        {**base, "rec": [33, 95, *fill]},
        {**base, "rec": fill},
        {**base, "iscrowd": 1, "rec": [33, *fill]},
        base,
    ]
    edit(tmp_path / "syntext1/annotations/train.json", lambda content: content.update(annotations=words))
    (record,), report = read_folder("synthtext150k", tmp_path)["syntext1"]
    unknown = (None, False)
    assert told(record) == [("Ab", False), ("~", False), unknown, unknown, (None, True), unknown]
    assert polygons(record)[:2] == [outline(10), POINTS]
    assert counts(report.noted) == {synthtext150k.FOREIGN: 1, UNTOLD: 1}


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
        {**WORD, "attributes": {}},
        {**WORD, "iscrowd": 1, "text": "E"},
        {**WORD, "ignore": True},
        {**WORD, "text": "###"},
        {**WORD, "text": ""},
    ]
    write_coco(tmp_path, words)
    (record,), report = read_folder("coco", tmp_path)["all"]
    unknown, ignored = (None, False), (None, True)
    known = [(text, False) for text in "ABCD"]
    assert told(record) == [*known, unknown, ignored, ignored, ignored, unknown]
    assert polygons(record) == [POINTS] * 9
    assert counts(report.noted) == {coco.PARTS: 1, coco.BOXES: 7, UNTOLD: 1}


def test_coco_categories_are_chosen_by_name(tmp_path: Path) -> None:
    write_coco(tmp_path, [WORD, {**WORD, "category_id": 2}, {**WORD, "category_id": 2}])
    (record,), report = read_folder("coco", tmp_path, categories="text")["all"]
    assert len(record.instances) == 1
    assert counts(report.left_out) == {coco.OTHER_CATEGORY: 2}
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


def test_a_size_that_is_not_that_of_the_image_is_told(tmp_path: Path) -> None:
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
    ]
    edit(tmp_path / "textdet_train.json", lambda content: content["data_list"][0].update(instances=words))
    (record,), report = read_folder("mmocr-1x", tmp_path)["train"]
    assert told(record) == [(None, True), (None, False), ("A", False)]
    assert polygons(record) == [POINTS, POINTS, outline(14)]
    assert counts(report.noted) == {coco.BOXES: 1}

    BUILDERS["mmocr-0x"][0](tmp_path / "old")
    words = [{**WORD, "segmentation": [FLAT]}, {**WORD, "segmentation": [FLAT], "iscrowd": 1}]
    edit(tmp_path / "old" / "instances_training.json", lambda content: content.update(annotations=words))
    (record,), _ = read_folder("mmocr-0x", tmp_path / "old")["train"]
    assert told(record) == [(None, False), (None, True)]


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
    assert told(record) == [*known, unknown, ("Straße 1", False), ignored, ignored, unknown, ("old", False)]
    assert polygons(record) == [POINTS] * 8
    assert report.left_out[labelme.OTHER_SHAPE].examples == ["circle in a.json"]
    assert counts(report.noted) == {labelme.RECTANGLES: 1, UNTOLD: 1}
    (record,), _ = read_folder("labelme", tmp_path, class_labels="WORD, BOX")["all"]
    assert told(record)[:3] == [unknown, unknown, ("text", False)]


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
    assert told(record) == [("A\tB", False), ignored, ignored, ignored, (None, False), ("curve", False)]
    assert polygons(record)[-1] == outline(8)
    assert report.left_out[UNREADABLE].examples == ["gone.jpg"]
    assert counts(report.noted) == {UNTOLD: 1}


def test_images_without_labels_are_taken_from_all_subfolders_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.jpg", "2.PNG", "sub/3.gif", ".hidden.jpg"):
        write_photo(tmp_path / name)
    write_text(tmp_path / "notes.txt", "x")
    write_text(tmp_path / "broken.jpg", "x")
    records, report = read_folder("images", tmp_path)["all"]
    assert [record.path.name for record in records] == ["2.PNG", "10.jpg", "3.gif"]
    assert all(record.instances == () for record in records)
    assert counts(report.left_out) == {OTHER: 1, UNREADABLE: 1}


FAULTS: dict[str, tuple[str, str, Callable[[Any], Any], str]] = {
    "art, a list": ("art2019", "train_labels.json", lambda _: [], ": expected an object, got []"),
    "art, an object for words": (
        *("art2019", "train_labels.json", lambda _: {"gt_0": {}}, ": gt_0: expected a list, got an empty object"),
    ),
    "art, no points": (
        *("art2019", "train_labels.json", lambda content: content["gt_0"][0].pop("points") and None),
        ": gt_0[0]: expected the key 'points', got an object with the keys 'transcription', ",
    ),
    "art, three numbers": (
        *("art2019", "train_labels.json", lambda content: content["gt_0"][0].update(points=[[1, 2], [3, 4], [5]])),
        ": gt_0[0].points: expected points [[x, y], ...]",
    ),
    "art, a number as text": (
        *("art2019", "train_labels.json", lambda content: content["gt_0"][0].update(points=[["1", 2], [3, 4]])),
        ": gt_0[0].points: expected points",
    ),
    "art, illegible as text": (
        *("art2019", "train_labels.json", lambda content: content["gt_0"][0].update(illegibility="false")),
        ": gt_0[0].illegibility: expected true or false, got 'false'",
    ),
    "lsvt, a name without number": (
        *("lsvt", "train_full_labels.json", lambda _: {"img_1": []}, ": 'img_1' is not the name of an image of LSVT"),
    ),
    "textocr, no image": (
        *("textocr", "TextOCR_0.1_train.json", lambda content: content["anns"]["train1_1"].pop("image_id") and None),
        ": anns.train1_1: expected the key 'image_id'",
    ),
    "coco-text, legibility": (
        *("coco-text", "cocotext.v2.json", lambda content: content["anns"]["1036"].update(legibility="maybe")),
        ": anns.1036.legibility: expected legible or illegible, got 'maybe'",
    ),
    "coco-text, an odd mask": (
        *("coco-text", "cocotext.v2.json", lambda content: content["anns"]["1036"].update(mask=[1, 2, 3, 4, 5, 6, 7])),
        ": anns.1036.mask: expected points (points need an even number of coordinates, got 7)",
    ),
    "synthtext150k, fifteen numbers": (
        *("synthtext150k", "syntext1/annotations/train.json"),
        lambda content: content["annotations"][0].update(bezier_pts=[1] * 14),
        ": annotations[0].bezier_pts: expected 16 numbers",
    ),
    "synthtext150k, an index": (
        *("synthtext150k", "syntext1/annotations/train.json"),
        lambda content: content["annotations"][0].update(rec=[1, 97]),
        ": annotations[0].rec[1]: expected an index from 0 to 96, got 97",
    ),
    "coco, an id twice": (
        *("coco", "annotations.json", lambda content: content.update(images=[IMAGE, IMAGE])),
        ": images[1].id: expected an id that no other image has, got 7",
    ),
    "coco, a name that leads out": (
        *("coco", "annotations.json", lambda content: content["images"][0].update(file_name="../a.jpg")),
        ": images[0].file_name: expected the name of an image in its folder, got '../a.jpg'",
    ),
    "coco, no box": (
        *("coco", "annotations.json", lambda content: content["annotations"][0].update(segmentation=[], bbox=[1, 2])),
        ": annotations[0].bbox: expected 4 numbers",
    ),
    "coco, a crowd of two": (
        *("coco", "annotations.json", lambda content: content["annotations"][0].update(iscrowd=2)),
        ": annotations[0].iscrowd: expected true or false, got 2",
    ),
    "mmocr, no instances": (
        *("mmocr-1x", "textdet_train.json", lambda content: content["data_list"][0].pop("instances") and None),
        ": data_list[0]: expected the key 'instances'",
    ),
    "mmocr 0.x, half a height": (
        *("mmocr-0x", "instances_training.json", lambda content: content["images"][0].update(height=7.5)),
        ": images[0].height: expected a whole number, got 7.5",
    ),
    "labelme, one corner": (
        *("labelme", "a.json", lambda content: content["shapes"][0].update(shape_type="rectangle", points=[[1, 2]])),
        ": shapes[0].points: expected two corners",
    ),
}


@pytest.mark.parametrize(("name", "path", "change", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_by_its_place(
    tmp_path: Path, name: str, path: str, change: Callable[[Any], Any], message: str
) -> None:
    BUILDERS[name][0](tmp_path)
    edit(tmp_path / path, change)
    with pytest.raises(DataError) as caught:
        read_folder(name, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / path}{message}")


BROKEN_FILES: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"gt_0":\n [{"points"', ":2: is not valid JSON"),
    "not UTF-8": (b'{\n"caf\xe9": []}', ":2: is not UTF-8"),
    "an image twice": (b'{"gt_0": [], "gt_0": []}', ": is no JSON that can be used: the key 'gt_0' is there twice"),
    "not a number": (b'{"gt_0": [NaN]}', ": is no JSON that can be used: NaN is not a number"),
    "endless digits": (b'{"gt_0": ' + b"1" * 5000 + b"}", ": is no JSON that can be used: "),
    "empty": (b"", ":1: is not valid JSON"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN_FILES.values(), ids=BROKEN_FILES.keys())
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    BUILDERS["art2019"][0](tmp_path)
    path = write_text(tmp_path / "train_labels.json", content)
    with pytest.raises(DataError) as caught:
        read_folder("art2019", tmp_path)
    assert str(caught.value).startswith(f"{path}{message}")


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


INDEXED = {
    "art2019": "train_labels.json",
    "lsvt": "train_full_labels.json",
    "textocr": "TextOCR_0.1_train.json",
    "coco-text": "cocotext.v2.json",
    "synthtext150k": "syntext1/annotations/train.json",
    "coco": "annotations.json",
    "mmocr-0x": "instances_training.json",
    "mmocr-1x": "textdet_train.json",
    "labelme": "",
    "ppocrlabel": "Label.txt",
}


@pytest.mark.parametrize("name", INDEXED)
def test_annotations_without_any_readable_image_are_refused(tmp_path: Path, name: str) -> None:
    BUILDERS[name][0](tmp_path)
    for image in tmp_path.rglob("*.jpg"):
        image.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of its \d+ images can be read \(first: .*\.jpg: ") as caught:
        read_folder(name, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / INDEXED[name]}: ")


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
    assert report.left_out[UNREADABLE].count == 1
    "".join(report.left_out[UNREADABLE].examples).encode("utf-8")
