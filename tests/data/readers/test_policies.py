"""What readers of anyone's data do with images that cannot be used: count, keep or stop, as their user says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_files import POINTS, counts, write_json, write_photo, write_text
from published_folders import BUILDERS
from scenetext.data.readers import READERS, Policy, ReadReport
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.labelled import TWICE, UNLABELLED, UNLABELLED_KEPT
from scenetext.data.readers.policy import OWN
from scenetext.data.readers.report import BROKEN
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord

LABEL = {"transcription": "A", "points": POINTS, "difficult": False}
SHAPE = {"label": "A", "points": POINTS, "shape_type": "polygon", "flags": {}}
WORD = {"category_id": 1, "bbox": [1, 2, 29, 10]}
NAMES = ("a.jpg", "b.jpg", "c.jpg")


def write_coco(folder: Path, names: tuple[str, ...]) -> None:
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    words = [{**WORD, "image_id": number} for number in range(len(names))]
    content = {"images": images, "annotations": words, "categories": []}
    write_json(folder / "annotations.json", content)


def write_mmocr(folder: Path, names: tuple[str, ...]) -> None:
    flat = [number for point in POINTS for number in point]
    content = [{"img_path": f"images/{name}", "instances": [{"polygon": flat, "text": "A"}]} for name in names]
    write_json(folder / "textdet_train.json", {"metainfo": {}, "data_list": content})


def write_doctr(folder: Path, names: tuple[str, ...]) -> None:
    write_json(folder / "labels.json", {name: {"img_dimensions": [60, 40], "polygons": [POINTS]} for name in names})


def write_ppocrlabel(folder: Path, names: tuple[str, ...]) -> None:
    write_text(folder / "Label.txt", "".join(f"images/{name}\t{json.dumps([LABEL])}\n" for name in names))


def write_labelme(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_json(folder / "annotations" / f"{name}.json", {"imagePath": name, "shapes": [SHAPE]})


def write_icdar(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_text(folder / "gts" / f"{name}.txt", "1,2,30,2,30,12,1,12,A")


WRITERS: dict[str, Callable[[Path, tuple[str, ...]], None]] = {
    "coco": write_coco,
    "mmocr-1x": write_mmocr,
    "doctr": write_doctr,
    "ppocrlabel": write_ppocrlabel,
    "labelme": write_labelme,
    "icdar-folder": write_icdar,
}


def break_one(folder: Path) -> None:
    """Makes the annotation of b.jpg one that cannot be parsed."""
    if (labels := folder / "labels.json").exists():
        write_json(labels, {**json.loads(labels.read_text()), "b.jpg": {"polygons": [[1, "x"]]}})
    for path in (folder / "annotations.json", folder / "textdet_train.json", folder / "Label.txt"):
        if path.exists() and path.suffix == ".json":
            content = json.loads(path.read_text())
            entry = (content.get("images") or content["data_list"])[1]
            del entry["file_name" if "file_name" in entry else "img_path"]
            write_json(path, content)
        elif path.exists():
            lines = path.read_text().splitlines(keepends=True)
            write_text(path, "".join([lines[0], lines[1].replace('"points"', '"point'), lines[2]]))
    for path in (folder / "annotations" / "b.jpg.json", folder / "gts" / "b.jpg.txt"):
        if path.exists():
            path.write_bytes(b"1,2,3\xff")


def read(name: str, folder: Path, **policy: Any) -> tuple[list[str], dict[str, int], ReadReport]:
    """Names of the images that are in the records, counts of those that are not, and the report."""
    (values,) = READERS[name].find(folder).splits.values()
    choices = {one: getattr(OWN, one) for one in OWN.__slots__}
    report = ReadReport(Policy(**{**choices, **policy}))
    records: list[ImageRecord] = list(READERS[name].read(values, report))
    return [record.path.name for record in records], counts(report.dropped), report


@pytest.fixture(params=WRITERS)
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A reader, and a folder with three images for it."""
    for name in NAMES:
        write_photo(tmp_path / "images" / name)
    WRITERS[request.param](tmp_path, NAMES)
    return request.param, tmp_path


