"""The ICDAR 2015 reader: the quirks of real files, and every fault with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from checkout import real_data_folder
from scenetext.data.preparation.plausibility import count_text
from scenetext.data.readers import ReadReport
from scenetext.data.readers.icdar2015 import read_icdar2015
from scenetext.data.readers.instances import COUNTER_CLOCKWISE, EMPTY_TEXT, REORDERED, WITHOUT_AREA
from scenetext.data.records.files import read_records, write_records
from scenetext.data.records.images import write_image
from scenetext.data.records.samples import load_sample
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord

LINE = "1,2,30,2,30,12,1,12,WORD"


def read(images: Path, truths: Path) -> tuple[list[ImageRecord], ReadReport]:
    report = ReadReport()
    return list(read_icdar2015(images, truths, report)), report


def make_set(root: Path, truths: dict[str, str | bytes], suffix: str = ".jpg") -> tuple[Path, Path]:
    images, ground_truths = root / "images", root / "gts"
    ground_truths.mkdir(parents=True)
    for name, content in truths.items():
        write_image(images / f"{name}{suffix}", np.zeros((40, 60, 3), dtype=np.uint8))
        data = content if isinstance(content, bytes) else b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode()
        (ground_truths / f"gt_{name}.txt").write_bytes(data)
    return images, ground_truths


def read_words(root: Path, content: str | bytes) -> list[tuple[str | None, bool]]:
    records, _ = read(*make_set(root, {"img_1": content}))
    return [(instance.text, instance.ignore) for instance in records[0].instances]


def test_polygons_sizes_and_order(tmp_path: Path) -> None:
    images, truths = make_set(tmp_path, {"img_10": LINE, "img_2": "", "img_1": "0,0,9,-1,9.5,5,0,5,a"})
    records, _ = read(images, truths)
    assert [record.path.name for record in records] == ["img_1.jpg", "img_2.jpg", "img_10.jpg"]
    assert (records[0].width, records[0].height) == (60, 40)
    assert records[1].instances == ()
    polygon = records[0].instances[0].polygon
    assert polygon.dtype == np.float32
    np.testing.assert_array_equal(polygon, [[0, 0], [9, -1], [9.5, 5], [0, 5]])
    assert [len(record.instances) for record in records] == [1, 0, 1]


QUIRKS = {
    "commas in the text": (LINE + ",AND, MORE", [("WORD,AND, MORE", False)]),
    "ignored": (LINE[:-4] + "###", [(None, True)]),
    "hashes in a text": (LINE[:-4] + "####", [("####", False)]),
    "no transcription": (LINE[:-4], [(None, False)]),
    "blanks within": (LINE + " PARK", [("WORD PARK", False)]),
    "quotes and foreign letters": (LINE[:-4] + '"Ä中', [('"Ä中', False)]),
    "empty lines": (f"\n{LINE}\n\n{LINE}\n\n", [("WORD", False)] * 2),
    "no end of line": (f"{LINE}\n{LINE}", [("WORD", False)] * 2),
    "a separator that splitlines splits at": (LINE[:-4] + "A\u2028B", [("A\u2028B", False)]),
    "no byte order mark, plain line ends": (f"{LINE}\n{LINE}\n".encode(), [("WORD", False)] * 2),
    "blanks between numbers": (LINE.replace(",", ", "), [("WORD", False)]),
}


@pytest.mark.parametrize(("content", "expected"), QUIRKS.values(), ids=QUIRKS.keys())
def test_quirks_of_lines(tmp_path: Path, content: str | bytes, expected: list[tuple[str | None, bool]]) -> None:
    assert read_words(tmp_path, content) == expected


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "seven numbers": ("1,2,30,2,30,12,1,WORD", "got 8 fields"),
    "no text field": ("1,2,30,2,30,12,1,12", "got 8 fields"),
    "a letter": ("1,2,3O,2,30,12,1,12,WORD", "must be numbers"),
    "not a number": ("1,2,nan,2,30,12,1,12,WORD", "must be numbers"),
    "infinite": ("1,2,1e999,2,30,12,1,12,WORD", "must be numbers"),
    "not UTF-8": (b"1,2,30,2,30,12,1,12,caf\xe9", "not UTF-8"),
}


@pytest.mark.parametrize(("line", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_line_is_named(tmp_path: Path, line: str | bytes, message: str) -> None:
    data = line if isinstance(line, bytes) else line.encode()
    images, truths = make_set(tmp_path, {"img_1": LINE, "img_2": f"{LINE}\r\n".encode() + data + b"\r\n"})
    with pytest.raises(DataError, match=message) as caught:
        read(images, truths)
    assert str(caught.value).startswith(f"{truths / 'gt_img_2.txt'}:2: ")


def test_images_and_ground_truths_must_pair(tmp_path: Path) -> None:
    images, truths = make_set(tmp_path, {f"img_{i}": LINE for i in range(1, 10)})
    for i in range(2, 9):
        (truths / f"gt_img_{i}.txt").unlink()
    (images / "img_9.jpg").unlink()
    with pytest.raises(DataError) as caught:
        read(images, truths)
    message = str(caught.value)
    assert "7 images" in message
    assert "img_2.jpg, img_3.jpg, img_4.jpg, img_5.jpg, img_6.jpg, ..." in message
    assert "1 ground truths" in message
    assert "gt_img_9.txt" in message


def test_other_files_in_the_folders_are_no_matter(tmp_path: Path) -> None:
    images, truths = make_set(tmp_path, {"img_1": LINE}, suffix=".JPG")
    for path in (images / "Thumbs.db", images / "._img_1.jpg", truths / "readme.txt", truths / ".DS_Store"):
        path.write_bytes(b"x")
    assert len(read(images, truths)[0]) == 1


def test_missing_empty_and_ambiguous_folders_are_named(tmp_path: Path) -> None:
    images, truths = make_set(tmp_path, {"img_1": LINE})
    with pytest.raises(DataError, match=r"nowhere: is not a folder"):
        read(tmp_path / "nowhere", truths)
    with pytest.raises(DataError, match=r"images: holds no gt_\* files with the suffix \.txt"):
        read(images, images)
    write_image(images / "img_1.png", np.zeros((4, 4, 3), dtype=np.uint8))
    with pytest.raises(DataError, match=r"img_1\.jpg and img_1\.png are named alike"):
        read(images, truths)


def test_an_image_without_a_size_is_named(tmp_path: Path) -> None:
    images, truths = make_set(tmp_path, {"img_1": LINE})
    (images / "img_1.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"img_1\.jpg"):
        read(images, truths)


def test_odd_polygons_are_counted_and_only_those_without_area_ignored(tmp_path: Path) -> None:
    lines = [
        "1,2,30,2,30,12,1,12,clockwise",
        "1,12,30,12,30,2,1,2,counter",
        "1,2,30,2,1,12,30,12,row by row",
        "1,2,10,2,20,2,30,2,flat",
        "5,5,5,5,5,5,5,5,point",
        "1,2,1,2,30,2,30,12,doubled",
        "5,5,5,5,5,5,5,5,###",
        "1,2,30,2,30,12,1,12,",
    ]
    records, report = read(*make_set(tmp_path, {"img_1": "\n".join(lines)}))
    ignored = [instance.ignore for instance in records[0].instances]
    assert ignored == [False, False, False, True, True, False, True, False]
    assert all(instance.polygon.shape == (4, 2) for instance in records[0].instances)
    counts = {reason: finding.count for reason, finding in report.noted.items()}
    assert counts == {WITHOUT_AREA: 2, COUNTER_CLOCKWISE: 1, REORDERED: 1, EMPTY_TEXT: 1}
    assert not report.dropped


def test_all_of_the_real_validation_set(tmp_path: Path) -> None:
    folder = real_data_folder("icdar2015") / "val"
    records, report = read(folder / "images", folder / "gts")
    lines = [
        line for path in (folder / "gts").iterdir() for line in path.read_text("utf-8-sig").split("\n") if line.strip()
    ]
    summary = count_text(records)
    assert (summary.images, summary.instances) == (100, len(lines))
    without_area = report.noted[WITHOUT_AREA].count if WITHOUT_AREA in report.noted else 0
    assert summary.ignored == sum(line.rstrip().endswith(",###") for line in lines) + without_area
    assert summary.with_polygon == summary.instances - summary.ignored
    write_records(tmp_path / "val.jsonl", records)
    for before, after in zip(records, read_records(tmp_path / "val.jsonl"), strict=True):
        sample = load_sample(after)
        assert sample.image.shape[:2] == (before.height, before.width)
        for a, b in zip(before.instances, sample.instances, strict=True):
            np.testing.assert_array_equal(a.polygon, b.polygon)
            assert (a.text, a.ignore) == (b.text, b.ignore)
