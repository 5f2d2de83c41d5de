"""A dataset of several images and words for every reader, with one word a line wherever the format allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.io import savemat

from dataset_files import CURVE, FLAT, HEIGHT, POINTS, QUAD, WIDTH, polygt_row, write_photo, write_polygt, write_text
from scenetext.data.preparation.shard_writing import write_shards
from scenetext.data.readers import ReadReport
from scenetext.structures import ImageRecord, TextInstance

WORDS = ("wörda", "wordb", "word,c", 'wo"rd', "WORDE", "中国f")
"""Of two images, three each."""
IMAGES = (WORDS[:3], WORDS[3:])


class Fuzzed(NamedTuple):
    """A dataset to be damaged.

    Attributes:
        build: writes it to a folder and gives the file to damage.
        spelled: whether every word stands in a line of its own, as it is read.
        lines: whether every fault has a line.
        values: arguments of a reader that finds no splits; None = it finds them.
    """

    build: Callable[[Path], Path]
    spelled: bool = False
    lines: bool = False
    values: Callable[[Path], Mapping[str, Any]] | None = None


def dumped(content: Any) -> str:
    """JSON with every word's object in a line of its own."""
    return json.dumps(content, ensure_ascii=False).replace("}, ", "},\n")


def in_text_lines(images: str, truths: str, name: str, truth: str, form: str) -> Callable[[Path], Path]:
    """Pairs of an image and a text file, of which the first is damaged; `form` has a place for the word."""

    def build(root: Path) -> Path:
        for number, words in enumerate(IMAGES, start=1):
            write_photo(root / images / name.format(number))
            lines = [form.format(word.replace('"', r"\"") if form.endswith('"') else word) for word in words]
            write_text(root / truths / truth.format(number), "\r\n".join(lines) + "\r\n")
        return root / truths / truth.format(1)

    return build


def synthtext(root: Path) -> Path:
    cells = {name: np.empty((1, 6), dtype=object) for name in ("imnames", "wordBB", "txt")}
    for number in range(6):
        path = write_photo(root / "8" / f"a_{number}.jpg")
        cells["imnames"][0, number] = path.relative_to(root).as_posix()
        cells["wordBB"][0, number] = np.stack([np.array(POINTS, dtype=np.float64).T] * 2, axis=2)
        cells["txt"][0, number] = np.array([f"{WORDS[number]}\nsecond"])
    savemat(root / "gt.mat", cells)
    return root / "gt.mat"


