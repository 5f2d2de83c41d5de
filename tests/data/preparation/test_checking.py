"""A check finds what was put wrong, counts each thing once, and is made again exactly when its file has changed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetext.data.preparation import check_cache, processes
from scenetext.data.preparation.check_cache import checked_records
from scenetext.data.preparation.checks import RecordsCheck, check_records, check_report, verdict
from scenetext.data.preparation.shard_writing import write_shards
from scenetext.data.readers import ReadReport
from scenetext.data.records.files import RecordFile, read_records, write_records
from scenetext.data.records.images import write_image
from scenetext.data.records.index import records_index
from scenetext.data.records.results import results_folder
from scenetext.errors import DataError
from scenetext.geometry.polygon import is_valid, polygon_area
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet

SQUARE = np.array([[10, 10], [50, 10], [50, 40], [10, 40]], dtype=np.float32)
SILENT = pytest.fail
"""For checks that should have nothing to tell."""


def make_records(folder: Path, count: int) -> list[ImageRecord]:
    records = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        write_image(path, np.full((48, 64, 3), number, dtype=np.uint8))
        records.append(ImageRecord(path, 64, 48, (TextInstance(SQUARE, "wörd"),)))
    return records


def checked(
    path: Path, folder: Path | None = None, again: bool = False, report: Callable[[str], None] = SILENT
) -> RecordsCheck:
    return checked_records(path, records_index(path, folder, report), again)


def check_of(folder: Path, records: list[ImageRecord]) -> RecordsCheck:
    write_records(folder / "a.jsonl", records)
    return check_records(RecordFile(folder / "a.jsonl"))


def test_a_sound_file_is_usable(tmp_path: Path) -> None:
    check = check_of(tmp_path, make_records(tmp_path, 3))
    assert check == RecordsCheck(images=3, instances=3, texts=("wörd",), characters={"w": 3, "ö": 3, "r": 3, "d": 3})
    assert check.is_usable
    assert verdict(check) == "usable"


@pytest.mark.parametrize("at_a_time", [1, 4, 4096])
def test_every_fault_of_an_image_is_found_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(processes, "_RANGE", at_a_time)
    records = make_records(tmp_path, 6)
    records[1].path.unlink()
    records[2].path.write_bytes(b"no image")
    records[3].path.write_bytes(b"")
    records[4] = replace(records[4], width=48, height=64)
    check = check_of(tmp_path, records)
    assert (check.missing, check.unreadable, check.other_size, check.faulty_images) == (1, 2, 1, 4)
    assert [fault.split(":")[0] for fault in check.faults] == [str(record.path) for record in records[1:5]]
    assert "image is 64 x 48 pixels (width x height), its record says 48 x 64" in check.faults[-1]
    assert not check.is_usable
    assert verdict(check) == "NOT USABLE as it is: 4 of 6 images cannot be used"


def test_images_in_shards_are_checked_by_their_headers(tmp_path: Path) -> None:
    records = make_records(tmp_path, 4)
    write_shards(records, tmp_path / "shards", 2, 0, ReadReport())
    index = tmp_path / "shards" / "records.jsonl"
    assert check_records(RecordFile(index)).is_usable
    shards = sorted((tmp_path / "shards").glob("*.tar"))
    shards[0].unlink()
    last = read_records(index)[-1]
    assert last.span is not None
    shards[1].write_bytes(shards[1].read_bytes()[: last.span[0] + last.span[1] - 1])
    check = check_records(RecordFile(index))
    assert (check.missing, check.unreadable) == (2, 1)
    assert "cut short: 1 of" in check.faults[-1]


def test_a_long_header_in_a_shard_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "0.jpg"
    write_image(path, np.zeros((48, 64, 3), dtype=np.uint8))
    content = path.read_bytes()
    comments = (b"\xff\xfe" + (1002).to_bytes(2, "big") + bytes(1000)) * 20
    path.write_bytes(content[:2] + comments + content[2:])
    write_shards([ImageRecord(path, 64, 48, ())], tmp_path / "shards", 2, 0, ReadReport())
    assert check_records(RecordFile(tmp_path / "shards" / "records.jsonl")).is_usable


def test_words_and_polygons_are_counted_by_what_is_odd_about_them(tmp_path: Path) -> None:
    crossing = SQUARE[[0, 2, 1, 3]]
    line = np.array([[0, 0], [5, 5], [0, 0]], dtype=np.float32)
    instances = (
        TextInstance(crossing, "a"),
        TextInstance(line, "b"),
        TextInstance(SQUARE + np.float32([60, 0]), None),
        TextInstance(SQUARE - np.float32([50, 0]), "on the border"),
        TextInstance(None, "c"),
        TextInstance(line, None, ignore=True),
        TextInstance(None, "d", ignore=True),
    )
    (record,) = make_records(tmp_path, 1)
    check = check_of(tmp_path, [replace(record, instances=instances)])
    assert check.model_dump(exclude={"characters", "faults", "faulty", "texts"}, exclude_defaults=True) == {
        **{"images": 1, "instances": 7, "ignored": 2, "without_text": 1, "without_polygon": 1},
        **{"crossing": 1, "flat": 1, "outside": 2},
    }
    assert "d" in check.characters  # of "border"; the ignored "d" does not count
    assert check.characters["d"] == 1
    assert " " not in check.characters


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(*[st.integers(-3, 12)] * 2), min_size=3, max_size=6), min_size=1, max_size=6))
def test_polygons_are_judged_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, outlines: list[list[tuple[int, int]]]
) -> None:
    folder = tmp_path_factory.mktemp("check")
    polygons = [np.array(outline, dtype=np.float32) for outline in outlines]
    instances = tuple(TextInstance(polygon, None) for polygon in polygons)
    check = check_of(folder, [ImageRecord(folder / "none.jpg", 10, 10, instances)])

    def is_flat(polygon: np.ndarray) -> bool:
        first = polygon - polygon[0]
        return np.linalg.matrix_rank(first) < 2

    flat = [is_flat(polygon) for polygon in polygons]
    assert check.flat == sum(flat)
    valid = [is_valid(polygon) and polygon_area(polygon) > 0 for polygon in polygons]
    assert check.crossing == sum(not one and not other for one, other in zip(valid, flat, strict=True))
    beyond = [(p.max(axis=0) <= 0).any() or (p.min(axis=0) >= 10).any() for p in polygons]
    assert check.outside == sum(one and not other for one, other in zip(beyond, flat, strict=True))


def test_broken_lines_are_counted_and_the_rest_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, make_records(tmp_path, 3))
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], lines[1][:-5], lines[2], b'{"path": 3}' + b" " * 40]))
    check = check_records(RecordFile(path))
    assert (check.images, check.broken_lines, check.instances) == (4, 2, 2)
    assert [fault.split(": ")[0] for fault in check.faults] == [f"{path}:2", f"{path}:4"]
    with pytest.raises(DataError, match=r"none\.jsonl: records file cannot be read"):
        check_records(RecordFile(tmp_path / "none.jsonl"))


def test_files_without_anything_to_learn_from_are_not_usable(tmp_path: Path) -> None:
    assert verdict(check_of(tmp_path, [])) == "NOT USABLE as it is: it has no images"
    (record,) = make_records(tmp_path, 1)
    ignored = replace(record, instances=(TextInstance(SQUARE, None, ignore=True),) * 2)
    assert (
        verdict(check_of(tmp_path, [ignored]))
        == "NOT USABLE as it is: every one of the 2 instances is marked as ignored"
    )
    assert check_of(tmp_path, [replace(record, instances=())]).is_usable, "images without text are fine"


def test_the_report_names_unknown_characters(tmp_path: Path) -> None:
    check = check_of(tmp_path, make_records(tmp_path, 2))
    report = "\n".join(check_report(tmp_path / "a.jsonl", check, CharacterSet.english()))
    assert "\n    'ö' (U+00F6): 2 times" in report
    assert re.search(r"unknown to the dictionary +1\n", report)
    assert "unknown to" not in "\n".join(check_report(tmp_path / "a.jsonl", check, None))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were checked, not taken from what was kept."""
    checked: list[Path] = []

    def check(records: RecordFile) -> RecordsCheck:
        checked.append(records.path)
        return check_records(records)

    monkeypatch.setattr(check_cache, "check_records", check)
    return checked


