"""What holds for all datasets in JSON: faults are named by their place, unreadable images do not end in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_files import (
    IMAGE,
    edit,
    read_folder,
    write_text,
)
from published_folders import BUILDERS
from scenetext.errors import DataError

FAULTS: dict[str, tuple[str, str, Callable[[Any], Any], str]] = {
    "art, a list": ("art2019", "train_labels.json", lambda _: [], ": expected an object, got []"),
    "art, an object for words": (
        *("art2019", "train_labels.json", lambda _: {"gt_0": {}}, ": gt_0: expected a list, got an empty object"),
    ),
    "art, no points": (
        *("art2019", "train_labels.json", lambda content: content["gt_0"][0].pop("points") and None),
        ": gt_0[0]: expected the key 'points', got an object with the keys 'transcription', ",
    ),
    "art, three numbers": (
        *("art2019", "train_labels.json", lambda content: content["gt_0"][0].update(points=[[1, 2], [3, 4], [5]])),
        ": gt_0[0].points: expected points [[x, y], ...]",
    ),
    "art, a number as text": (
        *("art2019", "train_labels.json", lambda content: content["gt_0"][0].update(points=[["1", 2], [3, 4]])),
        ": gt_0[0].points: expected points",
    ),
    "art, illegible as text": (
        *("art2019", "train_labels.json", lambda content: content["gt_0"][0].update(illegibility="false")),
        ": gt_0[0].illegibility: expected true or false, got 'false'",
    ),
    "lsvt, a name without number": (
        *("lsvt", "train_full_labels.json", lambda _: {"img_1": []}, ": 'img_1' is not the name of an image of LSVT"),
    ),
    "textocr, no image": (
        *("textocr", "TextOCR_0.1_train.json", lambda content: content["anns"]["train1_1"].pop("image_id") and None),
        ": anns.train1_1: expected the key 'image_id'",
    ),
    "coco-text, legibility": (
        *("coco-text", "cocotext.v2.json", lambda content: content["anns"]["1036"].update(legibility="maybe")),
        ": anns.1036.legibility: expected legible or illegible, got 'maybe'",
    ),
    "coco-text, an odd mask": (
        *("coco-text", "cocotext.v2.json", lambda content: content["anns"]["1036"].update(mask=[1, 2, 3, 4, 5, 6, 7])),
        ": anns.1036.mask: expected points (points need an even number of coordinates, got 7)",
    ),
    "synthtext150k, fifteen numbers": (
        *("synthtext150k", "syntext1/annotations/train.json"),
        lambda content: content["annotations"][0].update(bezier_pts=[1] * 14),
        ": annotations[0].bezier_pts: expected 16 numbers",
    ),
    "synthtext150k, an index": (
        *("synthtext150k", "syntext1/annotations/train.json"),
        lambda content: content["annotations"][0].update(rec=[1, 97]),
        ": annotations[0].rec[1]: expected an index from 0 to 96, got 97",
    ),
    "coco, an id twice": (
        *("coco", "annotations.json", lambda content: content.update(images=[IMAGE, IMAGE])),
        ": images[1].id: expected an id that no other image has, got 7",
    ),
    "coco, a name that is none": (
        *("coco", "annotations.json", lambda content: content["images"][0].update(file_name="../..")),
        ": images[0].file_name: expected the name of an image in its folder, got '../..'",
    ),
    "coco, no box": (
        *("coco", "annotations.json", lambda content: content["annotations"][0].update(segmentation=[], bbox=[1, 2])),
        ": annotations[0].bbox: expected 4 numbers",
    ),
    "coco, a crowd of two": (
        *("coco", "annotations.json", lambda content: content["annotations"][0].update(iscrowd=2)),
        ": annotations[0].iscrowd: expected true or false, got 2",
    ),
    "mmocr, no instances": (
        *("mmocr-1x", "textdet_train.json", lambda content: content["data_list"][0].pop("instances") and None),
        ": data_list[0]: expected the key 'instances'",
    ),
    "mmocr 0.x, half a height": (
        *("mmocr-0x", "instances_training.json", lambda content: content["images"][0].update(height=7.5)),
        ": images[0].height: expected a whole number, got 7.5",
    ),
    "doctr, a word's text": (
        *("doctr", "labels.json", lambda _: {"a.jpg": "WORD"}),
        ": a.jpg: expected polygons; a text alone labels the image of one word",
    ),
    "doctr, no polygons": (
        *("doctr", "labels.json", lambda content: content["a.jpg"].pop("polygons") and None),
        ": a.jpg: expected the key 'polygons'",
    ),
    "labelme, one corner": (
        *("labelme", "a.json", lambda content: content["shapes"][0].update(shape_type="rectangle", points=[[1, 2]])),
        ": shapes[0].points: expected two corners",
    ),
}


@pytest.mark.parametrize(("name", "path", "change", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_by_its_place(
    tmp_path: Path, name: str, path: str, change: Callable[[Any], Any], message: str
) -> None:
    BUILDERS[name][0](tmp_path)
    edit(tmp_path / path, change)
    with pytest.raises(DataError) as caught:
        read_folder(name, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / path}{message}")


BROKEN_FILES: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"gt_0":\n [{"points"', ":2: is not valid JSON"),
    "not UTF-8": (b'{\n"caf\xe9": []}', ":2: is not UTF-8"),
    "an image twice": (b'{"gt_0": [], "gt_0": []}', ": is no JSON that can be used: the key 'gt_0' is there twice"),
    "not a number": (b'{"gt_0": [NaN]}', ": is no JSON that can be used: NaN is not a number"),
    "endless digits": (b'{"gt_0": ' + b"1" * 5000 + b"}", ": is no JSON that can be used: "),
    "empty": (b"", ":1: is not valid JSON"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN_FILES.values(), ids=BROKEN_FILES.keys())
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    BUILDERS["art2019"][0](tmp_path)
    path = write_text(tmp_path / "train_labels.json", content)
    with pytest.raises(DataError) as caught:
        read_folder("art2019", tmp_path)
    assert str(caught.value).startswith(f"{path}{message}")


INDEXED = {
    "art2019": "train_labels.json",
    "lsvt": "train_full_labels.json",
    "textocr": "TextOCR_0.1_train.json",
    "coco-text": "cocotext.v2.json",
    "synthtext150k": "syntext1/annotations/train.json",
    "coco": "annotations.json",
    "mmocr-0x": "instances_training.json",
    "mmocr-1x": "textdet_train.json",
    "labelme": "",
    "doctr": "labels.json",
    "ppocrlabel": "Label.txt",
}


@pytest.mark.parametrize("name", INDEXED)
def test_annotations_without_any_readable_image_are_refused(tmp_path: Path, name: str) -> None:
    BUILDERS[name][0](tmp_path)
    for image in tmp_path.rglob("*.jpg"):
        image.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of its \d+ images can be read \(first: .*\.jpg: ") as caught:
        read_folder(name, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / INDEXED[name]}: ")
