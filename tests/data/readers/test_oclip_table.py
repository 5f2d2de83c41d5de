"""The published oCLIP table: what pandas made of it no longer matters, and every broken line is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from damage import refused, with_pieces
from scenetext.data.readers import ReadReport
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.oclip_table import BLANKS, WORDLESS, read_oclip_table
from scenetext.data.records.images import write_image
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

HEADER = "filepath\ttitle\n"


def make_table(root: Path, content: str | bytes, images: int = 3) -> Path:
    for number in range(images):
        write_image(root / "8" / f"{number}.jpg", np.zeros((30, 50, 3), dtype=np.uint8))
    table = root / "train_char.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    return table


def read(
    root: Path, table: Path, image_column: str = "filepath", caption_column: str = "title"
) -> tuple[list[ImageRecord], ReadReport]:
    report = ReadReport()
    return list(read_oclip_table(root, table, image_column, caption_column, report)), report


def words(records: list[ImageRecord]) -> list[list[str | None]]:
    return [[instance.text for instance in record.instances] for record in records]


def test_a_table_gives_words_without_places(tmp_path: Path) -> None:
    table = make_table(tmp_path, HEADER + "8/0.jpg\tLines: I lost\n8/1.jpg\t中国 bank\n")
    records, report = read(tmp_path, table)
    assert [record.path for record in records] == [tmp_path / "8/0.jpg", tmp_path / "8/1.jpg"]
    assert (records[0].width, records[0].height) == (50, 30)
    assert words(records) == [["Lines:", "I", "lost"], ["中国", "bank"]]
    assert all(instance.polygon is None for record in records for instance in record.instances)
    assert not report.dropped
    assert not report.noted


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("NA", ["NA"]),
        ("nan", ["nan"]),
        ("2020", ["2020"]),
        ("1e5 -3", ["1e5", "-3"]),
        ("True", ["True"]),
        ('"SALE', ['"SALE']),
        ('say "hi" \'', ["say", '"hi"', "'"]),
        ("a,b;c|d", ["a,b;c|d"]),
        ("A\u2028B", ["A", "B"]),
        ("#", ["#"]),
    ],
)
def test_no_caption_is_a_number_or_a_quotation(tmp_path: Path, caption: str, expected: list[str]) -> None:
    assert words(read(tmp_path, make_table(tmp_path, f"{HEADER}8/0.jpg\t{caption}\n"))[0]) == [expected]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + HEADER + "8/0.jpg\tword\n",
        "filepath\ttitle\r\n8/0.jpg\tword\r\n",
        HEADER + "\n8/0.jpg\tword\n\n\n",
        HEADER + "8/0.jpg\tword",
        "number\ttitle\tfilepath\n7\tword\t8/0.jpg\n",
    ],
    ids=["byte order mark", "CRLF", "blank lines", "no end of line", "more columns in another order"],
)
def test_shapes_of_tables_that_mean_the_same(tmp_path: Path, content: str) -> None:
    records, _ = read(tmp_path, make_table(tmp_path, content))
    assert [(record.path.name, *words([record])) for record in records] == [("0.jpg", ["word"])]


def test_odd_blanks_and_empty_captions_are_counted(tmp_path: Path) -> None:
    table = make_table(tmp_path, HEADER + "8/0.jpg\tone  two\n8/1.jpg\t three \n8/2.jpg\t\n8/2.jpg\t  \n8/2.jpg\tx y\n")
    records, report = read(tmp_path, table)
    assert words(records) == [["one", "two"], ["three"], ["x", "y"]]
    assert report.noted[BLANKS].count == 2
    assert report.dropped[WORDLESS].count == 2


def test_unreadable_images_are_dropped_and_absolute_paths_taken(tmp_path: Path) -> None:
    table = make_table(tmp_path, HEADER + f"8/9.jpg\ta\n{tmp_path / '8/1.jpg'}\tb\n")
    records, report = read(tmp_path / "8", table)
    assert [record.path for record in records] == [tmp_path / "8/1.jpg"]
    assert report.dropped[UNREADABLE].examples == ["8/9.jpg"]


def test_columns_can_be_named(tmp_path: Path) -> None:
    table = make_table(tmp_path, "image\tcaption\n8/0.jpg\tword\n")
    assert words(read(tmp_path, table, "image", "caption")[0]) == [["word"]]


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "no caption column": ("filepath\tcaption\n8/0.jpg\ta\n", ":1: the column 'title' is missing"),
    "no header": ("8/0.jpg\ta\n", ":1: the column 'filepath' is missing"),
    "separated by commas": ("filepath,title\n8/0.jpg,a\n", ":1: the column 'filepath' is missing"),
    "a column twice": ("filepath\ttitle\ttitle\n", ":1: the column 'title' is more than once"),
    "empty": ("", ":1: the column 'filepath' is missing"),
    "too few fields": (HEADER + "8/0.jpg\ta\n8/1.jpg\n", ":3: has 1 fields, the header has 2"),
    "a tab in a caption": (HEADER + "8/0.jpg\ta\tb\n", ":2: has 3 fields, the header has 2"),
    "not UTF-8": ((HEADER + "8/0.jpg\tcaf").encode() + b"\xe9\n", ":2: is not UTF-8"),
    "no path": (HEADER + "\tword\n", ":2: names no image"),
    "nothing but a header": (HEADER, ": none of its 0 images can be used"),
    "no image": (HEADER + "8/9.jpg\ta\n", ": none of its 1 images can be used"),
}


@pytest.mark.parametrize(("content", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_broken_tables_are_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    table = make_table(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read(tmp_path, table)
    assert str(caught.value).startswith(f"{table}{message}")


def test_damage_is_a_data_error_or_gives_valid_records(tmp_path: Path) -> None:
    table = make_table(tmp_path, HEADER + "8/0.jpg\tLines: I lost\n8/1.jpg\t中国 bank\n8/2.jpg\tNA\n")
    pieces = [b"\t", b"\n", b"\r", b"\x00", b"\xff", b"..", b"/", b" ", b'"', b"\xe2\x80\xa8", b""]
    damaged = with_pieces(table.read_bytes(), pieces, 300)
    assert 50 < refused(table, damaged, lambda: read(tmp_path, table)[0]) < 300