def synthtext150k(root: Path) -> Path:
    images, words = [], []
    for number in (1, 2):
        write_photo(root / "syntext1" / "images" / f"{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "width": WIDTH, "height": HEIGHT})
        bezier = [0, 0, 10, 0, 20, 0, 30, 0, 30, 10, 20, 10, 10, 10, 0, 10]
        word = {
            "id": number,
            "image_id": number,
            "bezier_pts": bezier,
            "rec": [55, 47, 50, 36, *[96] * 21],
            "iscrowd": 0,
        }
        words += [word, {**word, "id": number + 10, "bezier_pts": None, "polys": FLAT}]
    content = dumped({"images": images, "annotations": words})
    return write_text(root / "syntext1" / "annotations" / "train.json", content)


def keyed(images: str, labels: str, with_places: bool = True) -> Callable[[Path], Path]:
    def build(root: Path) -> Path:
        content = {}
        for number, words in enumerate(IMAGES):
            write_photo(root / images / f"gt_{number}.jpg")
            place = {"points": POINTS, "language": "Latin", "illegibility": False} if with_places else {}
            content[f"gt_{number}"] = [{**place, "transcription": word} for word in words]
        return write_text(root / labels, dumped(content))

    return build


def totaltext_matlab(root: Path) -> Path:
    write_photo(root / "Images/Train/img11.jpg")
    rows = [polygt_row(POINTS, word) for word in WORDS]
    return write_polygt(root / "Groundtruth/Polygon/Train/poly_gt_img11.mat", rows)


def totaltext_text(root: Path) -> Path:
    write_photo(root / "Images/Train/img11.jpg")
    x, y = (" ".join(str(point[axis]) for point in POINTS) for axis in (0, 1))
    lines = [f"x: [[{x}]], y: [[{y}]], ornt: [u'c'], transcriptions: [u'{word}']\n" for word in WORDS]
    return write_text(root / "Groundtruth/Text/Train/poly_gt_img11.txt", "".join(lines))


def ctw1500_xml(root: Path) -> Path:
    write_photo(root / "train_images" / "1001.jpg")
    segments = ",".join(map(str, CURVE))
    box = '<box height="1" left="1" top="1" width="1"><label>{}</label><segs>{}</segs><pts>1,1</pts></box>\n'
    boxes = "".join(box.format(word, segments) for word in WORDS)
    content = f'<Annotations>\n<image file="1001.jpg">\n{boxes}</image>\n</Annotations>\n'
    return write_text(root / "ctw1500_train_labels" / "1001.xml", content)


def textocr(root: Path) -> Path:
    images, words = {}, {}
    for number, texts in enumerate(IMAGES):
        name = f"train{number}"
        write_photo(root / "train_images" / f"{name}.jpg")
        images[name] = {"id": name, "width": WIDTH, "height": HEIGHT, "file_name": f"train/{name}.jpg", "set": "train"}
        for place, text in enumerate(texts):
            word = {"id": f"{name}_{place}", "image_id": name, "points": FLAT, "utf8_string": text}
            words[f"{name}_{place}"] = word
    content = {"imgs": images, "anns": words}
    return write_text(root / "TextOCR_0.1_train.json", dumped(content))


def coco_text(root: Path) -> Path:
    images, words = {}, {}
    for number, (texts, split) in enumerate(zip(IMAGES, ("train", "val"), strict=True), start=36):
        name = write_photo(root / "train2014" / f"COCO_train2014_{number:012}.jpg").name
        images[str(number)] = {"id": number, "set": split, "width": WIDTH, "height": HEIGHT, "file_name": name}
        for place, text in enumerate(texts):
            identity = 10 * number + place
            words[str(identity)] = {
                **{"id": identity, "image_id": number, "mask": FLAT, "bbox": [1, 2, 29, 10], "utf8_string": text},
                **{"legibility": "legible", "class": "machine printed", "language": "english"},
            }
    content = {"imgs": images, "anns": words}
    return write_text(root / "cocotext.v2.json", dumped(content))


def coco(images: str, labels: str, has_text: bool) -> Callable[[Path], Path]:
    def build(root: Path) -> Path:
        named, words = [], []
        for number, texts in enumerate(IMAGES):
            write_photo(root / images / f"img_{number}.jpg")
            named.append({"id": number, "file_name": f"img_{number}.jpg", "width": WIDTH, "height": HEIGHT})
            for place, text in enumerate(texts):
                word = {"id": 10 * number + place, "image_id": number, "category_id": 1, "segmentation": [FLAT]}
                words.append({**word, "bbox": [1, 2, 29, 10], "iscrowd": 0, **({"text": text} if has_text else {})})
        content = {"images": named, "annotations": words, "categories": [{"id": 1, "name": "text"}]}
        return write_text(root / labels, dumped(content))

    return build


def mmocr(root: Path) -> Path:
    entries = []
    for number, texts in enumerate(IMAGES):
        write_photo(root / "textdet_imgs" / "train" / f"img_{number}.jpg")
        word = {"polygon": FLAT, "bbox": [1, 2, 30, 12], "bbox_label": 0, "ignore": False}
        path = f"textdet_imgs/train/img_{number}.jpg"
        entries.append(
            {"img_path": path, "height": HEIGHT, "width": WIDTH, "instances": [{**word, "text": t} for t in texts]}
        )
    content = {"metainfo": {"dataset_type": "TextDetDataset"}, "data_list": entries}
    return write_text(root / "textdet_train.json", dumped(content))


def mmocr_lines(root: Path) -> Path:
    lines = []
    for number, text in enumerate(WORDS):
        write_photo(root / "imgs" / f"img_{number}.jpg")
        word = {"segmentation": [FLAT], "bbox": [1, 2, 29, 10], "iscrowd": 0, "text": text}
        entry = {"file_name": f"img_{number}.jpg", "height": HEIGHT, "width": WIDTH, "annotations": [word]}
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    return write_text(root / "instances_training.txt", "".join(lines))


def doctr(root: Path) -> Path:
    labels = {}
    for number in range(3):
        write_photo(root / "images" / f"{number}.jpg")
        labels[f"{number}.jpg"] = {"img_dimensions": [HEIGHT, WIDTH], "img_hash": "", "polygons": [POINTS] * 2}
    return write_text(root / "labels.json", dumped(labels))


def labelme(root: Path) -> Path:
    write_photo(root / "a.jpg")
    shapes = [{"label": word, "points": POINTS, "shape_type": "polygon"} for word in WORDS]
    content = {"imagePath": "a.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes}
    return write_text(root / "a.json", dumped(content))


def ppocrlabel(root: Path) -> Path:
    lines = []
    for number, word in enumerate(WORDS):
        write_photo(root / f"{number}.jpg")
        labels = [{"transcription": word, "points": POINTS, "difficult": False}]
        lines.append(f"{root.name}/{number}.jpg\t{json.dumps(labels, ensure_ascii=False)}\n")
    return write_text(root / "Label.txt", "".join(lines))


def oclip_table(root: Path) -> Path:
    lines = ["filepath\ttitle\n"]
    for number, word in enumerate(WORDS):
        write_photo(root / f"{number}.jpg")
        lines.append(f"{number}.jpg\t{word} other\n")
    return write_text(root / "train_char.csv", "".join(lines))


def tar_shards(root: Path) -> Path:
    polygon = np.array(POINTS, dtype=np.float32)
    records = [
        ImageRecord(write_photo(root / f"{number}.jpg"), WIDTH, HEIGHT, (TextInstance(polygon, word),))
        for number, word in enumerate(WORDS)
    ]
    write_shards(records, root / "shards", 10, 0, ReadReport())
    return next((root / "shards").glob("*.tar"))


_CTW1500_OLD = Fuzzed(
    in_text_lines(
        *(
            "train/text_image",
            "train/text_label_curve",
            "{}.jpg",
            "{}.txt",
            "1,1,50,40," + ",".join(map(str, CURVE)),
        ),
    ),
    *(False, True),
)
_TD500 = "0 0 1 2 29 10 0"
FUZZED: Mapping[str, Fuzzed] = {
    "synthtext": Fuzzed(synthtext),
    "synthtext150k": Fuzzed(synthtext150k),
    "icdar2013 train": Fuzzed(
        in_text_lines(
            *("Challenge2_Training_Task12_Images", "Challenge2_Training_Task1_GT"),
            *("{}.jpg", "gt_{}.txt", '1 2 30 12 "{}"'),
        ),
        *(False, True),
    ),
    "icdar2013 test": Fuzzed(
        in_text_lines(
            *("Challenge2_Test_Task12_Images", "Challenge2_Test_Task1_GT"),
            *("img_{}.jpg", "gt_img_{}.txt", '1, 2, 30, 12, "{}"'),
        ),
        *(False, True),
    ),
    "icdar2015": Fuzzed(
        in_text_lines(
            *("ch4_training_images", "ch4_training_localization_transcription_gt"),
            *("img_{}.jpg", "gt_img_{}.txt", QUAD + ",{}"),
        ),
        *(True, True),
    ),
    "mlt2017": Fuzzed(
        in_text_lines(
            *("ch8_training_images_1", "ch8_training_localization_transcription_gt_v2"),
            *("img_{}.jpg", "gt_img_{}.txt", QUAD + ",Latin,{}"),
        ),
        *(True, True),
    ),
    "art2019": Fuzzed(keyed("train_images", "train_labels.json"), True),
    "nighttime-art": Fuzzed(keyed("images", "labels.json"), True),
    "lsvt": Fuzzed(keyed("train_full_images_0", "train_full_labels.json"), True),
    "lsvt-weak": Fuzzed(keyed("train_weak_images", "train_weak_labels.json", with_places=False), True),
    "totaltext mat": Fuzzed(totaltext_matlab),
    "totaltext txt": Fuzzed(totaltext_text, True, True),
    "ctw1500 xml": Fuzzed(ctw1500_xml, True, True),
    "ctw1500 txt": Fuzzed(
        in_text_lines(
            *("test_images", "gt_ctw1500", "150{}.jpg", "000150{}.txt", ",".join(map(str, CURVE)) + ",####{}"),
        ),
        *(True, True),
    ),
    "ctw1500 old": _CTW1500_OLD,
    "ctw1500-2017": _CTW1500_OLD,
    "msra-td500": Fuzzed(in_text_lines("train", "train", "IMG_{}.JPG", "IMG_{}.gt", _TD500), False, True),
    "msra-td500 db": Fuzzed(
        in_text_lines("train_images", "train_gts", "IMG_{}.JPG", "IMG_{}.JPG.txt", QUAD + ",0"), False, True
    ),
    "hust-tr400": Fuzzed(in_text_lines(".", ".", "{}.jpg", "{}.gt", _TD500 + " {}"), True, True),
    "textocr": Fuzzed(textocr, True),
    "coco-text": Fuzzed(coco_text, True),
    "mmocr-0x": Fuzzed(coco("imgs", "instances_training.json", has_text=False)),
    "mmocr-0x lines": Fuzzed(mmocr_lines, True, True),
    "mmocr-1x": Fuzzed(mmocr, True),
    "doctr": Fuzzed(doctr),
    "icdar-folder": Fuzzed(in_text_lines("images", "gts", "img_{}.jpg", "gt_img_{}.txt", QUAD + ",{}"), *(True, True)),
    "icdar-folder polygons": Fuzzed(
        in_text_lines("images", "gts", "img_{}.jpg", "gt_img_{}.txt", f"{','.join(map(str, CURVE))},{{}}"), True, True
    ),
    "coco": Fuzzed(coco("images", "annotations.json", has_text=True), True),
    "labelme": Fuzzed(labelme, True),
    "ppocrlabel": Fuzzed(ppocrlabel, True, True),
    "oclip-table": Fuzzed(
        *(oclip_table, True, True),
        lambda root: {
            "table": root / "train_char.csv",
            "images": root,
            "image_column": "filepath",
            "caption_column": "title",
        },
    ),
    "tar-shards": Fuzzed(tar_shards, False, False, lambda root: {"shards": root / "shards"}),
}
"""By reader, and which of its forms where it reads several."""
