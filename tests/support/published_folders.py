"""A small copy of every dataset as its publisher hands it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from scipy.io import savemat

from dataset_files import (
    CURVE,
    FLAT,
    HEIGHT,
    POINTS,
    QUAD,
    WIDTH,
    polygt_row,
    write_json,
    write_photo,
    write_polygt,
    write_text,
)

Builder = Callable[[Path], None]


def _synthtext(root: Path) -> None:
    cells = {name: np.empty((1, 1), dtype=object) for name in ("imnames", "wordBB", "txt")}
    cells["imnames"][0, 0] = write_photo(root / "8" / "a_1.jpg").relative_to(root).as_posix()
    cells["wordBB"][0, 0] = np.array(POINTS, dtype=np.float64).T
    cells["txt"][0, 0] = np.array(["WORD"])
    savemat(root / "gt.mat", cells)


def _synthtext150k(root: Path) -> None:
    for part in ("syntext1", "syntext2"):
        write_photo(root / part / "images" / "0000001.jpg")
        image = {"id": 1, "file_name": "0000001.jpg", "width": WIDTH, "height": HEIGHT}
        bezier = [0, 0, 10, 0, 20, 0, 30, 0, 30, 10, 20, 10, 10, 10, 0, 10]
        word = {"id": 1, "image_id": 1, "bezier_pts": bezier, "rec": [55, 47, 50, 36, *[96] * 21], "iscrowd": 0}
        write_json(root / part / "annotations" / "train.json", {"images": [image], "annotations": [word]})


def _paired(images: str, truths: str, content: str, image: str = "img_1.jpg", truth: str = "gt_img_1.txt") -> Builder:
    def build(root: Path) -> None:
        write_photo(root / images / image)
        write_text(root / truths / truth, content)

    return build


def _both(*builders: Builder) -> Builder:
    def build(root: Path) -> None:
        for builder in builders:
            builder(root)

    return build


def _keyed(images: str, labels: str, *names: str) -> Builder:
    def build(root: Path) -> None:
        for name in names:
            write_photo(root / images / f"{name}.jpg")
        label = {"points": POINTS, "transcription": "WORD", "language": "Latin", "illegibility": False}
        write_json(root / labels, {name: [label] for name in names})

    return build


def _lsvt_weak(root: Path) -> None:
    write_photo(root / "train_weak_images" / "gt_0.jpg")
    write_json(root / "train_weak_labels.json", {"gt_0": [{"transcription": "WORD"}]})


def _totaltext(root: Path) -> None:
    for split in ("Train", "Test"):
        write_photo(root / "Images" / split / "img11.jpg")
        write_polygt(root / "Groundtruth/Polygon" / split / "poly_gt_img11.mat", [polygt_row(POINTS, "WORD")])


def _textocr(root: Path) -> None:
    for split in ("train", "val"):
        write_photo(root / "train_images" / f"{split}1.jpg")
        image = {"id": f"{split}1", "width": WIDTH, "height": HEIGHT, "file_name": f"train/{split}1.jpg", "set": split}
        word = {"id": f"{split}1_1", "image_id": f"{split}1", "points": FLAT, "utf8_string": "WORD"}
        content = {"imgs": {f"{split}1": image}, "anns": {f"{split}1_1": word}, "imgToAnns": {}}
        write_json(root / f"TextOCR_0.1_{split}.json", content)


def _coco_text(root: Path) -> None:
    images, words = {}, {}
    for number, split in ((36, "train"), (49, "val")):
        name = write_photo(root / "train2014" / f"COCO_train2014_{number:012}.jpg").name
        images[str(number)] = {"id": number, "set": split, "width": WIDTH, "height": HEIGHT, "file_name": name}
        words[str(number + 1000)] = {
            **{"id": number + 1000, "image_id": number, "mask": FLAT, "bbox": [1, 2, 29, 10], "utf8_string": "WORD"},
            **{"legibility": "legible", "class": "machine printed", "language": "english"},
        }
    write_json(root / "cocotext.v2.json", {"cats": {}, "imgs": images, "anns": words, "imgToAnns": {}})


def _coco(images: str, labels: str, text: str | None) -> Builder:
    def build(root: Path) -> None:
        write_photo(root / images / "img_1.jpg")
        word = {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [FLAT], "bbox": [1, 2, 29, 10], "iscrowd": 0}
        image = {"id": 7, "file_name": "img_1.jpg", "width": WIDTH, "height": HEIGHT}
        content = {"images": [image], "annotations": [word if text is None else {**word, "text": text}]}
        write_json(root / labels, {**content, "categories": [{"id": 1, "name": "text"}]})

    return build


def _mmocr1(root: Path) -> None:
    for split in ("train", "test"):
        write_photo(root / "textdet_imgs" / split / "img_1.jpg")
        word = {"polygon": FLAT, "bbox": [1, 2, 30, 12], "bbox_label": 0, "text": "WORD", "ignore": False}
        entry = {"img_path": f"textdet_imgs/{split}/img_1.jpg", "height": HEIGHT, "width": WIDTH, "instances": [word]}
        write_json(
            root / f"textdet_{split}.json", {"metainfo": {"dataset_type": "TextDetDataset"}, "data_list": [entry]}
        )


def _labelme(root: Path) -> None:
    write_photo(root / "a.jpg")
    shape = {"label": "WORD", "points": POINTS, "shape_type": "polygon", "flags": {}}
    write_json(root / "a.json", {"imagePath": "a.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": [shape]})


def _ppocrlabel(root: Path) -> None:
    write_photo(root / "a.jpg")
    labels = json.dumps([{"transcription": "WORD", "points": POINTS, "difficult": False}])
    write_text(root / "Label.txt", f"{root.name}/a.jpg\t{labels}\n")


def _doctr(root: Path) -> None:
    write_photo(root / "images" / "a.jpg")
    entry = {"img_dimensions": [HEIGHT, WIDTH], "img_hash": "0", "polygons": [POINTS]}
    write_json(root / "labels.json", {"a.jpg": entry})


def _images(root: Path) -> None:
    write_photo(root / "sub" / "a.JPG")


_TD500 = "0 0 1 2 29 10 0\n"
_CTW_TEST = ",".join(map(str, CURVE)) + ",####WORD\n"
_CTW_2017 = ",".join(map(str, [0, 0, 40, 30, *CURVE]))
_CTW_TRAIN = (
    '<Annotations><image file="1001.jpg"><box height="1" left="1" top="1" width="1"><label>WORD</label>'
    f"<segs>{','.join(map(str, CURVE))}</segs><pts>1,1</pts></box></image></Annotations>"
)
BUILDERS: Mapping[str, tuple[Builder, tuple[str, ...], bool]] = {
    "synthtext": (_synthtext, ("train",), True),
    "synthtext150k": (_synthtext150k, ("syntext1", "syntext2"), True),
    "icdar2013": (
        _both(
            _paired(
                *("Challenge2_Training_Task12_Images", "Challenge2_Training_Task1_GT", '1 2 30 12 "WORD"\r\n'),
                *("100.jpg", "gt_100.txt"),
            ),
            _paired("Challenge2_Test_Task12_Images", "Challenge2_Test_Task1_GT", '1, 2, 30, 12, "WORD"\r\n'),
        ),
        ("train", "test"),
        True,
    ),
    "icdar2015": (
        _both(
            _paired("ch4_training_images", "ch4_training_localization_transcription_gt", f"\ufeff{QUAD},WORD\r\n"),
            _paired("ch4_test_images", "Challenge4_Test_Task1_GT", f"\ufeff{QUAD},WORD\r\n"),
        ),
        ("train", "test"),
        True,
    ),
    "mlt2017": (
        _both(
            _paired(
                *("ch8_training_images_1", "ch8_training_localization_transcription_gt_v2", f"{QUAD},Latin,WORD\n"),
            ),
            _paired("ch8_validation_images", "ch8_validation_localization_transcription_gt_v2", f"{QUAD},Latin,WORD\n"),
        ),
        ("train", "val"),
        True,
    ),
    "art2019": (_keyed("train_images", "train_labels.json", "gt_0"), ("train",), True),
    "nighttime-art": (_keyed("images", "labels.json", "gt_5"), ("test",), True),
    "lsvt": (_keyed("train_full_images_0", "train_full_labels.json", "gt_10", "gt_11"), ("train", "val"), True),
    "lsvt-weak": (_lsvt_weak, ("train",), True),
    "totaltext": (_totaltext, ("train", "test"), True),
    "ctw1500": (
        _both(
            _paired("train_images", "ctw1500_train_labels", _CTW_TRAIN, "1001.jpg", "1001.xml"),
            _paired("test_images", "gt_ctw1500", _CTW_TEST, "1501.jpg", "0001501.txt"),
        ),
        ("train", "test"),
        True,
    ),
    "ctw1500-2017": (
        _both(
            _paired("train/text_image", "train/text_label_curve", _CTW_2017, "1001.jpg", "1001.txt"),
            _paired("test/text_image", "test/text_label_curve", _CTW_2017, "1501.jpg", "1501.txt"),
        ),
        ("train", "test"),
        False,
    ),
    "msra-td500": (
        _both(
            *(_paired(split, split, _TD500, "IMG_0030.JPG", "IMG_0030.gt") for split in ("train", "test")),
        ),
        ("train", "test"),
        False,
    ),
    "hust-tr400": (_paired(".", ".", "0 0 1 2 29 10 0 WORD\n", "1.jpg", "1.gt"), ("train",), True),
    "textocr": (_textocr, ("train", "val"), True),
    "coco-text": (_coco_text, ("train", "val"), True),
    "mmocr-0x": (_coco("imgs", "instances_training.json", None), ("train",), False),
    "mmocr-1x": (_mmocr1, ("train", "test"), True),
    "images": (_images, ("all",), False),
    "icdar-folder": (_paired("images", "gts", f"{QUAD},WORD\n"), ("all",), True),
    "coco": (_coco("images", "annotations.json", "WORD"), ("all",), True),
    "labelme": (_labelme, ("all",), True),
    "doctr": (_doctr, ("all",), False),
    "ppocrlabel": (_ppocrlabel, ("all",), True),
}
"""By reader: what writes a dataset with one word "WORD" in every split, its splits, and whether the text is in it."""
