"""Annotations whose images are not where their names say: found, counted, or refused, by every reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataset_files import HEIGHT, IMAGE, POINTS, WIDTH, WORD, counts, read_folder, write_json, write_photo, write_text
from scenetext.data.readers import READERS, ReadReport
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.records.references import CASE, OTHER_FOLDERS, SUBFOLDER, SUFFIX, UNICODE, ZEROS
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

LABEL = json.dumps([{"transcription": "A", "points": POINTS, "difficult": False}])


def coco(folder: Path, *names: str) -> Path:
    images = [{**IMAGE, "id": number, "file_name": name} for number, name in enumerate(names)]
    words = [{**WORD, "image_id": number} for number in range(len(names))]
    return write_json(folder / "annotations.json", {"images": images, "annotations": words, "categories": []})


def mmocr(folder: Path, *names: str) -> Path:
    instance = {"polygon": [value for point in POINTS for value in point], "bbox": [1, 2, 30, 12], "text": "A"}
    content = [{"img_path": name, "height": HEIGHT, "width": WIDTH, "instances": [instance]} for name in names]
    return write_json(folder / "annotations.json", {"metainfo": {}, "data_list": content})


def ppocrlabel(folder: Path, *names: str) -> Path:
    return write_text(folder / "annotations.txt", "".join(f"{name}\t{LABEL}\n" for name in names))


def labelme(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        shapes = [{"label": "A", "points": POINTS, "shape_type": "polygon", "flags": {}}]
        write_json(folder / "json" / f"{number}.json", {"imagePath": name, "shapes": shapes})
    return folder / "json"


WRITERS = {"coco": coco, "mmocr-0x": coco, "mmocr-1x": mmocr, "ppocrlabel": ppocrlabel, "labelme": labelme}


def read(reader: str, folder: Path, *names: str, **options: Any) -> tuple[list[ImageRecord], ReadReport]:
    truths = WRITERS[reader](folder, *names)
    values = {one.name: one.default_value for one in READERS[reader].arguments}
    report = ReadReport()
    given = {**values, "images": folder / "images", "ground_truths": truths, **options}
    return list(READERS[reader].read(given, report)), report


@pytest.mark.parametrize("reader", WRITERS)
@pytest.mark.parametrize(
    ("name", "file", "way"),
    [
        ("/PaddleOCR/train_data/det/train/0009.jpg", "0009.jpg", OTHER_FOLDERS),
        ("C:\\Users\\me\\photos\\a b.jpg", "a b.jpg", OTHER_FOLDERS),
        ("../images/a.jpg", "a.jpg", None),
        ("..\\images\\a.jpg", "a.jpg", None),
        ("x\\..\\a.jpg", "a.jpg", None),
        ("a.jpg", "default/a.jpg", SUBFOLDER),
        ("IMG_1.jpg", "IMG_1.JPG", CASE),
        ("a.png", "a.jpg", SUFFIX),
        ("caf\u00e9.jpg", "cafe\u0301.jpg", UNICODE),
        ("img_7.jpg", "img_007.jpg", ZEROS),
    ],
)
def test_an_image_is_found_and_the_way_to_it_counted(
    tmp_path: Path, reader: str, name: str, file: str, way: str | None
) -> None:
    image = write_photo(tmp_path / "images" / file)
    write_photo(tmp_path / "images" / "other.jpg")
    (record,), report = read(reader, tmp_path, name)
    assert record.path == image
    assert (record.width, record.height) == (WIDTH, HEIGHT)
    ways = {reason for reason in report.noted if reason.startswith("images found")}
    assert ways == ({way} if way else set())
    if way:
        assert report.noted[way].count == 1
        assert name in report.noted[way].examples[0]


@pytest.mark.parametrize("reader", WRITERS)
def test_two_names_that_end_at_one_image_are_refused(tmp_path: Path, reader: str) -> None:
    write_photo(tmp_path / "images" / "a.jpg")
    with pytest.raises(DataError, match=r"val/a\.jpg and train/a\.jpg both end at .*images/a\.jpg"):
        read(reader, tmp_path, "train/a.jpg", "val/a.jpg")
    with pytest.raises(DataError, match=r"A\.JPG and a\.jpg both end at"):
        read(reader, tmp_path, "a.jpg", "A.JPG")


@pytest.mark.parametrize("reader", WRITERS)
def test_a_name_that_may_mean_two_images_is_refused(tmp_path: Path, reader: str) -> None:
    for folder in ("x", "y"):
        write_photo(tmp_path / "images" / folder / "a.jpg")
    with pytest.raises(DataError, match=r"the name a\.jpg may mean .*x/a\.jpg or .*y/a\.jpg; write more of its path"):
        read(reader, tmp_path, "a.jpg")


@pytest.mark.parametrize("name", ["/etc/hostname", "../secret.jpg", "..\\secret.jpg", "x/../../secret.jpg"])
def test_nothing_outside_of_the_folder_is_read(tmp_path: Path, name: str) -> None:
    write_photo(tmp_path / "secret.jpg")
    write_photo(tmp_path / "images" / "a.jpg")
    records, report = read("coco", tmp_path, "a.jpg", name)
    assert [record.path.name for record in records] == ["a.jpg"]
    assert counts(report.dropped) == {UNREADABLE: 1}


def test_images_behind_a_link_are_found(tmp_path: Path) -> None:
    image = write_photo(tmp_path / "elsewhere" / "a.jpg")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "linked").symlink_to(image.parent, target_is_directory=True)
    (image.parent / "back").symlink_to(tmp_path / "images", target_is_directory=True)  # a circle
    (record,), report = read("coco", tmp_path, "a.jpg")
    assert record.path == tmp_path / "images" / "linked" / "a.jpg"
    assert report.noted[SUBFOLDER].count == 1


def test_a_published_label_file_with_the_paths_of_its_machine(tmp_path: Path) -> None:
    image = write_photo(tmp_path / "det" / "train" / "0009.jpg")
    write_text(tmp_path / "det" / "train.txt", f"/PaddleOCR/train_data/det/train/0009.jpg\t{LABEL}\n")
    (record,), report = read_folder("ppocrlabel", tmp_path)["train"]
    assert record.path == image
    assert report.noted[OTHER_FOLDERS].count == 1


@pytest.mark.parametrize("reader", ["labelme", "icdar-folder"])
def test_annotations_in_subfolders_belong_to_the_images_there(tmp_path: Path, reader: str) -> None:
    """Of images of one name in several folders, each has the annotation beside it, or in the folder of that name."""
    truths = {"labelme": ("images", "a.json"), "icdar-folder": ("gts", "a.jpg.txt")}[reader]
    for number, folder in enumerate(("x", "y", "x/z")):
        write_photo(tmp_path / "images" / folder / "a.jpg")
        truth = tmp_path / truths[0] / folder / truths[1]
        text = f"word {number}"
        shapes = [{"label": text, "points": POINTS, "shape_type": "polygon"}]
        if reader == "labelme":
            write_json(truth, {"imagePath": "a.jpg", "shapes": shapes})
        else:
            write_text(truth, f"1,2,30,2,30,12,1,12,{text}")
    values = {one.name: one.default_value for one in READERS[reader].arguments}
    values |= {"images": tmp_path / "images", "ground_truths": tmp_path / truths[0]}
    report = ReadReport(READERS[reader].policy)
    records = list(READERS[reader].read(values, report))
    texts = {str(one.path.parent.relative_to(tmp_path / "images")): one.instances[0].text for one in records}
    assert texts == {"x": "word 0", "y": "word 1", "x/z": "word 2"}
    assert counts(report.dropped) == counts(report.noted) == {}
