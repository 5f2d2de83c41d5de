"""ArT and LSVT: labels in one object, by the names of images."""

from __future__ import annotations

import json
from pathlib import Path

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
from scenetext.data.readers.art2019 import EXCLUDED
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.instances import BROKEN_TEXT, EMPTY_TEXT, FEW_POINTS
from scenetext.data.readers.keyed_labels import MISSING, UNLABELLED
from scenetext.errors import DataError


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
    assert content_of(record) == [
        *((f"w{number}", False) for number in numbers),
        *(ignored, ignored, ignored, ("中文", False), unknown, unknown),
    ]
    assert [len(polygon) for polygon in polygons(record)][:6] == list(numbers)
    assert polygons(record)[2] == outline(10)
    assert counts(report.dropped) == {FEW_POINTS: 1}
    assert counts(report.noted) == {EMPTY_TEXT: 1, BROKEN_TEXT: 1}


def test_art_images_of_other_benchmarks_are_excluded_by_a_list(tmp_path: Path) -> None:
    names = [f"gt_{number}" for number in range(4)]
    for name in names:
        write_photo(tmp_path / "train_images" / f"{name}.jpg")
    write_json(tmp_path / "train_labels.json", {name: [] for name in names})
    listed = write_text(tmp_path / "in_totaltext.txt", "gt_1\r\n\ngt_3.jpg\n")
    records, report = read_folder("art2019", tmp_path, exclude=listed)["train"]
    assert [record.path.stem for record in records] == ["gt_0", "gt_2"]
    assert report.dropped[EXCLUDED].examples == ["gt_1", "gt_3"]
    assert UNLABELLED not in report.dropped
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
    assert counts(report.dropped) == {MISSING: 1, UNLABELLED: 1, UNREADABLE: 1}
    assert report.dropped[MISSING].examples == ["gt_4"]
    (tmp_path / "train_full_images_0" / "gt_10.jpg").unlink()
    with pytest.raises(DataError, match=r"none of the 1 images that are wanted of it is in .*train_full_images_0"):
        read_folder("lsvt", tmp_path)
