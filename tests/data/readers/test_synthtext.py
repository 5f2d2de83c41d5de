"""The SynthText reader on small `gt.mat` files with every quirk of the real one, and on damaged ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from damage import refused, with_other_bytes
from scenetext.data.readers import ReadReport
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.synthtext import (
    CUT,
    KEEP,
    UNMATCHED,
    UNMATCHED_CHARACTERS,
    WITHOUT_CHARACTERS,
    WITHOUT_POLYGON,
    WRONG,
    WRONG_IMAGES,
    read_synthtext,
)
from scenetext.data.records.images import write_image
from scenetext.errors import DataError
from scenetext.geometry.polygon import order_polygon
from scenetext.structures import ImageRecord

WIDTH, HEIGHT = 60, 40
SQUARE = np.array([[5, 5], [25, 5], [25, 15], [5, 15]], dtype=np.float64)


def moved(right: float, down: float) -> np.ndarray:
    return SQUARE + np.array([right, down])


def boxes(*quads: np.ndarray) -> np.ndarray:
    """wordBB of one image: 2 x 4 x n, or 2 x 4 for a single word, as MATLAB squeezes it."""
    stacked = np.stack([quad.T for quad in quads], axis=2)
    return stacked[:, :, 0] if len(quads) == 1 else stacked


def write_ground_truth(
    folder: Path,
    images: dict[str, tuple[Any, Sequence[str]]],
    size: tuple[int, int] = (HEIGHT, WIDTH),
    compress: bool = False,
) -> Path:
    """`gt.mat` and its images; values: (wordBB, the entries of txt)."""
    cells: dict[str, np.ndarray] = {
        name: np.empty((1, len(images)), dtype=object) for name in ("imnames", "wordBB", "txt", "charBB")
    }
    for number, (name, (word_boxes, texts)) in enumerate(images.items()):
        write_image(folder / name, np.full((*size, 3), 90, dtype=np.uint8))
        cells["imnames"][0, number] = name
        cells["wordBB"][0, number] = word_boxes
        cells["txt"][0, number] = np.array(texts)
        cells["charBB"][0, number] = np.zeros((2, 4, 3))
    savemat(folder / "gt.mat", cells, do_compression=compress)
    return folder / "gt.mat"


def read(folder: Path) -> tuple[list[ImageRecord], ReadReport]:
    report = ReadReport()
    return list(read_synthtext(folder, folder / "gt.mat", report)), report


def words(record: ImageRecord) -> list[str | None]:
    return [instance.text for instance in record.instances]


@pytest.mark.parametrize("compress", [False, True])
def test_texts_of_several_words_and_a_single_squeezed_word(tmp_path: Path, compress: bool) -> None:
    other = moved(20.25, 10)
    write_ground_truth(
        tmp_path,
        {
            "8/several_1.jpg": (boxes(SQUARE, other, SQUARE, other), ["Lines:\nI lost  ", "Kevin"]),
            "200/one.jpg": (boxes(other), ["AT&T"]),
        },
        compress=compress,
    )
    (several, one), report = read(tmp_path)
    assert (several.path, several.width, several.height) == (tmp_path / "8/several_1.jpg", WIDTH, HEIGHT)
    assert words(several) == ["Lines:", "I", "lost", "Kevin"]
    for instance, quad in zip(several.instances, (SQUARE, other, SQUARE, other), strict=True):
        assert instance.polygon is not None
        assert instance.polygon.dtype == np.float32
        np.testing.assert_array_equal(instance.polygon, quad)
        assert not instance.ignore
    assert words(one) == ["AT&T"]
    np.testing.assert_array_equal(one.instances[0].polygon, other)
    assert not report.dropped
    assert not report.noted


def test_a_box_keeps_its_first_corner_and_direction(tmp_path: Path) -> None:
    upside_down = np.roll(SQUARE, 2, axis=0)
    mirrored = SQUARE[::-1]
    write_ground_truth(tmp_path, {"1/a.jpg": (boxes(upside_down, mirrored), ["turned round"])})
    (record,), _ = read(tmp_path)
    np.testing.assert_array_equal(record.instances[0].polygon, upside_down)
    np.testing.assert_array_equal(record.instances[1].polygon, mirrored)


def test_corners_outside_are_cut_and_boxes_without_area_dropped_but_their_words_kept(tmp_path: Path) -> None:
    cases = {
        "cut": moved(-15, -10),
        "outside": moved(WIDTH, 0),
        "line": np.array([[5, 5], [10, 5], [20, 5], [30, 5]], dtype=np.float64),
        "point": np.full((4, 2), 7.0),
        "sliver": moved(WIDTH - 5.01, 0),
        "unknown": SQUARE * np.nan,
        "endless": SQUARE * np.inf,
        "bow": SQUARE[[0, 2, 1, 3]],
        "border": np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], dtype=np.float64),
    }
    write_ground_truth(tmp_path, {"1/a.jpg": (boxes(*cases.values()), [" ".join(cases)])})
    (record,), report = read(tmp_path)
    assert words(record) == list(cases)
    found = {instance.text: instance.polygon for instance in record.instances}
    np.testing.assert_array_equal(order_polygon(found["cut"]), [[0, 0], [10, 0], [10, 5], [0, 5]])
    np.testing.assert_array_equal(found["border"], cases["border"])
    without = [text for text, polygon in found.items() if polygon is None]
    assert without == ["outside", "line", "point", "sliver", "unknown", "endless"]
    assert found["bow"] is not None, "repaired to its larger half"
    assert report.noted[WITHOUT_POLYGON].count == len(without)
    assert report.noted[WITHOUT_POLYGON].examples[0] == "outside in 1/a.jpg"
    assert report.noted[CUT].count == 2
    for polygon in found.values():
        if polygon is not None:
            assert ((polygon >= 0) & (polygon <= (WIDTH, HEIGHT))).all()


@pytest.mark.parametrize(
    ("word_boxes", "texts", "expected"),
    [
        (boxes(SQUARE, SQUARE), ["one two three"], ["one", "two", "three"]),
        (boxes(SQUARE), ["one two"], ["one", "two"]),
        (np.zeros((2, 4, 0)), ["one"], ["one"]),
        (boxes(SQUARE, SQUARE), [" \n "], []),
    ],
    ids=["more words", "one box", "no box", "no word"],
)
def test_words_that_do_not_match_their_boxes_are_kept_without(
    tmp_path: Path, word_boxes: np.ndarray, texts: list[str], expected: list[str]
) -> None:
    write_ground_truth(tmp_path, {"1/a.jpg": (word_boxes, texts)})
    (record,), report = read(tmp_path)
    assert words(record) == expected
    assert all(instance.polygon is None for instance in record.instances)
    assert report.noted[UNMATCHED].count == 1
    assert "1/a.jpg" in report.noted[UNMATCHED].examples[0]


def with_characters(path: Path, *boxes_of_images: np.ndarray) -> tuple[list[ImageRecord], ReadReport]:
    """Reads `gt.mat` with these in charBB."""
    content = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    for number, character_boxes in enumerate(boxes_of_images):
        content["charBB"][0, number] = character_boxes
    savemat(path, content)
    report = ReadReport()
    return list(read_synthtext(path.parent, path, report, KEEP)), report


def test_boxes_of_characters_are_kept_on_request_with_their_words(tmp_path: Path) -> None:
    path = write_ground_truth(
        tmp_path,
        {
            "1/a.jpg": (boxes(SQUARE, moved(-15, -10), moved(WIDTH, 0)), ["ab\nc", "d"]),
            "1/one.jpg": (boxes(SQUARE), ["x"]),
            "1/none.jpg": (np.zeros((2, 4, 0)), [" "]),
        },
    )
    characters = [moved(step, 0) for step in (0, 1, -15, WIDTH)]
    records, report = with_characters(path, boxes(*characters), boxes(SQUARE), np.zeros((2, 4, 0)))
    first, cut, outside = records[0].instances
    np.testing.assert_array_equal(first.characters, characters[:2])
    assert first.characters is not None
    assert first.characters.dtype == np.float32
    np.testing.assert_array_equal(cut.characters, characters[2:3], "not cut as its word is")
    assert outside.polygon is None
    assert outside.characters is None
    np.testing.assert_array_equal(records[1].instances[0].characters, [SQUARE])
    assert not {UNMATCHED_CHARACTERS, WITHOUT_CHARACTERS} & report.noted.keys()
    assert all(instance.characters is None for instance in read(tmp_path)[0][0].instances), "not asked for"


def test_boxes_of_characters_that_are_of_no_use_are_counted(tmp_path: Path) -> None:
    usual = (boxes(SQUARE, SQUARE), ["ab c"])
    path = write_ground_truth(tmp_path, {"1/more.jpg": usual, "1/broken.jpg": usual})
    records, report = with_characters(path, boxes(*[SQUARE] * 4), boxes(SQUARE, SQUARE * np.nan, SQUARE))
    assert [[one.characters is None for one in record.instances] for record in records] == [[True, True], [True, False]]
    assert words(records[0]) == ["ab", "c"]
    assert report.noted[UNMATCHED_CHARACTERS].examples == ["1/more.jpg: 3 characters, 4 boxes"]
    assert report.noted[WITHOUT_CHARACTERS].examples == ["ab in 1/broken.jpg"]


def test_boxes_of_characters_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = write_ground_truth(tmp_path, {"1/a.jpg": (boxes(SQUARE), ["word"])})
    with pytest.raises(DataError, match=r"gt\.mat: image 1: charBB has the shape \(4, 2\), expected 2 x 4 x boxes"):
        with_characters(path, SQUARE)
    with pytest.raises(DataError, match="--character-boxes yes: the choices are keep and skip"):
        next(read_synthtext(tmp_path, path, ReadReport(), "yes"))


def test_wrong_and_unreadable_images_are_dropped_and_counted(tmp_path: Path) -> None:
    usual = (boxes(SQUARE), ["word"])
    names = ["1/a.jpg", *sorted(WRONG_IMAGES), "2/gone.jpg", "2/no_image.jpg"]
    write_ground_truth(tmp_path, dict.fromkeys(names, usual))
    (tmp_path / "2/gone.jpg").unlink()
    (tmp_path / "2/no_image.jpg").write_text("<html>")
    records, report = read(tmp_path)
    assert [record.path.name for record in records] == ["a.jpg"]
    assert report.dropped[WRONG].examples == sorted(WRONG_IMAGES)
    assert report.dropped[UNREADABLE].examples == ["2/gone.jpg", "2/no_image.jpg"]


def test_no_readable_image_at_all_names_the_first(tmp_path: Path) -> None:
    truth = write_ground_truth(tmp_path / "set", {"1/a.jpg": (boxes(SQUARE), ["word"])})
    with pytest.raises(DataError, match=r"gt\.mat: none of its 1 images can be read in .*elsewhere.*a\.jpg"):
        list(read_synthtext(tmp_path / "elsewhere", truth, ReadReport()))


FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a name that leads out": ("image 1: '../../etc/passwd' is not the name", {"imnames": "../../etc/passwd"}),
    "an absolute name": ("image 1: '/etc/passwd' is not the name", {"imnames": "/etc/passwd"}),
    "a number for a name": ("image 1: text is expected, got numbers", {"imnames": 3.0}),
    "boxes of another shape": (r"image 1: wordBB has the shape \(4, 2\)", {"wordBB": SQUARE}),
    "boxes of text": ("image 1: wordBB holds text", {"wordBB": "box"}),
    "numbers for words": ("image 1: text is expected", {"txt": 3.0}),
}


@pytest.mark.parametrize(("message", "change"), FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_entry_is_named_by_number(tmp_path: Path, message: str, change: dict[str, Any]) -> None:
    path = write_ground_truth(tmp_path, {"1/a.jpg": (boxes(SQUARE), ["word"])})
    content = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    for name, value in change.items():
        content[name][0, 0] = value
    savemat(path, content)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")


def test_files_that_are_no_ground_truth_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "gt.mat"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"gt\.mat: cannot be read as a MATLAB file"):
        read(tmp_path)
    savemat(path, {"imnames": np.zeros(3)})
    with pytest.raises(DataError, match="imnames is no cell array"):
        read(tmp_path)
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 9)
    with pytest.raises(DataError, match=r"version 7\.3: save it again in MATLAB with -v7"):
        read(tmp_path)
    write_ground_truth(tmp_path, {"1/a.jpg": (boxes(SQUARE), ["a"]), "1/b.jpg": (boxes(SQUARE), ["b"])})
    content = loadmat(path)
    savemat(path, {"imnames": content["imnames"], "wordBB": content["wordBB"][:, :1], "txt": content["txt"]})
    with pytest.raises(DataError, match=r"different numbers of images \(imnames 2, wordBB 1, txt 2\)"):
        read(tmp_path)


@pytest.mark.parametrize("compress", [False, True])
def test_damage_is_a_data_error_or_gives_valid_records(tmp_path: Path, compress: bool) -> None:
    path = write_ground_truth(
        tmp_path,
        {"8/several.jpg": (boxes(SQUARE, SQUARE - 10), ["I\nlost"]), "1/one.jpg": (boxes(SQUARE), ["word"])},
        compress=compress,
    )
    damaged = with_other_bytes(path.read_bytes(), 200)
    assert 20 < refused(path, damaged, lambda: read(tmp_path)[0]) < 200
