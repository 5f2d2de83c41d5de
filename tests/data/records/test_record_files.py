"""Records left on disk are those that a list would hold, wherever and however often they are asked for."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetext.data.records.files import RecordFiles, RecordView, read_records, write_records
from scenetext.errors import DataError
from scenetext.structures import ImageRecord, TextInstance


def make_file(path: Path, count: int) -> Path:
    write_records(path, (ImageRecord(path.parent / f"{path.stem}_{i}.jpg", 5, 4, ()) for i in range(count)))
    return path


def names(records: object) -> list[str]:
    return [record.path.name for record in records]  # type: ignore[attr-defined]


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), max_size=3), max_size=6
    ),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    between=st.lists(st.sampled_from([b"\n", b" \n", b"\r\n", b"\t\r\n"]), max_size=3),
)
def test_a_file_gives_what_read_records_gives(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]], mark: bytes, between: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("records") / "a.jsonl"
    records = [ImageRecord(path.parent / "a.jpg", 5, 4, tuple(TextInstance(None, t) for t in words)) for words in texts]
    write_records(path, records)
    path.write_bytes(mark + b"".join(b"".join(between) + line for line in path.read_bytes().splitlines(keepends=True)))
    found = RecordFiles([path])
    expected = read_records(path)
    assert len(found) == len(expected) == len(texts)
    for one, other in zip(found, expected, strict=True):
        assert (one.path, [i.text for i in one.instances]) == (other.path, [i.text for i in other.instances])


def test_several_files_follow_each_other_and_empty_ones_are_no_matter(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "blank.jsonl").write_bytes(b"\n \n")
    paths = [make_file(tmp_path / "a.jsonl", 2), tmp_path / "empty.jsonl", make_file(tmp_path / "b.jsonl", 3)]
    found = RecordFiles([tmp_path / "blank.jsonl", *paths, tmp_path / "empty.jsonl"])
    expected = ["a_0.jpg", "a_1.jpg", "b_0.jpg", "b_1.jpg", "b_2.jpg"]
    assert names(found) == expected
    assert [found[index].path.name for index in range(-5, 5)] == expected * 2
    assert found[np.int64(3)].path.name == "b_1.jpg"
    for index in (5, -6):
        with pytest.raises(IndexError):
            found[index]
    assert len(RecordFiles([])) == 0
    assert not RecordFiles([tmp_path / "empty.jsonl"])


@given(st.slices(5), st.slices(5))
@settings(max_examples=40, deadline=None)
def test_slices_are_those_of_a_list(tmp_path_factory: pytest.TempPathFactory, first: slice, second: slice) -> None:
    found = RecordFiles([make_file(tmp_path_factory.mktemp("records") / "a.jsonl", 5)])
    expected = [f"a_{i}.jpg" for i in range(5)]
    assert names(found[first]) == expected[first]
    assert names(found[first][second]) == expected[first][second]


def test_other_processes_read_the_files_themselves(tmp_path: Path) -> None:
    found = RecordFiles([make_file(tmp_path / "a.jsonl", 1000)])
    assert names(found[:2]) == ["a_0.jpg", "a_1.jpg"]
    sent = pickle.dumps(found)
    assert len(sent) < 1000 * 40
    assert names(pickle.loads(sent)) == names(found)


def test_a_broken_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    paths = [make_file(tmp_path / "a.jsonl", 2), make_file(tmp_path / "b.jsonl", 3)]
    lines = paths[1].read_bytes().splitlines(keepends=True)
    paths[1].write_bytes(b"\n" + lines[0] + b"\n" + lines[1][:-9] + b"\n" + lines[2])
    found = RecordFiles(paths)
    assert len(found) == 5
    assert found[4].path.name == "b_2.jpg"
    with pytest.raises(DataError) as caught:
        found[3]
    assert str(caught.value).startswith(f"{paths[1]}:4: is not valid JSON")
    with pytest.raises(DataError, match=r"none\.jsonl: records file cannot be read \(No such file"):
        RecordFiles([tmp_path / "none.jsonl"])
    with pytest.raises(DataError, match="records file cannot be read"):
        RecordFiles([tmp_path])


def widen(record: ImageRecord) -> ImageRecord:
    return replace(record, width=record.width + 1)


def test_a_view_chooses_and_changes(tmp_path: Path) -> None:
    found = RecordFiles([make_file(tmp_path / "a.jsonl", 5)])
    view = RecordView(RecordView(found, np.array([4, 0, 2]), widen), np.array([1, 0, 1]), widen)
    assert [(record.path.name, record.width) for record in view] == [("a_0.jpg", 7), ("a_4.jpg", 7), ("a_0.jpg", 7)]
    assert names(view[-1:]) == ["a_0.jpg"]
    assert view[-1].width == view[2:][0].width == 7
    assert names(pickle.loads(pickle.dumps(view))) == names(view)
    with pytest.raises(IndexError):
        view[3]
