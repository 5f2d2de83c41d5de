"""Splits under other names, and what lies beside the splits of a dataset: found, or named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dataset_files import POINTS, write_json, write_photo, write_text
from published_folders import BUILDERS
from scenetext.commands import run_verb
from scenetext.data.preparation.datasets import SplitImages, prepare_dataset
from scenetext.data.readers import READERS
from scenetext.data.readers.splits import find_path
from scenetext.errors import DataError

WORDS = "1,2,30,2,30,12,1,12,A"
LABEL = json.dumps([{"transcription": "A", "points": POINTS, "difficult": False}])
VALIDATION = ("val", "valid", "validation", "dev", "Valid", "VAL")


def icdar(folder: Path, split: str) -> None:
    write_photo(folder / split / "images" / f"{split}.jpg")
    write_text(folder / split / "gts" / f"{split}.txt", WORDS)


def coco(folder: Path, split: str) -> None:
    write_photo(folder / split / "a.jpg")
    content = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}
    write_json(folder / split / "_annotations.coco.json", content)


def labelme(folder: Path, split: str) -> None:
    write_photo(folder / split / "a.jpg")
    shapes = [{"label": "A", "points": POINTS, "shape_type": "polygon", "flags": {}}]
    write_json(folder / split / "a.json", {"imagePath": "a.jpg", "shapes": shapes})


def ppocrlabel(folder: Path, split: str) -> None:
    write_photo(folder / split / "a.jpg")
    write_text(folder / f"{split}.txt", f"{split}/a.jpg\t{LABEL}\n")


def mmocr(folder: Path, split: str) -> None:
    write_photo(folder / "imgs" / f"{split}.jpg")
    write_json(folder / f"textdet_{split}.json", {"data_list": [{"img_path": f"imgs/{split}.jpg", "instances": []}]})


def mmocr0(folder: Path, split: str) -> None:
    write_photo(folder / "imgs" / "a.jpg")
    content = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}
    write_json(folder / f"instances_{split}.json", content)


def doctr(folder: Path, split: str) -> None:
    write_photo(folder / split / "images" / "a.jpg")
    write_json(folder / split / "labels.json", {"a.jpg": {"polygons": [POINTS]}})


WRITERS = {
    "icdar-folder": icdar,
    "coco": coco,
    "labelme": labelme,
    "ppocrlabel": ppocrlabel,
    "mmocr-1x": mmocr,
    "mmocr-0x": mmocr0,
    "doctr": doctr,
}


@pytest.mark.parametrize("reader", WRITERS)
def test_a_split_under_another_name_is_found(tmp_path: Path, reader: str) -> None:
    for name in VALIDATION:
        folder = tmp_path / f"with_{name}"
        for split in ("training", name, "test"):
            WRITERS[reader](folder, split)
        found = READERS[reader].find(folder)
        assert set(found.splits) == {"train", "val", "test"}, name
        used = [str(value) for value in found.splits["val"].values() if value is not None]
        assert any(name in Path(value).relative_to(folder).as_posix() for value in used if value.startswith("/")), used
        assert found.unread == []


def test_a_published_split_under_another_name_is_found(tmp_path: Path) -> None:
    BUILDERS["msra-td500"][0](tmp_path)
    train = READERS["msra-td500"].find(tmp_path).splits["train"]["images"]
    train.rename(train.with_name("training"))
    assert set(READERS["msra-td500"].find(tmp_path).splits) == {"train", "test"}


def test_two_names_of_one_split_are_refused(tmp_path: Path) -> None:
    for split in ("train", "val", "valid"):
        icdar(tmp_path, split)
    with pytest.raises(DataError, match=r"val/images and .*valid/images are both possible"):
        READERS["icdar-folder"].find(tmp_path)


def test_what_no_split_has_is_named(tmp_path: Path) -> None:
    for split in ("train", "holdout"):
        icdar(tmp_path, split)
    (tmp_path / "notes").mkdir()
    assert READERS["icdar-folder"].find(tmp_path).unread == [tmp_path / "holdout"]
    mixed = tmp_path / "mixed"
    for split in ("train", "minival"):
        ppocrlabel(mixed, split)
    assert READERS["ppocrlabel"].find(mixed).unread == [mixed / "minival", mixed / "minival.txt"]


def test_names_of_splits_are_whole_words(tmp_path: Path) -> None:
    for name in ("training2017", "interval", "contest", "valley"):
        (tmp_path / name).mkdir()
    assert find_path(tmp_path, ["train2017"], "folder") == tmp_path / "training2017"
    assert find_path(tmp_path, ["val"], "folder") is None
    assert find_path(tmp_path, ["test"], "folder") is None


def test_an_image_in_two_splits_is_noted(tmp_path: Path) -> None:
    for split in ("train", "val"):
        icdar(tmp_path, split)
    write_text(tmp_path / "val" / "gts" / "linked.txt", WORDS)
    os.link(tmp_path / "train" / "images" / "train.jpg", tmp_path / "val" / "images" / "linked.jpg")
    write_text(tmp_path / "val" / "gts" / "pointed.txt", WORDS)
    (tmp_path / "val" / "images" / "pointed.jpg").symlink_to(tmp_path / "train" / "images" / "train.jpg")
    reader, images = READERS["icdar-folder"], SplitImages()
    splits = reader.find(tmp_path).splits
    train, val = (
        prepare_dataset(reader, splits[name], tmp_path / f"{name}.jsonl", others=images) for name in ("train", "val")
    )
    assert "images that are also in train" not in train.report.noted
    assert str(val.report.noted["images that are also in train"]) == "2 (linked.jpg, pointed.jpg)"
    assert val.summary.images == 3


def test_the_command_reports_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "data", tmp_path / "out"
    for split in ("train", "valid", "holdout"):
        icdar(source, split)
    write_photo(source / "train" / "images" / "extra.jpg")
    arguments = ["icdar-folder", "--source", str(source), "--output", str(output)]
    assert not run_verb("prepare", arguments)
    printed = capsys.readouterr().out
    assert f"not read: {source / 'holdout'}" in printed
    assert f"{output / 'val.jsonl'}: 1 images" in printed
    assert "dropped: images that no annotation belongs to: 1 (extra.jpg)" in printed
    assert not run_verb("prepare", [*arguments, "--without-labels", "keep"])
    assert f"{output / 'train.jsonl'}: 2 images" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"extra\.jpg"):
        run_verb("prepare", [*arguments, "--without-labels", "stop"])
    for split in ("train", "val"):
        mmocr(tmp_path / "mmocr", split)
    shared = ["--source", str(tmp_path / "mmocr"), "--output", str(output), "--without-labels", "keep"]
    with pytest.raises(DataError, match="splits share the images in"):
        run_verb("prepare", ["mmocr-1x", *shared])
