"""The reader of Total-Text: both forms of its ground truth, with every quirk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from checkout import real_data_folder
from dataset_files import POINTS, content_of, counts, polygons, polygt_row, read_folder, write_photo, write_polygt
from dataset_files import write_text as write
from published_folders import BUILDERS
from scenetext.data.readers import READERS, ReadReport
from scenetext.data.readers.instances import EMPTY_TEXT, FEW_POINTS
from scenetext.data.readers.totaltext import BY_ORIENTATION_ALONE, KEPT
from scenetext.data.readers.totaltext_text import read_text_file
from scenetext.data.records.files import read_records, write_records
from scenetext.errors import DataError

TEN = [[x, 5 + x] for x in range(5)] + [[x, 20 + x] for x in reversed(range(5))]
MATLAB = Path("Groundtruth/Polygon/Train/poly_gt_img11.mat")


def test_matlab_rows_with_every_quirk(tmp_path: Path) -> None:
    BUILDERS["totaltext"][0](tmp_path)
    rows = [
        polygt_row(TEN, "curved"),
        polygt_row(POINTS, "#", "c"),
        polygt_row(POINTS, "hard", "#"),
        polygt_row(POINTS, "", np.empty((0, 0))),
        polygt_row(POINTS, np.empty((0, 0)), ""),
        polygt_row(POINTS[:3], "three"),
        polygt_row(POINTS[:2], "two"),
        polygt_row([], "none"),
        polygt_row(POINTS, "it's, 'so'"),
    ]
    write_polygt(tmp_path / MATLAB, rows)
    (record,), report = read_folder("totaltext", tmp_path)["train"]
    unknown = (None, False)
    ignored = (None, True)
    words = [("curved", False), ignored, ignored, unknown, unknown, ("three", False), ("it's, 'so'", False)]
    assert content_of(record) == words
    assert polygons(record)[0] == TEN
    assert polygons(record)[5] == POINTS[:3]
    assert counts(report.dropped) == {FEW_POINTS: 2}
    assert report.noted[EMPTY_TEXT].count == 2


ORIENTATION_ALONE = polygt_row(POINTS, "of", "#")


@pytest.mark.parametrize(
    ("flag", "content", "reason"),
    [("orientation", (None, True), BY_ORIENTATION_ALONE), ("text", ("of", False), KEPT)],
)
@pytest.mark.parametrize("matlab", [True, False], ids=["mat", "txt"])
def test_words_that_only_one_flag_ignores_follow_the_chosen_one_and_keep_both(
    tmp_path: Path, flag: str, content: tuple[str | None, bool], reason: str, matlab: bool
) -> None:
    BUILDERS["totaltext"][0](tmp_path)
    if matlab:
        write_polygt(tmp_path / MATLAB, [polygt_row(POINTS, "#", "#"), ORIENTATION_ALONE, polygt_row(POINTS, "WORD")])
    else:
        (tmp_path / MATLAB).unlink()
        xs, ys = (" ".join(str(point[axis]) for point in POINTS) for axis in (0, 1))
        words = (("#", "#"), ("#", "of"), ("c", "WORD"))
        line = "x: [[{}]], y: [[{}]], ornt: [u'{}'], transcriptions: [u'{}']\n"
        content_of_file = "".join(line.format(xs, ys, *word) for word in words)
        write((tmp_path / MATLAB).with_suffix(".txt"), content_of_file)
    reader, report = READERS["totaltext"], ReadReport()
    values = {**reader.find(tmp_path).splits["train"], "ignore_by": flag}
    (record,) = reader.read(values, report)
    assert content_of(record) == [(None, True), content, ("WORD", False)]
    assert {key: finding.count for key, finding in report.noted.items()} == {reason: 1}
    write_records(tmp_path / "train.jsonl", [record])
    (again,) = read_records(tmp_path / "train.jsonl")
    for words_of in (record, again):
        flags = [(each.ignored_by("orientation"), each.ignored_by("text")) for each in words_of.instances]
        assert flags == [(True, True), (True, False), (False, False)]


def test_a_flag_that_total_text_does_not_have_is_refused(tmp_path: Path) -> None:
    BUILDERS["totaltext"][0](tmp_path)
    values = {**READERS["totaltext"].find(tmp_path).splits["train"], "ignore_by": "size"}
    with pytest.raises(DataError, match="--ignore-by size: Total-Text's flags are orientation and text"):
        list(READERS["totaltext"].read(values, ReadReport()))


def test_real_files_agree_about_their_flags() -> None:
    """Of the 600 images at hand: text `#` never stands without orientation `#`."""
    files = sorted((real_data_folder("totaltext") / "gts").glob("*.txt"))[:200]
    words = [label for file in files for label in read_text_file(file)]
    assert any(label.ignore_flag == "orientation" for label in words)


def test_images_in_capitals_and_with_a_rotation_tag_are_read_as_stored(tmp_path: Path) -> None:
    for split in ("Train", "Test"):
        write_photo(tmp_path / "Images" / split / "img61.JPG")
        write_polygt(tmp_path / "Groundtruth/Polygon" / split / "poly_gt_img61.mat", [polygt_row(POINTS, "A")])
    content = io.BytesIO()
    tag = Image.Exif()
    tag[0x0112] = 6
    Image.new("RGB", (60, 40)).save(content, "jpeg", exif=tag.tobytes())
    (tmp_path / "Images" / "Test" / "img61.JPG").write_bytes(content.getvalue())
    found = read_folder("totaltext", tmp_path)
    for split in ("train", "test"):
        (record,) = found[split][0]
        assert (record.width, record.height) == (60, 40)


def test_an_image_without_words_has_none(tmp_path: Path) -> None:
    BUILDERS["totaltext"][0](tmp_path)
    write_polygt(tmp_path / MATLAB, [])
    (record,), _ = read_folder("totaltext", tmp_path)["train"]
    assert record.instances == ()


def row(**changes: Any) -> list[Any]:
    names = ("x:", "x", "y:", "y", "text", "orientation")
    return [changes.get(name, value) for name, value in zip(names, polygt_row(POINTS, "A"), strict=True)]


MATLAB_FAULTS: dict[str, tuple[list[Any], str]] = {
    "more x than y": (row(y=np.zeros((1, 3))), "has 4 x for 3 y"),
    "text for coordinates": (row(x="1 2 3 4"), "text where coordinates are expected"),
    "numbers for text": (row(text=np.ones((1, 2))), "numbers of shape"),
    "two lines of text": (row(text=np.array(["one", "two"])), "has 2 lines of text"),
    "not a number": (row(x=np.full((1, 4), np.nan)), "finite numbers of pixels"),
}


@pytest.mark.parametrize(("broken", "message"), MATLAB_FAULTS.values(), ids=MATLAB_FAULTS.keys())
def test_a_broken_row_is_named(tmp_path: Path, broken: list[Any], message: str) -> None:
    BUILDERS["totaltext"][0](tmp_path)
    path = write_polygt(tmp_path / MATLAB, [polygt_row(POINTS, "A"), broken])
    with pytest.raises(DataError, match=message) as caught:
        read_folder("totaltext", tmp_path)
    assert str(caught.value).startswith(f"{path}: polygt, row 2: ")


def test_a_matlab_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    BUILDERS["totaltext"][0](tmp_path)
    cells = np.empty((2, 3), dtype=object)
    cells[:] = "x"
    savemat(tmp_path / MATLAB, {"polygt": cells})
    with pytest.raises(DataError, match=r"shape \(2, 3\), expected a row of 5 or 6 cells"):
        read_folder("totaltext", tmp_path)


def record(text: str, orientation: str = "ornt: [u'c']") -> str:
    return f"x: [[ 1 30 30  1]], y: [[ 2  2 12 12]], {orientation}, transcriptions: [{text}]\n"


TEXTS = {
    "plain": (record("u'the'"), "the"),
    "double quotes, since one is in it": (record('u"it\'s"'), "it's"),
    "without u": (record("'the'"), "the"),
    "commas": (record("u'1,000, about'"), "1,000, about"),
    "quote, comma, quote": (record("u'a','b'"), "a,b"),
    "unescaped quotes within": (record("u'say 'yes' now'"), "say 'yes' now"),
    "escapes": (record(r"u'caf\xe9 \u2019 \\ \''"), "café \u2019 \\ '"),
    "brackets": (record("u'[1]'"), "[1]"),
    "empty": (record("u''"), None),
    "none": (record(""), None),
    "orientation empty": (record("u'the'", "ornt: []"), "the"),
    "wrapped": (
        "x: [[ 1 30\n   30  1]], y: [[ 2  2\n 12 12]], ornt: [u'c'],\n transcriptions: [u'the']\r\n",
        "the",
    ),
    "commas between numbers": ("x: [[1, 30, 30, 1]], y: [[2, 2, 12, 12]], ornt: [u'c'], transcriptions: [u'a']", "a"),
    "byte order mark": ("\ufeff" + record("u'the'"), "the"),
}


@pytest.mark.parametrize(("content", "text"), TEXTS.values(), ids=TEXTS.keys())
def test_text_files_with_every_quirk(tmp_path: Path, content: str, text: str | None) -> None:
    folder = tmp_path / "Groundtruth/Text/Train"
    write_photo(tmp_path / "Images" / "Train" / "img11.jpg")
    write(folder / "poly_gt_img11.txt", record("u'before'") + content.removeprefix("\ufeff"))
    (found,), _ = read_folder("totaltext", tmp_path)["train"]
    assert content_of(found) == [("before", False), (text, False)]
    assert polygons(found) == [POINTS, POINTS]
    write(folder / "poly_gt_img11.txt", content)
    (found,), _ = read_folder("totaltext", tmp_path)["train"]
    assert content_of(found) == [(text, False)]


@pytest.mark.parametrize("content", [record("u'#'"), record("u'hard'", "ornt: [u'#']")])
def test_text_files_ignore_what_is_marked(tmp_path: Path, content: str) -> None:
    (label,) = read_text_file(write(tmp_path / "gt_img1.txt", content))
    assert label.ignore


TEXT_FAULTS = {
    "no record": ("nothing here", 1, "expected x: "),
    "cut off": (record("u'a'") + "x: [[1 2", 2, "expected x: "),
    "more x than y": (
        record("u'a'") + "x: [[1 2 3]], y: [[1 2]], ornt: [u'c'], transcriptions: [u'a']",
        2,
        "3 x for 2 y",
    ),
    "a start that is damaged": (
        record("u'a'") + "x2 2]], y: [[1 2]], ornt: [u'c'], transcriptions: [u'b']",
        1,
        "expected x",
    ),
    "a letter": ("x: [[1 2 a]], y: [[1 2 3]], ornt: [u'c'], transcriptions: [u'a']", 1, "must be numbers"),
    "no quotes": (record("the"), 1, "expected a string in quotes"),
    "an open quote": (record("u'the"), 1, "expected a string in quotes"),
}


@pytest.mark.parametrize(("content", "line", "message"), TEXT_FAULTS.values(), ids=TEXT_FAULTS.keys())
def test_a_broken_record_is_named_by_its_line(tmp_path: Path, content: str, line: int, message: str) -> None:
    path = write(tmp_path / "poly_gt_img1.txt", content)
    with pytest.raises(DataError, match=message) as caught:
        read_text_file(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize("content", ["", "\n", "\ufeff"])
def test_a_text_file_without_records_has_no_words(tmp_path: Path, content: str) -> None:
    assert read_text_file(write(tmp_path / "poly_gt_img1.txt", content)) == []
