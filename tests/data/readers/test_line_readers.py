"""Datasets with a text file for each image: ICDAR 2013, MLT, CTW1500, MSRA-TD500 and ICDAR-style folders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_files import CURVE, QUAD, content_of, counts, polygons, read_folder, write_photo, write_text
from published_folders import BUILDERS
from scenetext.data.readers.ctw1500 import parse_line as parse_ctw1500
from scenetext.data.readers.icdar2013 import parse_line as parse_icdar2013
from scenetext.data.readers.instances import EMPTY_TEXT
from scenetext.data.readers.td500 import parse_line as parse_td500
from scenetext.errors import DataError, ImageError

NUMBERS = ",".join(map(str, CURVE))


def rewrite(name: str, folder: Path, path: str, content: str | bytes) -> Path:
    """The small dataset of a reader with other content in one of its ground truths."""
    BUILDERS[name][0](folder)
    return write_text(folder / path, content)


ICDAR2013 = {
    "blanks between": ('38 43 920 215 "Tiredness"', "Tiredness"),
    "commas between": ('38, 43, 920, 215, "Tiredness"', "Tiredness"),
    "commas without blanks": ('38,43,920,215,"Tiredness"', "Tiredness"),
    "commas and blanks in the text": ('38, 43, 920, 215, "1,000, or  so"', "1,000, or  so"),
    "quotes in the text": ('38 43 920 215 "say "yes""', 'say "yes"'),
    "escaped quotes": (r'38 43 920 215 "say \"yes\" \\ no"', 'say "yes" \\ no'),
    "a quote alone": ('38 43 920 215 """', '"'),
}


@pytest.mark.parametrize(("line", "text"), ICDAR2013.values(), ids=ICDAR2013.keys())
def test_icdar2013_lines_of_both_splits(line: str, text: str) -> None:
    label = parse_icdar2013(line)
    assert label.polygon is not None
    assert (label.text, label.ignore) == (text, False)
    assert label.polygon.tolist() == [[38, 43], [920, 43], [920, 215], [38, 215]]


def test_icdar2013_ignored_and_empty_words_with_byte_order_mark(tmp_path: Path) -> None:
    content = '\ufeff1 2 30 12 "###"\r\n\r\n1 2 30 12 ""\r\n1 2 30 12 "A"'
    rewrite("icdar2013", tmp_path, "Challenge2_Training_Task1_GT/gt_100.txt", content)
    (record,), report = read_folder("icdar2013", tmp_path)["train"]
    assert content_of(record) == [(None, True), (None, False), ("A", False)]
    assert counts(report.noted) == {EMPTY_TEXT: 1}


def test_mlt_texts_may_hold_commas_and_images_are_of_all_formats(tmp_path: Path) -> None:
    images, truths = tmp_path / "ch8_training_images_1", tmp_path / "ch8_training_localization_transcription_gt_v2"
    for number, suffix in enumerate((".jpg", ".png", ".gif", ".JPG"), start=1):
        write_photo(images.with_name(f"ch8_training_images_{number}") / f"img_{number}{suffix}")
        write_text(truths / f"gt_img_{number}.txt", f"\ufeff{QUAD},Korean,한국, 어\r\n{QUAD},None,###\r\n{QUAD},Latin,")
    records, report = read_folder("mlt2017", tmp_path)["train"]
    assert [record.path.name for record in records] == ["img_1.jpg", "img_2.png", "img_3.gif", "img_4.JPG"]
    assert all(content_of(record) == [("한국, 어", False), (None, True), (None, False)] for record in records)
    assert counts(report.noted) == {EMPTY_TEXT: 4}


def test_mlt_2019_names_its_files_otherwise(tmp_path: Path) -> None:
    for part in (1, 2):
        write_photo(tmp_path / f"ImagesPart{part}" / f"tr_img_0000{part}.jpg")
        write_text(tmp_path / "train_gt_t13" / f"tr_img_0000{part}.txt", f"{QUAD},Hindi,नाम")
    records, _ = read_folder("mlt2017", tmp_path)["train"]
    assert [content_of(record) for record in records] == [[("नाम", False)]] * 2


def test_mlt_images_of_one_name_in_two_archives_are_refused(tmp_path: Path) -> None:
    BUILDERS["mlt2017"][0](tmp_path)
    write_photo(tmp_path / "ch8_training_images_2" / "img_1.png")
    with pytest.raises(DataError, match=r"img_1\.png: has the same name as .*img_1\.jpg"):
        read_folder("mlt2017", tmp_path)


def test_ctw1500_old_release_adds_the_corner_and_has_no_texts(tmp_path: Path) -> None:
    offsets = [value - (100, 200)[index % 2] for index, value in enumerate(np.array(CURVE) + [100, 200] * 14)]
    line = ",".join(map(str, [100, 200, 160, 240, *offsets]))
    for split, number in (("train", 1001), ("test", 1501)):
        write_photo(tmp_path / split / "text_image" / f"{number}.jpg")
        write_text(tmp_path / split / "text_label_curve" / f"{number}.txt", f"{line}\r\n")
    for records, report in (
        *read_folder("ctw1500", tmp_path).values(),
        *read_folder("ctw1500-2017", tmp_path).values(),
    ):
        (record,) = records
        assert content_of(record) == [(None, False)]
        assert polygons(record) == [(np.array(CURVE) + [100, 200] * 14).reshape(14, 2).tolist()]
        assert not report.noted, "it is no news that texts are unknown where there are none"


