"""What lies in a folder is recognised by its content; where two readers fit or none does, the message says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_files import FLAT, HEIGHT, IMAGE, POINTS, QUAD, WIDTH, WORD, write_json, write_photo, write_text
from published_folders import BUILDERS
from scenetext.commands import run_words
from scenetext.data.readers import READERS
from scenetext.data.readers.foreign import foreign_advice
from scenetext.data.readers.recognition import recognise
from scenetext.errors import DataError

UNKNOWN = {"synthtext", "lsvt-weak", "nighttime-art"}
"""Readers that say nothing of a folder: their files are named by the user, or look like those of others."""
OTHERS = {"mmocr-0x": "coco"}
"""What the small copies of these are recognised as."""


@pytest.mark.parametrize("name", sorted(BUILDERS.keys() - UNKNOWN))
def test_every_format_is_recognised_and_no_other_reader_claims_it(tmp_path: Path, name: str) -> None:
    build, splits, _ = BUILDERS[name]
    build(tmp_path / "source")
    found = recognise(tmp_path / "source", READERS)
    assert found.name == OTHERS.get(name, name)
    assert tuple(found.found.splits) == splits
    assert found.reason


def test_the_rest_is_not_taken_for_something_else(tmp_path: Path) -> None:
    for name in UNKNOWN:
        BUILDERS[name][0](tmp_path / name)
        with pytest.raises(DataError, match=r"nothing that is there was recognised \(1 \.(jpg|json|mat), 1 \.\w+\); "):
            recognise(tmp_path / name, READERS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"nothing that is there was recognised \(no files\)"):
        recognise(tmp_path / "empty", READERS)


def write_coco(path: Path) -> None:
    write_json(path, {"images": [IMAGE], "annotations": [WORD], "categories": [{"id": 1, "name": "text"}]})


def labelme(folder: Path) -> None:
    shape = {"label": "A", "points": POINTS, "shape_type": "polygon"}
    write_json(folder / "img_1.json", {"imagePath": "img_1.jpg", "shapes": [shape]})


def db_package(folder: Path) -> None:
    write_photo(folder / "train_images" / "img_1.jpg")
    write_text(folder / "train_gts" / "img_1.jpg.txt", f"{QUAD},1,40,A")


def doctr_splits(folder: Path) -> None:
    for split in ("train", "val"):
        write_photo(folder / split / "images" / "a.jpg")
        write_json(folder / split / "labels.json", {"a.jpg": {"polygons": [POINTS]}})


def mmocr_lines(folder: Path) -> None:
    write_photo(folder / "imgs" / "img_1.jpg")
    entry = {"file_name": "img_1.jpg", "height": HEIGHT, "width": WIDTH, "annotations": [WORD]}
    write_text(folder / "instances_training.txt", json.dumps(entry))


def totaltext_flat(folder: Path) -> None:
    write_photo(folder / "images" / "img1.jpg")
    content = "x: [[1 9 9 1]], y: [[1 1 9 9]], ornt: [u'c'], transcriptions: [u'A']"
    write_text(folder / "gts" / "poly_gt_img1.txt", content)


def td500_flat(folder: Path) -> None:
    write_text(folder / "img_1.gt", "0 0 1 2 29 10 0\n")


def tr400_flat(folder: Path) -> None:
    write_text(folder / "img_1.gt", "0 0 1 2 29 10 0 two words\n")


def readme(folder: Path) -> None:
    for name in ("README.txt", "LICENSE.txt", "notes.txt"):
        write_text(folder / name, "These are images.")


FOLDERS: dict[str, tuple[Callable[[Path], None], str, tuple[str, ...]]] = {
    "COCO under another name": (lambda folder: write_coco(folder / "my labels.json"), "coco", ("all",)),
    "LabelMe, one file": (labelme, "labelme", ("all",)),
    "DB's package": (db_package, "icdar-folder", ("train",)),
    "text files beside images": (
        lambda folder: write_text(folder / "img_1.txt", f"\ufeff{QUAD},A\r{QUAD},###") and None,
        "icdar-folder",
        ("all",),
    ),
    "docTR, splits": (doctr_splits, "doctr", ("train", "val")),
    "MMOCR 0.x, lines": (mmocr_lines, "mmocr-0x", ("train",)),
    "Total-Text, flat": (totaltext_flat, "totaltext", ("all",)),
    "TD500, flat": (td500_flat, "msra-td500", ("all",)),
    "TR400, flat": (tr400_flat, "hust-tr400", ("train",)),
    "images with notes": (readme, "images", ("all",)),
}


@pytest.mark.parametrize(("build", "name", "splits"), FOLDERS.values(), ids=FOLDERS.keys())
def test_folders_of_other_shapes_are_recognised(
    tmp_path: Path, build: Callable[[Path], None], name: str, splits: tuple[str, ...]
) -> None:
    if name not in ("totaltext", "doctr"):
        write_photo(tmp_path / "img_1.jpg")
    build(tmp_path)
    found = recognise(tmp_path, READERS)
    assert (found.name, tuple(found.found.splits)) == (name, splits)


def test_where_two_fit_a_name_is_asked_for(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.jpg")
    labels = json.dumps([{"transcription": "A", "points": POINTS}])
    write_text(tmp_path / "Label.txt", f"a.jpg\t{labels}\n")
    write_json(tmp_path / "a.json", {"imagePath": "a.jpg", "shapes": []})
    with pytest.raises(DataError) as caught:
        recognise(tmp_path, READERS)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: could be read in several ways:\n")
    assert "\n  labelme: a.json has shapes on one image" in message
    assert "\n  ppocrlabel: Label.txt has names of images and lists of words" in message
    assert f"\n  scenetext prepare labelme --source {tmp_path} --output data/{tmp_path.name}" in message


VIA = {"a.jpg9": {"filename": "a.jpg", "size": 9, "regions": [], "file_attributes": {}}}
VOTT_ASSET = {"asset": {"name": "a.jpg"}, "regions": [], "version": "2.1.0"}
TASK = {"id": 1, "annotations": [{"result": []}], "data": {"ocr": "/data/upload/a.jpg"}}
FOREIGN: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "VIA, an export": ("via.json", json.dumps(VIA), ("(VIA)", "Export Annotations (COCO format)")),
    "VIA, a project": ("p.json", json.dumps({"_via_settings": {}, "_via_img_metadata": VIA}), ("(VIA)", "COCO")),
    "VIA, a table": ("via.csv", "filename,file_size,region_shape_attributes\na.jpg,9,{}", ("(VIA)", "COCO")),
    "VoTT, an image": ("8f-asset.json", json.dumps(VOTT_ASSET), ("VoTT", "Pascal VOC", "CVAT", "COCO 1.0")),
    "VoTT, an export": ("e.json", json.dumps({"name": "x", "tags": [], "assets": {}}), ("VoTT", "Pascal VOC")),
    "VoTT, a project": ("x.vott", "encrypted", ("VoTT", "Pascal VOC")),
    "Label Studio": ("project-1.json", json.dumps([TASK]), ("Label Studio", "COCO", "without texts")),
    "Label Studio, short": ("min.json", json.dumps([{"image": "a.jpg", "annotator": 1}]), ("Label Studio", "COCO")),
    "CVAT": ("annotations.xml", "<annotations>\n<version>1.1</version>", ("CVAT", "COCO 1.0")),
    "Pascal VOC": ("a.xml", "<annotation>\n<object></object></annotation>", ("Pascal VOC", "COCO 1.0")),
    "YOLO": ("a.txt", "0 0.5 0.5 0.1 0.2\n1 0.25 0.5 0.1 0.1", ("YOLO", "COCO 1.0")),
    "records": ("all.jsonl", '{"path": "a.jpg", "width": 1, "height": 1, "instances": []}', ("records file",)),
}


@pytest.mark.parametrize(("name", "content", "parts"), FOREIGN.values(), ids=FOREIGN.keys())
def test_formats_that_are_not_read_are_pointed_to_an_export_that_is(
    tmp_path: Path, name: str, content: str, parts: tuple[str, ...]
) -> None:
    write_photo(tmp_path / "a.jpg")
    path = write_text(tmp_path / name, content)
    with pytest.raises(DataError, match=name.replace(".", r"\.")) as caught:
        recognise(tmp_path, READERS)
    assert all(part in str(caught.value) for part in parts)
    assert foreign_advice(path) == foreign_advice(tmp_path)
    (advice,) = foreign_advice(path)
    if "prepare coco" in advice:
        flags = ["--images", str(tmp_path), "--ground-truths", str(path), "--output", str(tmp_path / "out.jsonl")]
        with pytest.raises(DataError, match="prepare coco"):
            run_words(["prepare", "coco", *flags])


def test_what_is_read_gets_no_such_advice(tmp_path: Path) -> None:
    for name, (build, _, _) in BUILDERS.items():
        build(tmp_path / name)
        assert foreign_advice(tmp_path / name) == [], name


def test_the_command_says_what_it_found_and_why_and_prepares_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "mine" / "images" / "img_1.jpg")
    write_coco(tmp_path / "mine" / "annotations.json")
    for words in (["mine"], ["folder", "mine", "--output", "elsewhere"]):
        run_words(["prepare", *words])
        printed = capsys.readouterr().out
        assert printed.startswith("mine: coco, data of your own in COCO's form")
        assert "\n  since annotations.json has images and annotations, as files in COCO's form have\n" in printed
    for folder in ("data/mine", "elsewhere"):
        assert json.loads((tmp_path / folder / "all.jsonl").read_text())["instances"][0]["polygon"] == POINTS


def test_a_name_that_is_neither_folder_nor_dataset_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"totaltxt: is neither a folder nor a dataset; did you mean totaltext\?"):
        run_words(["prepare", "totaltxt"])
    with pytest.raises(DataError, match="nowhere: is neither a folder nor a dataset[.] `scenetext"):
        run_words(["prepare", str(tmp_path / "nowhere")])


def test_a_reader_that_finds_its_files_but_not_their_content_does_not_claim_them(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "a.jpg")
    write_json(tmp_path / "labels.json", {"a.jpg": "WORD"})
    write_text(tmp_path / "gts" / "a.txt", "these are notes")
    write_json(tmp_path / "annotations.json", {"polygons": FLAT})
    with pytest.raises(DataError, match="nothing that is there was recognised"):
        recognise(tmp_path, READERS)


def icdar_folder_with_a_broken_file(folder: Path) -> list[str]:
    for number in range(3):
        write_photo(folder / "images" / f"{number}.jpg")
        write_text(
            folder / "gts" / f"{number}.txt", f"{','.join(map(str, FLAT))},word\n" if number else "this is no line\n"
        )
    return ["prepare", str(folder), "--output", str(folder / "out")]


def test_one_broken_text_file_neither_hides_the_format_nor_ends_the_conversion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = icdar_folder_with_a_broken_file(tmp_path)
    assert not run_words(words)
    printed = capsys.readouterr().out
    assert "icdar-folder" in printed
    assert "images whose annotation is broken: 1 (" in printed
    with pytest.raises(DataError, match=r"0\.txt:1: expected x1,y1"):
        run_words([*words, "--broken", "stop"])
