"""TextOCR and COCO-Text: annotations that name their images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataset_files import (
    FLAT,
    POINTS,
    content_of,
    counts,
    edit,
    polygons,
    read_folder,
)
from published_folders import BUILDERS
from scenetext.data.readers import coco_text
from scenetext.data.readers.grouped import UNLISTED_IMAGE
from scenetext.data.readers.instances import EMPTY_TEXT


@pytest.mark.parametrize("index", ["imgToAnns", "img2Anns", None])
def test_textocr_whatever_the_index_of_annotations_is_called(tmp_path: Path, index: str | None) -> None:
    BUILDERS["textocr"][0](tmp_path)
    word = {"image_id": "train1", "points": [0.5, 1, 9, 1, 9, 5.25, 4, 7, 0, 5], "utf8_string": "A.", "area": 9.5}
    words = {"train1_1": word, "train1_2": {**word, "utf8_string": "."}, "x_3": {**word, "image_id": "x"}}

    def change(content: dict[str, Any]) -> None:
        content["anns"] = words
        del content["imgToAnns"]
        if index:
            content[index] = {"train1": list(words)}

    edit(tmp_path / "TextOCR_0.1_train.json", change)
    (record,), report = read_folder("textocr", tmp_path)["train"]
    assert content_of(record) == [("A.", False), (None, True)]
    assert polygons(record)[0] == [[0.5, 1], [9, 1], [9, 5.25], [4, 7], [0, 5]]
    assert report.dropped[UNLISTED_IMAGE].examples == ["image_id x"]


def test_coco_text_masks_boxes_and_illegible_words(tmp_path: Path) -> None:
    BUILDERS["coco-text"][0](tmp_path)
    word = {"image_id": 36, "bbox": [1.5, 2, 10, 5], "mask": FLAT, "legibility": "legible", "utf8_string": "A"}
    words = [
        word,
        {**word, "legibility": "illegible", "utf8_string": ""},
        {**word, "mask": []},
        {**word, "mask": [1, 2]},
    ]
    words += [{key: value for key, value in word.items() if key != "utf8_string"}, {**word, "image_id": 49}]

    def change(content: dict[str, Any]) -> None:
        content["anns"] = {str(number): word for number, word in enumerate(words)}
        content["imgs"]["99"] = {**content["imgs"]["36"], "set": "test"}

    edit(tmp_path / "cocotext.v2.json", change)
    found = read_folder("coco-text", tmp_path)
    (record,), report = found["train"]
    assert content_of(record) == [("A", False), (None, True), ("A", False), ("A", False), (None, False)]
    assert polygons(record)[0] == POINTS
    assert polygons(record)[2] == [[1.5, 2], [11.5, 2], [11.5, 7], [1.5, 7]]
    assert counts(report.noted) == {coco_text.BOXES: 2, EMPTY_TEXT: 1}
    assert [content_of(record) for record in found["val"][0]] == [[("A", False)]]