def test_an_image_without_labels(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    write_photo(folder / "images" / "d.png")
    assert read(name, folder)[:2] == ([*NAMES], {UNLABELLED: 1})
    names, dropped, report = read(name, folder, without_labels="keep")
    assert (names, dropped) == ([*NAMES, "d.png"], {})
    assert report.noted[UNLABELLED_KEPT].examples == ["d.png"]
    with pytest.raises(DataError, match=r"images that no annotation belongs to: 1 \(d\.png\)"):
        read(name, folder, without_labels="stop")


def test_images_that_are_missing_or_unreadable(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    (folder / "images" / "b.jpg").write_bytes(b"")
    assert read(name, folder)[:2] == (["a.jpg", "c.jpg"], {UNREADABLE: 1})
    with pytest.raises(ImageError, match=r"b\.jpg"):
        read(name, folder, unreadable="stop")
    (folder / "images" / "b.jpg").unlink()
    assert read(name, folder)[:2] == (["a.jpg", "c.jpg"], {UNREADABLE: 1})


def test_a_broken_annotation(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    break_one(folder)
    names, dropped, report = read(name, folder)
    assert names == ["a.jpg", "c.jpg"]
    assert dropped[BROKEN] == 1
    assert str(folder) in report.dropped[BROKEN].examples[0]
    with pytest.raises(DataError) as caught:
        read(name, folder, broken="stop")
    assert str(caught.value) == report.dropped[BROKEN].examples[0]


@pytest.mark.parametrize("name", ["labelme", "icdar-folder"])
def test_an_image_whose_annotation_is_broken_is_not_one_without_text(tmp_path: Path, name: str) -> None:
    for image in NAMES:
        write_photo(tmp_path / "images" / image)
    for image in NAMES:
        write_json(tmp_path / "annotations" / f"{Path(image).stem}.json", {"imagePath": image, "shapes": [SHAPE]})
    write_icdar(tmp_path, NAMES)
    (tmp_path / "annotations" / "b.json").write_bytes(b"{")
    (tmp_path / "gts" / "b.jpg.txt").write_bytes(b"1,2")
    names, dropped, _ = read(name, tmp_path, without_labels="keep")
    assert names == ["a.jpg", "c.jpg"]
    assert dropped == {BROKEN: 1}


def test_too_much_skipped_stops(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    for image in ("a.jpg", "b.jpg"):
        (folder / "images" / image).write_bytes(b"")
    message = (
        r"2 of 3 images cannot be used, more than a share of 0\.5 \(--maximum-skipped-share\): images that .*: 2 \(a"
    )
    with pytest.raises(DataError, match=message):
        read(name, folder)
    assert read(name, folder, maximum_skipped_share=0.7)[0] == ["c.jpg"]
    with pytest.raises(DataError, match=r"from 0 to 1, got 3"):
        Policy(maximum_skipped_share=3)


def test_one_image_twice_is_one_record_with_the_labels_of_both(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "a.jpg")
    lower = {**LABEL, "points": [[x, y + 20] for x, y in POINTS], "transcription": "B"}
    first, second = json.dumps([LABEL]), json.dumps([LABEL, lower])
    write_text(tmp_path / "Label.txt", f"images/a.jpg\t{first}\nimages/a.jpg\t{second}\n./images//a.jpg\t{first}\n")
    (values,) = READERS["ppocrlabel"].find(tmp_path).splits.values()
    report = ReadReport(OWN)
    (record,) = READERS["ppocrlabel"].read(values, report)
    assert [instance.text for instance in record.instances] == ["A", "B"]
    assert report.noted[TWICE].count == 1
    images = [{"id": number, "file_name": "a.jpg"} for number in (1, 2)]
    words = [{**WORD, "image_id": 1}, {**WORD, "image_id": 2, "bbox": [1, 20, 29, 10]}]
    write_json(tmp_path / "annotations.json", {"images": images, "annotations": words, "categories": []})
    (values,) = READERS["coco"].find(tmp_path).splits.values()
    (record,) = READERS["coco"].read(values, report)
    assert len(record.instances) == 2
    assert report.noted[TWICE].count == 2


def test_two_text_files_of_one_image_are_no_pair(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "a.jpg")
    for name in ("a.txt", "gt_a.txt", "nothing.txt"):
        write_text(tmp_path / "gts" / name, "1,2,30,2,30,12,1,12,A")
    names, dropped, report = read("icdar-folder", tmp_path, maximum_skipped_share=1)
    assert names == ["a.jpg"]
    assert dropped == {BROKEN: 1, UNREADABLE: 1}
    assert "gt_a.txt: belongs to the same image as a.txt" in report.dropped[BROKEN].examples[0]
    assert report.dropped[UNREADABLE].examples == ["nothing.txt"]


def test_published_datasets_stay_strict(tmp_path: Path) -> None:
    BUILDERS["icdar2015"][0](tmp_path)
    reader = READERS["icdar2015"]
    assert reader.policy == Policy()
    split = next(iter(reader.find(tmp_path).splits.values()))
    write_photo(split["images"] / "extra.jpg")
    with pytest.raises(DataError, match=r"1 images in .* have no ground truth"):
        list(reader.read(split, ReadReport(reader.policy)))
    assert {name for name, one in READERS.items() if one.is_own} == {
        *("images", "icdar-folder", "coco", "labelme", "ppocrlabel", "mmocr-0x", "mmocr-1x", "doctr")
    }
