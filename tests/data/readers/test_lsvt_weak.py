"""The reader of LSVT's weak labels: what is a word, what is dropped, and every fault with its location."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from damage import refused, with_pieces
from scenetext.data.readers import ReadReport
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.keyed_labels import MISSING, UNLABELLED
from scenetext.data.readers.lsvt_weak import (
    BLANKS,
    BROKEN,
    ILLEGIBLE,
    SHORT,
    WORDLESS,
    read_lsvt_weak,
)
from scenetext.data.records.images import write_image
from scenetext.errors import DataError
from scenetext.structures import ImageRecord


def make_set(root: Path, labels: dict[str, list[str]], folder: str = "train_weak_images") -> tuple[Path, Path]:
    for name in labels:
        write_image(root / folder / f"{name}.jpg", np.zeros((30, 50, 3), dtype=np.uint8))
    content = {name: [{"transcription": text} for text in texts] for name, texts in labels.items()}
    (root / "train_weak_labels.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return root / "train_weak_images", root / "train_weak_labels.json"


def read(images: Path, labels: Path) -> tuple[list[ImageRecord], ReadReport]:
    report = ReadReport()
    return list(read_lsvt_weak(images, labels, report)), report


def test_words_lose_their_blanks_and_those_of_one_character_are_dropped(tmp_path: Path) -> None:
    labels = {
        "gt_0": ["北京 烤鸭店", "店", "OPEN 24 小时"],
        "gt_1": ["中国银行"],
        "gt_2": ["", " ", "###", "口"],
        "gt_3": [],
    }
    records, report = read(*make_set(tmp_path, labels))
    assert [record.path.name for record in records] == ["gt_0.jpg", "gt_1.jpg"]
    assert (records[0].width, records[0].height) == (50, 30)
    assert [[instance.text for instance in record.instances] for record in records] == [
        ["北京烤鸭店", "OPEN24小时"],
        ["中国银行"],
    ]
    assert all(instance.polygon is None and not instance.ignore for r in records for instance in r.instances)
    counts = {reason: finding.count for reason, finding in report.dropped.items()}
    assert counts == {SHORT: 4, ILLEGIBLE: 1, WORDLESS: 2}
    assert report.noted[BLANKS].count == 2
    assert report.noted[BLANKS].examples[0] == "'北京 烤鸭店' of gt_0"


def test_images_may_lie_in_subfolders_as_the_archives_unpack(tmp_path: Path) -> None:
    images, labels = make_set(tmp_path, {"gt_0": ["北京"]}, "train_weak_images/part_0")
    assert [record.path for record in read(images, labels)[0]] == [images / "part_0" / "gt_0.jpg"]


def test_unreadable_missing_and_unlabelled_images_are_counted(tmp_path: Path) -> None:
    images, labels = make_set(tmp_path, {f"gt_{number}": ["北京"] for number in range(4)})
    (images / "gt_1.jpg").unlink()
    (images / "gt_2.jpg").write_bytes(b"")
    write_image(images / "gt_9.jpg", np.zeros((30, 50, 3), dtype=np.uint8))
    records, report = read(images, labels)
    assert [record.path.name for record in records] == ["gt_0.jpg", "gt_3.jpg"]
    assert report.dropped[MISSING].examples == ["gt_1"]
    assert report.dropped[UNREADABLE].examples == ["gt_2.jpg"]
    assert report.dropped[UNLABELLED].count == 1


def test_half_a_surrogate_pair_is_no_character(tmp_path: Path) -> None:
    images, labels = make_set(tmp_path, {"gt_0": ["北京"]})
    labels.write_text('{"gt_0": [{"transcription": "a\\ud83d"}, {"transcription": "\\ud83d\\ude00b"}]}')
    (record,), report = read(images, labels)
    assert [instance.text for instance in record.instances] == ["😀b"]
    assert report.dropped[BROKEN].count == 1


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "cut off": ('{"gt_0":\n [{"transcription": "北', ":2: is not valid JSON"),
    "not UTF-8": (b'{"gt_0": [{"transcription": "caf\xe9"}]}', ":1: is not UTF-8"),
    "a list": ("[]", ": expected an object, got []"),
    "no list of words": ('{"gt_0": "北京"}', ": gt_0: expected a list, got"),
    "a bare word": ('{"gt_0": ["北京"]}', ": gt_0[0]: expected an object, got '北京'"),
    "a number": (
        '{"gt_0": [{"transcription": "a"}, {"transcription": 1}]}',
        ": gt_0[1].transcription: expected a string, got 1",
    ),
    "no transcription": (
        '{"gt_0": [{"points": []}]}',
        ": gt_0[0]: expected the key 'transcription', got an",
    ),
    "an image twice": ('{"gt_0": [], "gt_0": []}', ": is no JSON that can be used: the key 'gt_0' is there twice"),
    "endless nesting": ("[" * 100_000, ": is no JSON that can be used"),
    "empty": ("", ":1: is not valid JSON"),
}


@pytest.mark.parametrize(("content", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_broken_labels_are_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    images, labels = make_set(tmp_path, {"gt_0": ["北京"]})
    labels.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read(images, labels)
    assert str(caught.value).startswith(f"{labels}{message}")


def test_labels_without_any_of_their_images_are_refused(tmp_path: Path) -> None:
    images, labels = make_set(tmp_path, {"gt_0": ["北京"]})
    labels.write_text('{"gt_1": [{"transcription": "北京"}]}', encoding="utf-8")
    with pytest.raises(DataError, match=r"none of its 1 images can be read in .*train_weak_images"):
        read(images, labels)


def test_damage_is_a_data_error_or_gives_valid_records(tmp_path: Path) -> None:
    images, labels = make_set(tmp_path, {"gt_0": ["北京 烤鸭店", "店"], "gt_1": ["OPEN"]})
    pieces = [b'"', b"{", b"]", b",", b"null", b"1e999", b"\\ud800", b"\xff", b"NaN", b"\x00", b""]
    damaged = with_pieces(labels.read_bytes(), pieces, 300)
    assert 50 < refused(labels, damaged, lambda: read(images, labels)[0]) < 300
