"""What holds for the readers of all datasets: they find their splits, read them, and name what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset_files import POINTS, content_of, read_folder, write_photo, write_text
from published_folders import BUILDERS
from scenetext.data.readers import READERS
from scenetext.data.readers.instances import (
    BROKEN_TEXT,
    CROSSING,
    EMPTY_TEXT,
    FEW_POINTS,
    REORDERED,
    TWO_CORNERS,
    WITHOUT_AREA,
    Label,
    make_instances,
    points_of,
)
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import find_path
from scenetext.data.records.files import read_records, write_records
from scenetext.errors import DataError

PENTAGRAM = np.array([[20, 0], [32, 36], [2, 14], [38, 14], [8, 36]], dtype=np.float32)
WITHOUT_SPLITS = {"oclip-table", "tar-shards"}


def test_every_dataset_that_can_be_found_in_a_folder_is_tested() -> None:
    assert {name for name, reader in READERS.items() if not reader.splits} == WITHOUT_SPLITS
    assert BUILDERS.keys() == READERS.keys() - WITHOUT_SPLITS


def test_every_dataset_is_on_the_page(repository: Path) -> None:
    page = (repository / "docs" / "data.md").read_text(encoding="utf-8")
    assert [name for name in READERS if f"`{name}`" not in page] == []


@pytest.mark.parametrize("wrapped", [False, True], ids=["folder itself", "folder around it"])
@pytest.mark.parametrize("name", BUILDERS)
def test_a_dataset_as_unpacked_is_read(tmp_path: Path, name: str, wrapped: bool) -> None:
    build, splits, has_text = BUILDERS[name]
    source = tmp_path / "source"
    build(source / "inner" if wrapped else source)
    found = read_folder(name, source)
    assert tuple(found) == splits
    for split, (records, report) in found.items():
        (record,) = records
        assert (record.width, record.height) == (60, 40)
        assert record.path.is_file()
        assert not report.dropped
        assert content_of(record) == ([] if name == "images" else [("WORD" if has_text else None, False)])
        write_records(tmp_path / f"{split}.jsonl", records)
        (again,) = read_records(tmp_path / f"{split}.jsonl")
        assert content_of(again) == content_of(record)


@pytest.mark.parametrize("name", BUILDERS)
def test_an_empty_folder_is_reported_with_all_that_was_looked_for(tmp_path: Path, name: str) -> None:
    reader = READERS[name]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        read_folder(name, tmp_path / "empty")
    message = str(caught.value)
    if name == "images":  # wherever they are in the folder
        assert f"{tmp_path / 'empty'}: holds no images" in message
    else:
        assert reader.files in message
        for split in reader.splits:
            assert f"  {split}: --" in message


def test_a_split_that_is_not_whole_is_missing_and_its_lacking_place_named(tmp_path: Path) -> None:
    build, _, _ = BUILDERS["icdar2015"]
    build(tmp_path)
    (tmp_path / "ch4_test_images").rename(tmp_path / "elsewhere")
    found = READERS["icdar2015"].find(tmp_path)
    assert list(found.splits) == ["train"]
    (line,) = found.missing["test"]
    assert line.startswith("--images: no folder ch4_test_images or ")


def test_a_split_that_not_everybody_has_is_not_missed(tmp_path: Path) -> None:
    BUILDERS["icdar2015"][0](tmp_path)
    assert not READERS["icdar2015"].find(tmp_path).missing
    write_photo(tmp_path / "val" / "images" / "a.jpg")
    write_text(tmp_path / "val" / "gts" / "gt_a.txt", "1,2,30,2,30,12,1,12,WORD")
    assert list(READERS["icdar2015"].find(tmp_path).splits) == ["train", "test", "val"]


def test_the_whole_folder_counts_only_where_there_are_no_splits(tmp_path: Path) -> None:
    for folder in (".", "train"):
        write_photo(tmp_path / folder / "images" / "a.jpg")
        write_text(tmp_path / folder / "gts" / "a.txt", "1,2,30,2,30,12,1,12,WORD")
    assert list(READERS["icdar-folder"].find(tmp_path).splits) == ["train"]
    (tmp_path / "train").rename(tmp_path / "old")
    assert list(READERS["icdar-folder"].find(tmp_path).splits) == ["all"]


def test_places_are_found_in_any_case_and_ambiguous_ones_refused(tmp_path: Path) -> None:
    for name in ("Images", "part_1", "part_2", ".part_3"):
        (tmp_path / name / "Train").mkdir(parents=True)
    write_text(tmp_path / "part_9", "a file")
    assert find_path(tmp_path, ["none", "images/train"], "folder") in (
        tmp_path / "Images" / "Train",
        tmp_path / "images" / "train",
    )
    assert find_path(tmp_path, ["PART_*"], "folders") == (tmp_path / "part_1", tmp_path / "part_2")
    assert find_path(tmp_path, ["part_*"], "file") == tmp_path / "part_9"
    assert find_path(tmp_path, ["images"], "file") is None
    assert find_path(tmp_path / "part_1", ["*_9/.."], "folder") is None
    assert find_path(tmp_path, ["*_9/.."], "folder") == tmp_path
    with pytest.raises(DataError, match="part_1 and part_2 are both possible"):
        find_path(tmp_path, ["part_*"], "folder")


def test_a_source_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: is not a folder; --source"):
        READERS["totaltext"].find(tmp_path / "nowhere")


def test_the_rules_for_odd_words_are_the_same_everywhere() -> None:
    square = np.array(POINTS, dtype=np.float32)
    report = ReadReport()
    labels = [
        Label(square, "word"),
        Label(square, ""),
        Label(square, None),
        Label(square, "gone", ignore=True),
        Label(square[:2], "line"),
        Label(square[[0, 0, 0]], "point"),
        Label(square[[0, 2, 1, 3]], "diagonal by diagonal"),
        Label(None, "placeless"),
        Label(square, "\ud83d"),
        Label(PENTAGRAM, "star"),
        Label(square[[0, 2]], "corners"),
        Label(square[[0, 1, 3, 2]], "row by row", ignore=True),
    ]
    found = make_instances(labels, "img_1", report)
    assert [(instance.text, instance.ignore) for instance in found] == [
        ("word", False),
        (None, False),
        (None, False),
        (None, True),
        (None, True),
        ("diagonal by diagonal", False),
        ("placeless", False),
        (None, False),
        ("star", False),
        ("corners", False),
        (None, True),
    ]
    for number, polygon in ((5, square), (8, PENTAGRAM), (9, square), (10, square)):
        np.testing.assert_array_equal(found[number].polygon, polygon)
    assert report.dropped[FEW_POINTS].count == 1
    noted = {reason: finding.count for reason, finding in report.noted.items()}
    once = {EMPTY_TEXT: 1, CROSSING: 1, TWO_CORNERS: 1, WITHOUT_AREA: 1}
    assert noted == {**once, REORDERED: 2, BROKEN_TEXT: 1}
    assert report.noted[CROSSING].examples == ["img_1"]


@pytest.mark.parametrize("numbers", [[1, 2, 3], [1, float("nan")], [1, float("inf")], [1, 10**400], [-2e7, 0]])
def test_coordinates_that_are_no_pixels_are_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="coordinates"):
        points_of(numbers)
