"""Names of images as other machines and tools write them, and the images that they mean."""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath

import pytest

from scenetext.data.records.references import (
    CASE,
    SUFFIX,
    UNICODE,
    ZEROS,
    ImageNames,
    UnclearNameError,
    is_name,
    name_parts,
)

COMPOSED, DECOMPOSED = "caf\u00e9.jpg", "cafe\u0301.jpg"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.jpg", "a.jpg"),
        ("./x//a.jpg", "x/a.jpg"),
        ("../x/../images/a.jpg", "images/a.jpg"),
        ("..\\images\\a.jpg", "images/a.jpg"),
        ("C:\\Users\\me\\a.jpg", "Users/me/a.jpg"),
        ("D:/a.jpg", "a.jpg"),
        ("\\\\server\\share\\a.jpg", "server/share/a.jpg"),
        ("/home/me/a b.jpg", "home/me/a b.jpg"),
    ],
)
def test_parts_of_a_name(name: str, parts: str) -> None:
    assert name_parts(name) == PurePosixPath(parts).parts


@pytest.mark.parametrize("name", ["", "/", "..", "../..", ".", "a\0b.jpg"])
def test_no_name(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize(
    ("name", "images", "meant", "change"),
    [
        ("a.jpg", ["a.jpg", "b.jpg"], "a.jpg", None),
        ("a", ["a.jpg"], "a.jpg", None),
        ("a.v1", ["a.v1.png", "a.v2.png"], "a.v1.png", None),
        ("/there/a.jpg", ["here/a.jpg"], "here/a.jpg", None),
        ("IMG_1.jpg", ["IMG_1.JPG"], "IMG_1.JPG", CASE),
        ("img_1", ["IMG_1.JPG"], "IMG_1.JPG", CASE),
        ("STRASSE.jpg", ["straße.jpg"], "straße.jpg", CASE),
        (COMPOSED, [DECOMPOSED], DECOMPOSED, UNICODE),
        (DECOMPOSED, [COMPOSED], COMPOSED, UNICODE),
        (COMPOSED.upper(), [DECOMPOSED], DECOMPOSED, CASE),
        ("a.png", ["a.jpg"], "a.jpg", SUFFIX),
        ("a.HEIC", ["a.jpeg"], "a.jpeg", SUFFIX),
        ("img_1.jpg", ["img_0001.jpg"], "img_0001.jpg", ZEROS),
        ("0001", ["1.png"], "1.png", ZEROS),
        ("img_10.jpg", ["img_1.jpg", "img_100.jpg"], None, None),
        ("0.jpg", ["00.jpg"], "00.jpg", ZEROS),
        ("a.jpg", ["a.txt", "ab.jpg"], None, None),
        # the folders decide before the spelling, and the spelling before the rest
        ("val/a.jpg", ["train/a.jpg", "VAL/a.JPG"], "VAL/a.JPG", CASE),
        ("x/train/a.jpg", ["train/a.jpg", "y/train/a.jpg", "x/train/a.jpg"], "x/train/a.jpg", None),
        ("img_01.jpg", ["img_1.jpg", "img_01.jpg", "img_01.png"], "img_01.jpg", None),
        ("A.jpg", ["a.jpg", "A.png"], "a.jpg", CASE),
        # two that are equally unlike the name are no answer
        ("a.gif", ["a.jpg", "a.png"], None, None),
        ("img_001.jpg", ["img_01.jpg", "img_1.jpg"], None, None),
    ],
)
def test_the_image_that_a_name_means(name: str, images: list[str], meant: str | None, change: str | None) -> None:
    found = ImageNames(map(Path, images)).find(name)
    if meant is None:
        assert found is None
    else:
        assert found is not None
        assert (found.path, found.change) == (Path(meant), change)


def test_a_name_of_two_images_is_refused_unless_one_lies_in_the_folder_itself() -> None:
    with pytest.raises(UnclearNameError, match=r"a\.jpg may mean x/a\.jpg or y/a\.jpg"):
        ImageNames([Path("x/a.jpg"), Path("y/a.jpg")]).find("a.jpg")
    images = [Path("data/a.jpg"), Path("data/x/a.jpg")]
    found = ImageNames(images, [Path("data")]).find("/elsewhere/a.jpg")
    assert found is not None
    assert found.path == images[0]


def test_names_are_found_fast_among_many_images_of_one_name() -> None:
    """A dataset with a folder for each image: a search through all images of a name would take minutes here."""
    names = ImageNames(Path("data", str(number), "page.jpg") for number in range(20_000))
    start = time.perf_counter()
    for number in range(20_000):
        found = names.find(f"/other/{number}/page.png")
        assert found is not None
        assert found.path.parent.name == str(number)
    assert time.perf_counter() - start < 10
