"""Coordinates never become text: lines of any number of points, flags, texts that are numbers, line ends and marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from checkout import real_data_folder
from dataset_files import QUAD, content_of, counts, outline, polygons, read_folder, write_photo, write_text
from scenetext.data.readers import READERS, ReadReport
from scenetext.data.readers.label_lines import FLAGS, POLYGONS
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

SIX = "10,40,60,10,110,40,110,70,60,40,10,70"
FOUR = "100,50,300,50,300,90,100,90"
FAR = "456,17,521,34,515,57,451,41"
LINES = [f"{FOUR},word{number}" for number in range(20)]
"""A set in which quadrilaterals are usual."""


def joined(points: Sequence[Sequence[int]]) -> str:
    return ",".join(str(number) for point in points for number in point)


def read_lines(
    folder: Path, *lines: str, **options: str
) -> tuple[list[tuple[str | None, bool]], list[int], ReadReport]:
    """Texts with whether they are ignored, numbers of points, and report of a folder of one image."""
    write_photo(folder / "images" / "a.jpg")
    write_text(folder / "gts" / "a.txt", "\n".join(lines))
    (record,), report = read_folder("icdar-folder", folder, **options)["all"]
    return content_of(record), [len(polygon) for polygon in polygons(record)], report


KNOWN, UNKNOWN, IGNORED = (lambda text: (text, False)), (None, False), (None, True)
FORMS = {
    "six points and a text": ([f"{SIX},HELLO"], [(KNOWN("HELLO"), 6)]),
    "six points without a text": ([SIX], [(UNKNOWN, 6)]),
    "points that are no whole numbers": ([f"{SIX}.5,HELLO"], [(KNOWN("HELLO"), 6)]),
    "points of many counts": (
        [f"{joined(outline(count))},w{count}" for count in (4, 8, 10, 14)],
        [(KNOWN(f"w{count}"), count) for count in (4, 8, 10, 14)],
    ),
    "many counts, texts that are numbers": (
        [f"{joined(outline(8))},2020", f"{joined(outline(4))},12,500", f"{joined(outline(10))},###"],
        [(KNOWN("2020"), 8), (KNOWN("12,500"), 4), (IGNORED, 10)],
    ),
    "many counts, no texts": (
        [joined(outline(count)) for count in (4, 6, 12)],
        [(UNKNOWN, count) for count in (4, 6, 12)],
    ),
    "a few polygons among quadrilaterals": ([*LINES, f"{SIX},HELLO"], [*[None] * 20, (KNOWN("HELLO"), 6)]),
    "numbers as text among quadrilaterals": (
        [*LINES, f"{FOUR},100,000", f"{FOUR},36,000,000", f"{FOUR},7", f"{FOUR},0", f"{FAR},40,257"],
        [
            *[None] * 20,
            (KNOWN("100,000"), 4),
            (KNOWN("36,000,000"), 4),
            (KNOWN("7"), 4),
            (KNOWN("0"), 4),
            (KNOWN("40,257"), 4),
        ],
    ),
    "digits as texts": ([f"{FOUR},{digit}" for digit in (0, 1, 5)], [(KNOWN(digit), 4) for digit in "015"]),
    "a flag for each": ([f"{FOUR},1", f"{QUAD}, 0"], [(IGNORED, 4), (UNKNOWN, 4)]),
    "a flag after six points": ([f"{SIX},0", f"{SIX},1"], [(UNKNOWN, 6), (IGNORED, 6)]),
    "a flag after the text": (
        [f"{FOUR},A,0", f"{FOUR},B,c,1", f"{FOUR},,0"],
        [(KNOWN("A"), 4), (IGNORED, 4), (UNKNOWN, 4)],
    ),
    "corners of boxes": (["1,2,30,12,A", "30,12,1,2,B,c"], [(KNOWN("A"), 4), (KNOWN("B,c"), 4)]),
}


@pytest.mark.parametrize(("lines", "expected"), FORMS.values(), ids=FORMS.keys())
def test_the_form_of_lines_is_found_from_all_of_them(
    tmp_path: Path, lines: list[str], expected: list[tuple[tuple[str | None, bool], int] | None]
) -> None:
    words, points, _ = read_lines(tmp_path, *lines)
    found = zip(words, points, strict=True)
    assert [one for one, other in zip(found, expected, strict=True) if other] == [one for one in expected if one]


def test_what_is_unusual_about_lines_is_reported(tmp_path: Path) -> None:
    _, _, report = read_lines(tmp_path, f"{FOUR},1", f"{FOUR},0")
    assert counts(report.noted) == {FLAGS: 2}
    _, _, report = read_lines(tmp_path, f"{SIX},A", f"{FOUR},B", f"{SIX},C")
    assert counts(report.noted) == {POLYGONS: 2}
    _, _, report = read_lines(tmp_path, *LINES)
    assert not report.noted


UNCLEAR = {
    "a fifth point or a text": (f"{FOUR},100,70", "could be 5 points, or 4 and the text '100,70'"),
    "six points that cross": (f"{FOUR},300,50,100,50,A", "could be 6 points, or 4 and the text '300,50,100,50,A'"),
}


@pytest.mark.parametrize(("line", "message"), UNCLEAR.values(), ids=UNCLEAR.keys())
def test_a_line_that_can_be_read_in_two_ways_asks_which(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.txt:21: {message}; --points 4 or --points any says which"):
        read_lines(tmp_path, *LINES, line)
    words, points, _ = read_lines(tmp_path, *LINES, line, points="4")
    assert (words[-1], points[-1]) == ((line.removeprefix(f"{FOUR},"), False), 4)
    assert read_lines(tmp_path, *LINES, line, points="any")[1][-1] == len(line.split(",")) // 2


REFUSED = {
    "scores": ([f"{FOUR},0.93", f"{FOUR},1.0"], {}, "ends in a number between 0 and 1, as detections do"),
    "scripts": ([f"{FOUR},Latin,A", f"{FOUR},Korean,B"], {}, "a script before its text; `prepare mlt2017` reads"),
    "no number of points": ([FOUR], {"points": "many"}, "--points 'many': expected a number of points"),
    "fewer points than given": ([FOUR], {"points": "6"}, "expected x1,y1,x2,y2,x3,y3,x4,y4,x5,y5,x6,y6 and"),
    "blanks between": ([FOUR.replace(",", " ")], {}, "expected x1,y1,x2,y2,x3,y3,x4,y4 and"),
}


@pytest.mark.parametrize(("lines", "options", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_other_columns_are_no_texts_either(
    tmp_path: Path, lines: list[str], options: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_lines(tmp_path, *lines, **options)


def test_texts_that_look_like_scores_are_read_on_request(tmp_path: Path) -> None:
    words, _, _ = read_lines(tmp_path, f"{FOUR},0.99", points="4")
    assert words == [("0.99", False)]


@pytest.mark.parametrize(("line", "form"), [(f"{SIX},A", "x6,y6 and, if it"), (f"{FOUR},1", "x4,y4 and 0 or 1")])
def test_icdar2015_refuses_lines_of_another_form(tmp_path: Path, line: str, form: str) -> None:
    write_photo(tmp_path / "train" / "images" / "a.jpg")
    write_text(tmp_path / "train" / "gts" / "gt_a.txt", f"{line}\n{line}")
    with pytest.raises(DataError, match=rf"gt_a\.txt:1: .* seem to be .*{form}.* `prepare icdar-folder`"):
        read_folder("icdar2015", tmp_path)


MARKS = {
    "carriage returns alone": f"{FOUR},A\r{FOUR},###\r".encode(),
    "all line ends": f"{FOUR},A\r\n\r\n{FOUR},###\n".encode(),
    "a mark": f"\ufeff{FOUR},A\n{FOUR},###".encode(),
    "a mark in every line": f"\ufeff{FOUR},A\n \ufeff{FOUR},###".encode(),
    "UTF-16": f"{FOUR},A\r\n{FOUR},###\r\n".encode("utf-16"),
    "a separator inside a text": f"{FOUR},A\u2028\n{FOUR},###".encode(),
}


@pytest.mark.parametrize("content", MARKS.values(), ids=MARKS.keys())
def test_line_ends_and_marks_of_all_kinds(tmp_path: Path, content: bytes) -> None:
    write_photo(tmp_path / "images" / "a.jpg")
    write_text(tmp_path / "gts" / "a.txt", content)
    (record,), _ = read_folder("icdar-folder", tmp_path)["all"]
    assert content_of(record) == [("A", False), IGNORED]


def test_carriage_returns_end_lines_of_every_format(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.jpg")
    write_text(tmp_path / "Label.txt", "a.jpg\t[]\rb.jpg\t[]\r")
    assert len(read_folder("ppocrlabel", tmp_path)["all"][0]) == 1
    write_photo(tmp_path / "Images" / "Train" / "img1.jpg")
    record = "x: [[1 9 9 1]], y: [[1 1 9 9]], ornt: [u'c'], transcriptions: [u'A']"
    write_text(tmp_path / "Groundtruth" / "Polygon" / "Train" / "gt_img1.txt", f"{record}\r{record}\r")
    ((words,), _) = read_folder("totaltext", tmp_path)["train"]
    assert content_of(words) == [("A", False)] * 2


def db_package(folder: Path, name: str, *lines: str) -> None:
    write_photo(folder / "train_images" / name)
    write_text(folder / "train_gts" / f"{name}.txt", "\n".join(lines))


def test_total_text_as_db_has_it(tmp_path: Path) -> None:
    """Lines as published."""
    db_package(tmp_path, "img1542.jpg", "14,146,66,19,204,7,196,49,98,62,47,164,Chirardelli")
    db_package(
        tmp_path,
        "img582.jpg",
        "523,253,661,239,664,269,585,280,531,281,WhiteSpot",
        "553,248,564,224,592,214,627,229,636,239,613,242,598,236,586,232,580,236,567,247,dc",
        "571,286,591,296,603,295,616,278,639,274,630,301,588,311,555,289,###",
        "547,424,669,410,672,437,552,445,Breakfast,Lunch",
        "793,254,840,250,844,347,804,352,PICASSO",
    )
    for name in ("totaltext", "icdar-folder"):
        records, _ = read_folder(name, tmp_path)["train"]
        words = [word for record in records for word in content_of(record)]
        texts = ["WhiteSpot", "dc", None, "Breakfast,Lunch", "PICASSO", "Chirardelli"]
        assert words == [(text, text is None) for text in texts]
        assert [len(polygon) for record in records for polygon in polygons(record)] == [5, 10, 8, 4, 4, 6]


@pytest.mark.parametrize(("name", "folder"), [("msra-td500", "TD500"), ("hust-tr400", "TR400"), ("icdar-folder", "x")])
def test_td500_and_tr400_as_db_has_them(tmp_path: Path, name: str, folder: str) -> None:
    db_package(tmp_path / folder, "IMG_0030.JPG", f"{FOUR},1", f"{QUAD},0")
    for source in (tmp_path, tmp_path / folder):
        (record,), _ = read_folder(name, source)["train"]
        assert content_of(record) == [IGNORED, UNKNOWN]


def test_tr400_as_published_ends_its_lines_in_transcriptions(tmp_path: Path) -> None:
    write_photo(tmp_path / "IMG_0001.jpg")
    lines = ["0 0 5 2 7 2 0.001497 Wellington Park", "1 1 5 2 7 2 0 blurred", "2 0 5 2 7 2 0", "3 0 5 2 7 2 0 ###"]
    write_text(tmp_path / "IMG_0001.gt", "\r\n".join(lines))
    (record,), _ = read_folder("hust-tr400", tmp_path)["train"]
    assert content_of(record) == [KNOWN("Wellington Park"), IGNORED, UNKNOWN, IGNORED]


def real_records(name: str, images: Path, truths: Path) -> list[ImageRecord]:
    reader = READERS[name]
    values = {one.name: one.default_value for one in reader.arguments}
    return list(reader.read({**values, "images": images, "ground_truths": truths}, ReadReport()))


def test_real_lines_are_read_alike_whether_their_form_is_known_or_found() -> None:
    folder = real_data_folder("icdar2015_original") / "train"
    known, found = (real_records(name, folder / "images", folder / "gts") for name in ("icdar2015", "icdar-folder"))
    assert [content_of(record) for record in found] == [content_of(record) for record in known]
    assert [polygons(record) for record in found] == [polygons(record) for record in known]
