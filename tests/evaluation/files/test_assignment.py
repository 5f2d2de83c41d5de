"""Names in prediction files, and the images that they mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenetext.data.records.references import CASE, SUFFIX, UNICODE, ZEROS
from scenetext.errors import DataError
from scenetext.evaluation.files import assign_predictions
from scenetext.structures import Detection

SOURCE = Path("found.json")
FOUND = [Detection(np.zeros((4, 2), dtype=np.float32), 0.5)]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("data/a/img_1.jpg", "data/a/img_1.jpg"),
        ("/elsewhere/a/img_1.jpg", "data/a/img_1.jpg"),
        ("a/img_1", "data/a/img_1.jpg"),
        ("C:\\photos\\b\\img_1.png", "data/b/img_1.png"),
        ("img_1.png", "data/b/img_1.png"),
        ("img_2.v1", "data/b/img_2.v1.jpg"),
        ("img_2.v1.jpg", "data/b/img_2.v1.jpg"),
        ("img_3", None),
        ("img_1.gif", None),
    ],
)
def test_names(name: str, meant: str | None) -> None:
    images = [Path("data/a/img_1.jpg"), Path("data/b/img_1.png"), Path("data/b/img_2.v1.jpg"), Path("data/sure.jpg")]
    assigned = assign_predictions({name: FOUND, "sure": []}, images, SOURCE)
    expected = {Path("data/sure.jpg"): []} if meant is None else {Path(meant): FOUND, Path("data/sure.jpg"): []}
    assert assigned.detections == expected
    assert assigned.missing == tuple(path for path in images if path not in expected)
    assert assigned.other == ((name,) if meant is None else ())


def test_names_in_another_spelling_are_found_and_said() -> None:
    images = [Path("a/IMG_1.JPG"), Path("a/img_002.png"), Path("a/cafe\u0301.jpg"), Path("a/d.jpg")]
    names = ("C:\\x\\img_1.jpg", "../a/img_2", "caf\u00e9", "d.tif")
    assigned = assign_predictions(dict.fromkeys(names, FOUND), images, SOURCE)
    assert list(assigned.detections) == images
    assert assigned.other == assigned.missing == ()
    assert assigned.changed == {
        reason: [f"{name} is {image}"]
        for reason, name, image in zip((CASE, ZEROS, UNICODE, SUFFIX), names, images, strict=True)
    }


def test_doubt_is_reported() -> None:
    images = [Path("a/1.jpg"), Path("b/1.jpg")]
    with pytest.raises(DataError, match=r"the name 1\.jpg may mean a/1\.jpg or b/1\.jpg; write more of its path"):
        assign_predictions({"1.jpg": FOUND}, images, SOURCE)
    with pytest.raises(DataError, match=r"two results for a/1\.jpg: a/1\.jpg and x/a/1\.jpg"):
        assign_predictions({"a/1.jpg": FOUND, "x/a/1.jpg": FOUND}, images, SOURCE)
    with pytest.raises(DataError, match=r"none of its names, such as gt_9, means an image .* such as a/1\.jpg"):
        assign_predictions({"gt_9": FOUND}, images, SOURCE)
    with pytest.raises(DataError, match="and there are none"):
        assign_predictions({}, images, SOURCE)
