"""The journal: what was read once stays read, even if the machine goes down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damage import data_error, with_other_bytes, with_pieces
from scenetext.acquisition.engine import OcrText
from scenetext.acquisition.journal import Journal, Recognition, parse_recognition
from scenetext.data.records.format import RecordError
from scenetext.errors import DataError

READ = Recognition("a/größe 1.jpg", 100, 20, 12, (OcrText("OPEN DAILY", 0.5, np.eye(3, 2, dtype=np.float32)),))
EMPTY = Recognition("b.png", 50, 20, 12)
FAILED = Recognition("c.jpg", 7, error="c.jpg: image is truncated")


def write(path: Path, *recognitions: Recognition) -> None:
    with Journal(path, "engine 1") as journal:
        for recognition in recognitions:
            journal.add(recognition)


def facts(recognition: Recognition) -> tuple[object, ...]:
    """What compares equal for equal recognitions."""
    texts = [
        (text.text, text.confidence, None if text.polygon is None else text.polygon.tolist())
        for text in recognition.texts
    ]
    return recognition.name, recognition.size, recognition.width, recognition.height, recognition.error, texts


def test_what_was_added_is_found_now_and_later(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal"
    write(path, READ, EMPTY)
    with Journal(path, "engine 1") as journal:
        journal.add(FAILED)
        assert len(journal) == 3
        for recognition in (FAILED, READ, EMPTY):
            assert journal.knows(recognition.name, recognition.size)
            assert facts(journal.find(recognition.name)) == facts(recognition)
        assert not journal.knows("d.jpg", 1)
        assert not journal.knows(READ.name, READ.size + 1), "an image of another size is another image"


def test_the_last_line_of_an_image_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    again = Recognition(FAILED.name, 9, 20, 12)
    write(path, FAILED, READ, again)
    with Journal(path, "engine 1") as journal:
        assert len(journal) == 2
        assert facts(journal.find(FAILED.name)) == facts(again)


@settings(max_examples=40)
@given(cut=st.integers(min_value=0))
def test_a_journal_cut_anywhere_keeps_its_whole_lines_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "journal"
    write(path, READ, EMPTY, FAILED)
    whole = path.read_bytes()
    left = whole[: cut % (len(whole) + 1)]
    path.write_bytes(left)
    with Journal(path, "engine 1") as journal:
        assert len(journal) == max(0, left.count(b"\n") - 1)
        for recognition in (READ, EMPTY, FAILED):
            if not journal.knows(recognition.name, recognition.size):
                journal.add(recognition)
    assert path.read_bytes() == whole


def test_the_texts_of_two_engines_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path, READ)
    with pytest.raises(DataError, match=r"journal: is the journal of the engine 'engine 1', not of 'engine 2'"):
        Journal(path, "engine 2")


def test_a_journal_without_images_takes_another_engine(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path)
    with Journal(path, "engine 2") as journal:
        journal.add(READ)
    assert path.read_text().startswith('{"journal": 1, "engine": "engine 2"}\n{')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"path":"a.jpg","width":1,"height":1,"instances":[]}\n', "journal:1: is not a journal"),
        (b"\xff\xfe\n", "journal:1: is not a journal"),
        (b"a note without an end", "journal:1: is not a journal"),
        (b'{"journal": 1, "engine": "engine 12', "journal:1: is not a journal"),
        (b'{"journal": 2, "engine": "engine 1"}\n', "journal:1: is not a journal"),
        (b'{"journal": 1, "engine": "engine 1"}\n{"path":\n', "journal:2: is not valid JSON"),
        (b'{"journal": 1, "engine": "engine 1"}\n{"path": "a"}\n', "journal:2: is no line of a journal"),
        (b'{"journal": 1, "engine": "engine 1"}\n{"path": 5, "bytes": 1, "error": "x"}\n', "journal:2: path and error"),
        (b'{"journal": 1, "engine": "engine 1"}\n{"path": "a", "bytes": -1, "error": "x"}\n', "bytes must be a whole"),
        (
            b'{"journal": 1, "engine": "engine 1"}\n{"path": "a", "bytes": 1, "width": 1, "height": 1, "texts": [1]}\n',
            r"journal:2: texts\[0\]",
        ),
    ],
)
def test_a_broken_line_is_named_and_the_file_left_alone(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        Journal(path, "engine 1")
    assert path.read_bytes() == content


def test_two_runs_with_one_journal_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, "engine 1") as one, Journal(path, "engine 1") as other:
        other.add(READ)
        one.add(EMPTY)
        one._lines[READ.name] = one._lines[EMPTY.name]  # what a race between finding the end and writing comes to
        with pytest.raises(DataError, match="another run has written to the journal"):
            one.find(READ.name)
    with Journal(path, "engine 1") as journal:
        assert sorted(journal) == sorted([READ.name, EMPTY.name]), "whole lines, whoever wrote them"


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened"):
        Journal(tmp_path, "engine 1")


PIECES = (b"\n", b"null", b"-1", b"1e999", b'"', b"[", b"{}", b"NaN", b"true", b'"path"', b"\\ud800", b"9" * 5000)


def test_a_damaged_line_is_refused_or_describes_a_recognition(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path, READ)
    line = path.read_bytes().splitlines()[1]
    refused = 0
    for content in (*with_other_bytes(line, 5_000), *with_pieces(line, PIECES, 5_000)):
        try:
            found = parse_recognition(content)
        except RecordError:
            refused += 1
        else:
            assert found.width > 0
            assert found.size >= 0
            assert all(text.text and 0 <= text.confidence <= 1 for text in found.texts)
    assert 5_000 < refused < 10_000


def test_a_damaged_journal_is_refused_by_name_or_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path, READ, EMPTY, FAILED)
    whole = path.read_bytes()
    refused = 0
    for content in (*with_other_bytes(whole, 250), *with_pieces(whole, PIECES, 250)):
        path.write_bytes(content)
        error = data_error(lambda: read_everything(path))
        refused += error is not None
        assert error is None or str(error).startswith(str(path)), str(error)
    assert 250 < refused < 500


def read_everything(path: Path) -> None:
    """What is read can be written and is read again; no whole line is lost."""
    with Journal(path, "engine 1") as journal:
        lines = path.read_bytes().count(b"\n")
        found = [journal.find(name) for name in journal]
        for recognition in found:
            journal.add(recognition)
            assert facts(journal.find(recognition.name)) == facts(recognition)
    assert len(found) == max(0, lines - 1)