def test_a_result_is_kept_until_the_file_changes(tmp_path: Path, counted: list[Path]) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, make_records(tmp_path, 2))
    first = checked(path)
    assert checked(path) == first
    assert counted == [path]
    assert checked(path, again=True) == first
    assert counted == [path] * 2
    status = path.stat()
    path.write_bytes(path.read_bytes().replace("ö".encode(), b"oo"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert checked(path).characters["o"] == 4, "size and time of a change may lie"
    os.utime(path, ns=(0, 0))
    checked(path)
    assert len(counted) == 3, "other times, the same content"


@pytest.mark.parametrize("fault", ["missing", "unreadable", "other_size"])
def test_images_that_were_faulty_are_looked_at_again(tmp_path: Path, counted: list[Path], fault: str) -> None:
    path, (first, second, _) = tmp_path / "a.jsonl", make_records(tmp_path, 3)
    write_records(path, [first, second])
    sound = [record.path.read_bytes() for record in (first, second)]
    write_image(tmp_path / "small.jpg", np.zeros((4, 4, 3), dtype=np.uint8))
    for record in (first, second):
        record.path.write_bytes(b"" if fault == "unreadable" else (tmp_path / "small.jpg").read_bytes())
        if fault == "missing":
            record.path.unlink()
    faulty = checked(path)
    assert (faulty.faulty_images, set(faulty.faulty.values())) == (2, {fault})
    assert checked(path) == faulty
    assert counted == [path], "nothing changed"
    second.path.write_bytes(sound[1])
    assert checked(path).faulty == {0: fault}
    first.path.write_bytes(sound[0])
    assert checked(path).is_usable
    assert counted == [path] * 3


def test_another_fault_of_a_faulty_image_is_reported_as_it_is_now(tmp_path: Path) -> None:
    path, records = tmp_path / "a.jsonl", make_records(tmp_path, 1)
    write_records(path, records)
    records[0].path.unlink()
    assert checked(path).missing == 1
    records[0].path.write_bytes(b"half a download")
    assert checked(path).unreadable == 1


def test_a_result_does_not_hold_for_a_copy_elsewhere(tmp_path: Path, counted: list[Path]) -> None:
    """Its images may be missing there."""
    path, other = tmp_path / "data" / "a.jsonl", tmp_path / "copy" / "a.jsonl"
    write_records(path, make_records(tmp_path / "data", 2))
    checked(path)
    other.parent.mkdir()
    shutil.copy2(path, other)
    shutil.copytree(results_folder(path, None), results_folder(other, None))
    assert checked(other).missing == 2
    assert counted == [path, other]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]", b'{"file": {}, "check": {}}'])
def test_what_is_no_result_is_made_again(tmp_path: Path, counted: list[Path], content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, make_records(tmp_path, 1))
    kept = results_folder(path, None) / "check"
    kept.parent.mkdir()
    kept.write_bytes(content)
    assert checked(path).images == 1
    checked(path)
    assert counted == [path]


def test_results_go_to_a_folder_of_their_own_and_do_not_collide(tmp_path: Path, counted: list[Path]) -> None:
    for name in ("one", "two"):
        write_records(tmp_path / name / "a.jsonl", make_records(tmp_path / name, 1 + len(name) % 2))
        for _ in range(2):
            checked(tmp_path / name / "a.jsonl", tmp_path / "kept")
    assert len(counted) == 2
    assert len(list((tmp_path / "kept").iterdir())) == 2
    assert not results_folder(tmp_path / "one" / "a.jsonl", None).exists()


def test_a_folder_that_cannot_be_written_to_is_reported_and_does_not_stop(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, make_records(tmp_path, 1))
    (tmp_path / "file").write_bytes(b"")
    reported: list[str] = []
    assert checked(path, tmp_path / "file" / "kept", report=reported.append).is_usable
    assert len(reported) == 1
    assert "cannot be kept" in reported[0]
    assert "data.check_folder" in reported[0]
