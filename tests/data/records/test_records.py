"""The record format: exact round trip, and every fault named with its file and line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetext.data.preparation.plausibility import count_text
from scenetext.data.records.files import read_records, write_records
from scenetext.errors import DataError
from scenetext.structures import ImageRecord, TextInstance

QUAD = np.array([[1, 2], [30, 2], [30, 12.25], [1, 12]], dtype=np.float32)


def record(path: Path, *instances: TextInstance, size: tuple[int, int] = (64, 48)) -> ImageRecord:
    return ImageRecord(path, *size, instances)


def assert_equal(first: list[ImageRecord], second: list[ImageRecord]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert (one.path, one.width, one.height) == (other.path, other.width, other.height)
        assert len(one.instances) == len(other.instances)
        for a, b in zip(one.instances, other.instances, strict=True):
            assert (a.text, a.ignore) == (b.text, b.ignore)
            for one_array, other_array in ((a.polygon, b.polygon), (a.characters, b.characters)):
                assert (one_array is None) == (other_array is None)
                if one_array is not None:
                    assert other_array.dtype == np.float32
                    np.testing.assert_array_equal(one_array, other_array)


coordinates = st.floats(-1e7, 1e7, width=32)
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9).map(
    lambda points: np.array(points, dtype=np.float32)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
annotated = st.builds(
    lambda polygon, text, seed: TextInstance(
        polygon, text, characters=np.random.default_rng(seed).normal(0, 900, (len(text), 4, 2)).astype(np.float32)
    ),
    polygons,
    st.text("ab é中", min_size=1, max_size=4).map(lambda text: text.replace(" ", "")).filter(bool),
    st.integers(0, 9),
)
instances = annotated | st.builds(TextInstance, st.none() | polygons, st.none() | texts, st.booleans())
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/\\"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
records = st.builds(
    lambda name, width, height, found: ImageRecord(Path("images", name), width, height, tuple(found)),
    names,
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.lists(instances, max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(records, max_size=4))
def test_round_trip_is_exact_after_one_write(
    tmp_path_factory: pytest.TempPathFactory, written: list[ImageRecord]
) -> None:
    folder = tmp_path_factory.mktemp("records")
    written = [ImageRecord(folder / r.path, r.width, r.height, r.instances) for r in written]
    assert write_records(folder / "first.jsonl", written) == len(written)
    read = read_records(folder / "first.jsonl")
    for before, after in zip(written, read, strict=True):
        for a, b in zip(before.instances, after.instances, strict=True):
            if a.polygon is not None:
                np.testing.assert_allclose(a.polygon, b.polygon, rtol=1e-7, atol=0.0051)
            if a.characters is not None:
                np.testing.assert_allclose(a.characters, b.characters, rtol=1e-7, atol=0.0051)
    write_records(folder / "second.jsonl", read)
    assert_equal(read, read_records(folder / "second.jsonl"))
    assert (folder / "first.jsonl").read_bytes() == (folder / "second.jsonl").read_bytes()


def test_a_line_is_compact_and_leaves_defaults_out(tmp_path: Path) -> None:
    write_records(tmp_path / "a.jsonl", [record(tmp_path / "i" / "ä.jpg", TextInstance(QUAD, None))])
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == (
        '{"path":"i/ä.jpg","width":64,"height":48,"instances":[{"polygon":[[1,2],[30,2],[30,12.25],[1,12]]}]}\n'
    )


def test_characters_are_one_for_each_that_is_no_blank(tmp_path: Path) -> None:
    word = TextInstance(QUAD, "a b", characters=np.stack([QUAD, QUAD + 1]))
    write_records(tmp_path / "a.jsonl", [record(tmp_path / "a.jpg", word)])
    assert json.loads((tmp_path / "a.jsonl").read_text())["instances"][0]["characters"] == [
        [[1, 2], [30, 2], [30, 12.25], [1, 12]],
        [[2, 3], [31, 3], [31, 13.25], [2, 13]],
    ]


def test_paths_inside_the_folder_move_with_it_and_others_stay_absolute(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "set", tmp_path / "set2" / "far.jpg"
    write_records(folder / "a.jsonl", [record(folder / "x" / ".." / "near.jpg"), record(elsewhere)])
    folder.rename(tmp_path / "moved")
    assert [r.path for r in read_records(tmp_path / "moved" / "a.jsonl")] == [
        tmp_path / "moved" / "near.jpg",
        elsewhere,
    ]


def test_relative_image_paths_are_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_records(Path("data/a.jsonl"), [record(Path("data/images/1.jpg"))])
    assert json.loads(Path("data/a.jsonl").read_text(encoding="utf-8"))["path"] == "images/1.jpg"
    assert read_records(Path("data/a.jsonl"))[0].path == Path("data/images/1.jpg")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, [record(tmp_path / "1.jpg")])
    before = path.read_bytes()
    bad = TextInstance(np.array([[0, 0], [1, 1], [np.nan, 2]], dtype=np.float32), "x")
    with pytest.raises(DataError, match=r"record 2 .*2\.jpg.*polygon"):
        write_records(path, [record(tmp_path / "1.jpg"), record(tmp_path / "2.jpg", bad)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "bad",
    [
        record(Path("a.jpg"), TextInstance(QUAD[:2], None)),
        record(Path("a.jpg"), TextInstance(QUAD.reshape(-1), None)),
        record(Path("a.jpg"), TextInstance(QUAD * 1e8, None)),
        record(Path("a.jpg"), TextInstance(None, "")),
        record(Path("a.jpg"), TextInstance(None, "half \ud800")),
        record(Path("a.jpg"), TextInstance(QUAD, "ab", characters=QUAD[None])),
        record(Path("a.jpg"), TextInstance(QUAD, "a", characters=QUAD[None, :3])),
        record(Path("a.jpg"), TextInstance(QUAD, "a", characters=QUAD[None] * np.nan)),
        record(Path("a.jpg"), TextInstance(None, "a", characters=QUAD[None])),
        record(Path("a.jpg"), size=(0, 5)),
        record(Path("half\udc80.jpg")),
    ],
    ids=[
        *("two points", "flat", "far away", "empty text", "half a character"),
        *("a character too few", "a triangle for a character", "characters that are no numbers", "no polygon"),
        *("no width", "name not UTF-8"),
    ],
)
def test_writing_refuses_what_reading_refuses(tmp_path: Path, bad: ImageRecord) -> None:
    with pytest.raises(DataError):
        write_records(tmp_path / "a.jsonl", [bad])


CORNERS = QUAD.tolist()


def line(**changes: Any) -> str:
    content = {"path": "a.jpg", "width": 4, "height": 3, "instances": []} | changes
    return json.dumps({key: value for key, value in content.items() if value != "left out"})


def with_instance(**instance: Any) -> str:
    return line(instances=[{}, instance])


FAULTS = {
    "not JSON": ('{"path": "a.jpg",', "not valid JSON"),
    "no object": ("[1, 2]", "a list of 2, expected an object"),
    "two objects": (line() + line(), "not valid JSON"),
    "NaN": (line().replace("4", "NaN"), "NaN"),
    "endless nesting": ("[" * 100_000, "is not a record"),
    "endless integer": (line().replace("4", "9" * 5000), "is not a record"),
    "missing key": (line(width="left out"), "key width is missing"),
    "near key": (line(widht=4), "'widht' is unknown; did you mean 'width'"),
    "far key": (line(zzz=4), "'zzz' is unknown. Known keys: height, instances, path, span, width"),
    "near key of an instance": (with_instance(txt="A"), r"instances\[1\].*did you mean 'text'"),
    "size zero": (line(height=0), "height must be a whole number of pixels above 0, got 0"),
    "size a float": (line(width=4.0), "width"),
    "size a flag": (line(width=True), "width"),
    "path a number": (line(path=3), "path must be the name of a file"),
    "path empty": (line(path=""), "path must be"),
    "path with a zero byte": (line(path="a\0b"), "path must be"),
    "instances null": (line(instances=None), "instances must be a list, got null"),
    "instance a string": (line(instances=["A"]), r"instances\[0\]: is 'A', expected an object"),
    "polygon two points": (with_instance(polygon=[[0, 0], [1, 1]]), r"instances\[1\].*at least 3"),
    "polygon flat": (with_instance(polygon=[0, 0, 1, 1, 2, 2]), "two numbers"),
    "polygon of strings": (with_instance(polygon=[["0", "0"]] * 3), "two numbers"),
    "polygon of flags": (with_instance(polygon=[[True, 0]] * 3), "two numbers"),
    "polygon of triples": (with_instance(polygon=[[0, 0, 0]] * 3), "two numbers"),
    "polygon infinite": (with_instance(polygon=[[0, 0]] * 3).replace("[0, 0]", "[1e999, 0]"), "not finite"),
    "polygon far away": (with_instance(polygon=[[10**400, 0]] * 3), "beyond"),
    "text a number": (with_instance(text=5), "text must be a string or null, got 5"),
    "text empty": (with_instance(text=""), "text is empty"),
    "text half a pair": (with_instance(text="\ud800"), "surrogate"),
    "ignore a number": (with_instance(ignore=1), "ignore must be true or false, got 1"),
    "flag a number": (with_instance(ignore_flag=1), "ignore_flag must be a string or null, got 1"),
    "empty flag": (with_instance(ignore_flag=""), "ignore_flag is empty"),
    "characters too many": (
        with_instance(polygon=CORNERS, text="a b", characters=[CORNERS] * 3),
        r"instances\[1\]: characters has 3 quadrangles for the 2 characters of 'a b'",
    ),
    "characters none": (with_instance(polygon=CORNERS, text="\u3000", characters=[]), "0 quadrangles for the 0"),
    "characters without text": (with_instance(polygon=CORNERS, characters=[CORNERS]), "this one has no text"),
    "characters without polygon": (with_instance(text="a", characters=[CORNERS]), "this one has no polygon"),
    "characters flat": (with_instance(polygon=CORNERS, text="ab", characters=CORNERS[:2]), "must be four points"),
    "characters a number": (with_instance(polygon=CORNERS, text="a", characters=1), "must be a list of quadrangles"),
    "characters of flags": (
        with_instance(polygon=CORNERS, text="a", characters=[[[True, 0]] * 4]),
        "characters: a point must be two numbers",
    ),
    "characters infinite": (
        with_instance(polygon=CORNERS, text="a", characters=[[[0.5, 7]] * 4]).replace("0.5", "-1e999"),
        "characters: a coordinate is not finite",
    ),
    "ignore null": (with_instance(ignore=None), "ignore must be true or false, got null"),
}


@pytest.mark.parametrize(("content", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_every_fault_is_named_with_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line() + "\n\n" + content + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_records(path)
    assert str(caught.value).startswith(f"{path}:3: ")


def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line().encode() + b'\n{"path": "\xff"}')
    with pytest.raises(DataError, match=r"a\.jsonl:2: is not UTF-8 \(byte 11 "):
        read_records(tmp_path / "a.jsonl")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: records file cannot be read \(No such file"):
        read_records(tmp_path / "none.jsonl")


def test_foreign_but_valid_spelling_is_read(tmp_path: Path) -> None:
    content = line(instances=[{"polygon": [[0, 0], [1.5, 0], [1, 2]], "text": None}, {"text": "a\u2028b"}])
    (tmp_path / "a.jsonl").write_bytes(
        b"\xef\xbb\xbf" + content.encode() + b"\r\n\r\n" + line(path="/x/b.jpg").encode()
    )
    first, second = read_records(tmp_path / "a.jsonl")
    assert first.path == tmp_path / "a.jpg"
    np.testing.assert_array_equal(first.instances[0].polygon, [[0, 0], [1.5, 0], [1, 2]])
    assert first.instances[1].text == "a\u2028b"
    assert second.path == Path("/x/b.jpg")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_files_give_a_data_error_or_valid_records(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    text = line(instances=[{"polygon": [[0, 0], [1.5, 0], [1, 2]], "text": "Wörd", "ignore": False}, {"text": None}])
    content = bytearray((line() + "\n" + text + "\n").encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(
            st.sampled_from([b"", b"0", b"-", b'"', b"[", b"}", b",", b"\\", b"\n", b"NaN", b"null", b"\xff"])
        )
        content[place : place + data.draw(st.integers(0, 3))] = piece
    path = tmp_path_factory.mktemp("mutated") / "a.jsonl"
    path.write_bytes(content)
    try:
        read = read_records(path)
    except DataError:
        return
    write_records(path, read)
    assert_equal(read, read_records(path))


def test_summary_counts_what_can_be_learnt() -> None:
    found = count_text(
        [
            record(Path("a"), TextInstance(QUAD, "A"), TextInstance(QUAD, None), TextInstance(QUAD, "B", ignore=True)),
            record(Path("b"), TextInstance(None, "C")),
            record(Path("c")),
        ]
    )
    assert (found.images, found.instances, found.ignored, found.with_polygon, found.with_text) == (3, 4, 1, 2, 2)


@pytest.mark.slow
def test_twenty_thousand_lines_take_seconds(tmp_path: Path) -> None:
    many = [record(tmp_path / f"{i}.jpg", *[TextInstance(QUAD + i % 97, "word")] * 4) for i in range(20_000)]
    write_records(tmp_path / "a.jsonl", many)
    started = time.process_time()
    read = read_records(tmp_path / "a.jsonl")
    assert len(read) == 20_000
    assert time.process_time() - started < 3