def test_ctw1500_labels_of_2017_are_found_beside_the_later_ones(tmp_path: Path) -> None:
    BUILDERS["ctw1500"][0](tmp_path)
    BUILDERS["ctw1500-2017"][0](tmp_path)
    later, earlier = (read_folder(name, tmp_path)["test"][0][0] for name in ("ctw1500", "ctw1500-2017"))
    assert [content_of(record)[0][0] for record in (later, earlier)] == ["WORD", None]
    rewrite("ctw1500-2017", tmp_path, "test/text_label_curve/1501.txt", f"{NUMBERS},####WORD")
    with pytest.raises(DataError, match=r"1501\.txt:1: expected 32 numbers between commas \(the labels of 2017\)"):
        read_folder("ctw1500-2017", tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("####WORD", ("WORD", False)), ("#######", ("###", True)), ("#####1, A", ("#1, A", False)), ("####", ("", False))],
)
def test_ctw1500_test_texts_follow_four_hashes(text: str, expected: tuple[str, bool]) -> None:
    label = parse_ctw1500(f"{NUMBERS},{text}")
    assert (label.text, label.ignore) == expected
    assert label.polygon is not None
    assert label.polygon.ravel().tolist() == CURVE


def test_ctw1500_training_set_is_xml_whose_ignored_texts_are_ignored(tmp_path: Path) -> None:
    box = f"<box><label>{{}}</label><segs>{NUMBERS}</segs></box>"
    boxes = "".join(box.format(text) for text in ("A &amp; B", "###", "", "<![CDATA[C<D]]>"))
    rewrite("ctw1500", tmp_path, "ctw1500_train_labels/1001.xml", f"<Annotations>{boxes}</Annotations>")
    (record,), report = read_folder("ctw1500", tmp_path)["train"]
    assert content_of(record) == [("A & B", False), (None, True), (None, False), ("C<D", False)]
    assert polygons(record)[0] == np.array(CURVE, dtype=float).reshape(14, 2).tolist()
    assert counts(report.noted) == {EMPTY_TEXT: 1}


def test_xml_with_entities_of_its_own_is_refused(tmp_path: Path) -> None:
    document = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">]>\n<Annotations><box><label>&b;</label></box></Annotations>'
    path = rewrite("ctw1500", tmp_path, "ctw1500_train_labels/1001.xml", document)
    with pytest.raises(DataError, match="has a DOCTYPE") as caught:
        read_folder("ctw1500", tmp_path)
    assert str(caught.value).startswith(f"{path}:1: ")


@given(
    left=st.floats(-50, 500),
    top=st.floats(-50, 500),
    width=st.floats(1, 300),
    height=st.floats(1, 300),
    theta=st.floats(-math.pi, math.pi),
)
def test_td500_boxes_turn_about_their_centre_as_opencv_turns_them(
    left: float, top: float, width: float, height: float, theta: float
) -> None:
    label = parse_td500(f"0 0 {left} {top} {width} {height} {theta}")
    centre = (left + width / 2, top + height / 2)
    expected = cv2.boxPoints((centre, (width, height), math.degrees(theta)))
    assert label.polygon is not None
    for corner in expected:
        assert np.abs(label.polygon - corner).sum(axis=1).min() < 1e-2


def test_td500_box_worked_out_by_hand_and_difficult_ones_are_ignored(tmp_path: Path) -> None:
    content = f"0 0 10 10 20 10 {math.pi / 2}\r\n1 1 10 10 20 10 0\r\n"
    rewrite("msra-td500", tmp_path, "train/IMG_0030.gt", content)
    (record,), report = read_folder("msra-td500", tmp_path)["train"]
    assert content_of(record) == [(None, False), (None, True)]
    turned, upright = polygons(record)
    np.testing.assert_allclose(turned, [[25, 5], [25, 25], [15, 25], [15, 5]], atol=1e-5)
    assert upright == [[10, 10], [30, 10], [30, 20], [10, 20]]
    assert not report.noted


@pytest.mark.parametrize("truth", ["gt_gt_7.txt", "gt_7.txt", "gt_7.jpg.txt"])
def test_own_folders_may_name_their_text_files_in_three_ways(tmp_path: Path, truth: str) -> None:
    write_photo(tmp_path / "images" / "gt_7.jpg")
    write_text(tmp_path / "labels" / truth, f"{QUAD}\n{QUAD},\n{QUAD},a,b\n{QUAD},###\n{QUAD},*")
    (record,), report = read_folder("icdar-folder", tmp_path)["all"]
    assert content_of(record) == [(None, False), (None, False), ("a,b", False), (None, True), (None, True)]
    assert counts(report.noted) == {EMPTY_TEXT: 1}


