"""An index says where lines start, holds exactly as long as its file is the same, and carries what was found out."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scenetext.config import Settings
from scenetext.data.records import index as index_module
from scenetext.data.records.files import RecordFile, write_records
from scenetext.data.records.index import line_number, line_starts, records_index
from scenetext.data.records.open_file import OpenFile
from scenetext.data.records.results import Add, Results, results_folder
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

SILENT = pytest.fail
LINES = st.lists(st.sampled_from([b"", b" ", b"\t\r", b"x", b"a record", b"y" * 45, b" " * 45]), max_size=12)


def starts_by_definition(content: bytes) -> list[int]:
    """First bytes of the lines that are not blank; long ones are left to be refused as records."""
    starts, position = [], 0
    for number, line in enumerate(content.split(b"\n")):
        mark = 3 if number == 0 and line.startswith(b"\xef\xbb\xbf") else 0
        if line[mark:].strip() or len(line) - mark >= 40:
            starts.append(position + mark)
        position += len(line) + 1
    return starts


@given(LINES, st.sampled_from([b"", b"\xef\xbb\xbf"]), st.sampled_from([4, 7, 44, 1000]))
@example([b"x", b"a record"], b"", 4)
def test_lines_are_found_wherever_pieces_of_the_file_end(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], mark: bytes, piece: int
) -> None:
    path = tmp_path_factory.mktemp("index") / "a.jsonl"
    content = mark + b"\n".join(lines)
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "_PIECE", piece)
        found = np.array(line_starts(OpenFile(path), path)[:])
        assert found.tolist() == starts_by_definition(content)
        assert list(records_index(path, None, SILENT).starts) == found.tolist()
        numbers = [line_number(OpenFile(path), start) for start in found.tolist()]
    assert numbers == [1 + content[:start].count(b"\n") for start in found.tolist()]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of which an index was made."""
    names: list[str] = []
    make = index_module._make

    def noted(file: OpenFile, name: str, add: Add) -> Settings:
        names.append(name)
        return make(file, name, add)

    monkeypatch.setattr(index_module, "_make", noted)
    return names


@pytest.fixture
def exact_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if an index were made long after the last change of its file."""
    monkeypatch.setattr(index_module, "_STEP_OF_TIMES", -(10**12))


def make_file(path: Path, count: int) -> Path:
    write_records(path, (ImageRecord(path.parent / f"{path.stem}_{i}.jpg", 5, 4, ()) for i in range(count)))
    return path


@pytest.mark.usefixtures("exact_times")
def test_an_index_is_made_once_and_again_after_a_change_that_hides(tmp_path: Path, made: list[str]) -> None:
    path = make_file(tmp_path / "a.jsonl", 3)
    first = records_index(path, None, SILENT)
    assert records_index(path, None, SILENT).content == first.content
    assert made == ["a.jsonl"]
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"a_1", b"b_1"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert records_index(path, None, SILENT).content != first.content, "the time of change cannot be set back"
    path.write_bytes(path.read_bytes().replace(b"b_1", b"a_1"))
    assert records_index(path, None, SILENT).content == first.content, "of the content alone"
    assert len(made) == 3


def test_an_index_as_young_as_its_file_is_not_trusted(tmp_path: Path, made: list[str]) -> None:
    """File systems date changes in steps: one in the same step would go unnoticed."""
    path = make_file(tmp_path / "a.jsonl", 3)
    records_index(path, None, SILENT)
    records_index(path, None, SILENT)
    assert len(made) == 2
    later = path.stat().st_ctime + 3
    os.utime(results_folder(path, None) / "lines", (later, later))
    records_index(path, None, SILENT)
    assert len(made) == 2


@pytest.mark.usefixtures("exact_times")
def test_an_index_carried_to_another_file_is_made_again(tmp_path: Path, made: list[str]) -> None:
    first, second = make_file(tmp_path / "a.jsonl", 3), make_file(tmp_path / "b.jsonl", 3)
    content = records_index(first, None, SILENT).content
    shutil.copytree(results_folder(first, None), results_folder(second, None), copy_function=shutil.copy2)
    assert records_index(second, None, SILENT).content != content
    assert made == ["a.jsonl", "b.jsonl"]


@pytest.mark.usefixtures("exact_times")
def test_records_with_an_index_are_those_without_and_cheap_to_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_file(tmp_path / "a.jsonl", 2000)
    plain = [record.path for record in RecordFile(path)]
    with_index = RecordFile(path, records_index(path, None, SILENT).starts)
    assert [record.path for record in with_index] == plain
    sent = pickle.dumps(with_index)
    assert len(sent) < 1000
    assert [record.path for record in pickle.loads(sent)] == plain
    monkeypatch.setattr(index_module, "_starts_in", SILENT)
    assert len(RecordFile(path)) == 2000, "the index beside the file is found"
    shutil.rmtree(results_folder(path, None))
    with pytest.raises(DataError, match="lines: cannot be read any more"):
        pickle.loads(sent)[0]


class Found(Settings):
    total: int


def summing(values: list[int]) -> Callable[[Add], Found]:
    def make(add: Add) -> Found:
        for value in values:
            add(np.array([value]))
        return Found(total=sum(values))

    return make


def test_a_result_is_kept_for_its_content_name_and_part(tmp_path: Path) -> None:
    results = Results(tmp_path / "kept", "content", SILENT)
    facts, rows = results.get("sum", Found, summing([3, 4]))
    assert (facts.total, list(rows)) == (7, [3, 4])
    kept, rows = results.get("sum", Found, SILENT)
    assert (kept, list(rows), rows[-1]) == (facts, [3, 4], 4)
    assert results.get("sum", Found, summing([5]), lambda found: found.total != 7)[0].total == 5
    assert results.of_part("share").get("sum", Found, summing([1]))[0].total == 1
    assert results.get("sum", Found, SILENT)[0].total == 5
    assert Results(tmp_path / "kept", "other", SILENT).get("sum", Found, summing([]))[0].total == 0


def test_a_folder_that_cannot_be_written_to_is_reported_and_does_not_stop(tmp_path: Path) -> None:
    path = make_file(tmp_path / "a.jsonl", 3)
    (tmp_path / "file").write_bytes(b"")
    reported: list[str] = []
    index = records_index(path, tmp_path / "file", reported.append)
    assert len(RecordFile(path, index.starts)) == 3
    assert index.results.get("sum", Found, summing([3]))[0].total == 3
    assert len(reported) == 1
    assert "cannot be kept (Not a directory); data.check_folder names another folder" in reported[0]


@pytest.mark.parametrize("name", ["none.jsonl", ""])
def test_a_file_that_cannot_be_read_is_named_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="records file cannot be read"):
        records_index(tmp_path / name, None, SILENT)
    assert not list(tmp_path.iterdir())