FAULTS: dict[str, tuple[str, str, str | bytes, int, str]] = {
    "2013, three numbers": (
        "icdar2013",
        "Challenge2_Training_Task1_GT/gt_100.txt",
        '\n1 2 30 "A"',
        2,
        "expected x1, y1",
    ),
    "2013, no quotes": ("icdar2013", "Challenge2_Training_Task1_GT/gt_100.txt", "1 2 30 12 A", 1, "expected x1, y1"),
    "2013, a letter": ("icdar2013", "Challenge2_Training_Task1_GT/gt_100.txt", '1 2 3O 12 "A"', 1, "must be numbers"),
    "mlt, no script": (
        *("mlt2017", "ch8_training_localization_transcription_gt_v2/gt_img_1.txt", f"{QUAD},WORD", 1, "got 9 fields"),
    ),
    "mlt, another script": (
        *("mlt2017", "ch8_training_localization_transcription_gt_v2/gt_img_1.txt", f"{QUAD},Elvish,A", 1),
        "the script 'Elvish' is none of Arabic",
    ),
    "ctw, cut off": ("ctw1500", "gt_ctw1500/0001501.txt", f"{NUMBERS},####A\n1,2,3", 2, "got 3 fields"),
    "ctw, three hashes": ("ctw1500", "gt_ctw1500/0001501.txt", f"{NUMBERS},###A", 1, "expected 28 numbers"),
    "ctw, 31 numbers": ("ctw1500", "gt_ctw1500/0001501.txt", f"{NUMBERS},1,2,3", 1, "expected 28 numbers"),
    "ctw, a letter": ("ctw1500", "gt_ctw1500/0001501.txt", f"{NUMBERS},1,2,3,a", 1, "must be numbers"),
    "ctw, no XML": ("ctw1500", "ctw1500_train_labels/1001.xml", "<a>\n<b></a>", 2, "is no XML"),
    "ctw, XML without points": (
        *("ctw1500", "ctw1500_train_labels/1001.xml", "<a>\n<box><label>A</label></box></a>", 2, "expected 28 numbers"),
    ),
    "ctw, XML with a text twice": (
        *("ctw1500", "ctw1500_train_labels/1001.xml", "<a><box>\n<label>A</label><label>B</label></box></a>", 2),
        "two <label>",
    ),
    "td500, six fields": ("msra-td500", "train/IMG_0030.gt", "0 0 1 2 3 4", 1, "got 6 fields"),
    "td500, difficulty": ("msra-td500", "train/IMG_0030.gt", "0 2 1 2 3 4 0", 1, "difficult must be 0 or 1"),
    "td500, not a number": ("msra-td500", "train/IMG_0030.gt", "0 0 1 2 3 nan 0", 1, "must be numbers"),
    "own, seven numbers": ("icdar-folder", "gts/gt_img_1.txt", QUAD[:-3], 1, "got 7 fields"),
    "own, not UTF-8": ("icdar-folder", "gts/gt_img_1.txt", f"{QUAD},caf".encode() + b"\xe9", 1, "is not UTF-8"),
    "own, far away": ("icdar-folder", "gts/gt_img_1.txt", f"{QUAD[:-2]}1e8,A", 1, "finite numbers of pixels"),
}


@pytest.mark.parametrize(("name", "path", "content", "line", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_line_is_named(
    tmp_path: Path, name: str, path: str, content: str | bytes, line: int, message: str
) -> None:
    file = rewrite(name, tmp_path, path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_folder(name, tmp_path)
    assert str(caught.value).startswith(f"{file}:{line}: ")


PAIRED: Sequence[tuple[str, str, str]] = (
    ("icdar2013", "Challenge2_Test_Task12_Images/img_1.jpg", "Challenge2_Test_Task1_GT/gt_img_1.txt"),
    ("mlt2017", "ch8_validation_images/img_1.jpg", "ch8_validation_localization_transcription_gt_v2/gt_img_1.txt"),
    ("totaltext", "Images/Test/img11.jpg", "Groundtruth/Polygon/Test/poly_gt_img11.mat"),
    ("ctw1500", "test_images/1501.jpg", "gt_ctw1500/0001501.txt"),
    ("msra-td500", "test/IMG_0030.JPG", "test/IMG_0030.gt"),
)


@pytest.mark.parametrize(("name", "image", "truth"), PAIRED, ids=[name for name, _, _ in PAIRED])
def test_images_and_ground_truths_must_pair_and_be_readable(tmp_path: Path, name: str, image: str, truth: str) -> None:
    BUILDERS[name][0](tmp_path)
    other = write_photo(tmp_path / Path(image).with_name("7.jpg"))
    with pytest.raises(DataError, match=r"1 images in .* have no ground truth in .*: 7\.jpg"):
        read_folder(name, tmp_path)
    (tmp_path / truth).rename(tmp_path / Path(truth).with_name("gt_9" + Path(truth).suffix))
    other.unlink()
    with pytest.raises(DataError, match=r"1 ground truths in .* have no image in .*: gt_9\."):
        read_folder(name, tmp_path)
    (tmp_path / Path(truth).with_name("gt_9" + Path(truth).suffix)).rename(tmp_path / truth)
    (tmp_path / image).write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        read_folder(name, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / image}: ")
