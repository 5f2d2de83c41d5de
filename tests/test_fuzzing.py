"""Whatever is in a file of someone else's, the outcome is what it says, or an error of ours that names the file.

`pytest tests/test_fuzzing.py --fuzz 10000` damages a file of every kind ten thousand times.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from scipy.io import savemat
from torch import nn

from fuzzing import assert_nothing_lost, assert_valid, flips, fuzz, mutations
from scenetext.data.preparation.check_cache import checked_records
from scenetext.data.preparation.checks import RecordsCheck
from scenetext.data.preparation.dictionaries import read_pickled_dictionary
from scenetext.data.preparation.shard_writing import write_shards
from scenetext.data.readers import READERS, ReadReport
from scenetext.data.readers.matlab import CellArray
from scenetext.data.records import index
from scenetext.data.records.files import RecordFiles, read_records, write_records
from scenetext.data.records.images import decode_image, image_size
from scenetext.data.records.index import records_index
from scenetext.data.records.results import results_folder
from scenetext.evaluation.files import read_predictions, write_detections
from scenetext.runs.settings import load_run
from scenetext.runs.words import combine
from scenetext.structures import Detection, ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet
from scenetext.training.checkpoint import load_checkpoint, save_checkpoint
from scenetext.weights.files import read_weights, write_safetensors

SQUARE = np.array([[5, 5], [25, 5], [25, 15], [5, 15.25]], dtype=np.float32)
WORDS = [f"wörd{letter}" for letter in "abcdefghijkl"]


def make_records(folder: Path) -> list[ImageRecord]:
    """Four images of three words each, every word its own."""
    records = []
    for number in range(4):
        path = folder / f"{number}.png"
        Image.new("RGB", (40, 30)).save(path)
        words = WORDS[3 * number : 3 * number + 3]
        instances = [TextInstance(SQUARE + place, word, ignore=place == 9) for place, word in enumerate(words)]
        records.append(ImageRecord(path, 40, 30, tuple(instances)))
    return records


def test_records(tmp_path: Path, fuzz_times: int) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, make_records(tmp_path))
    whole = path.read_bytes()

    def attempt(content: bytes) -> None:
        records = read_records(path)
        assert_valid(records, tmp_path)
        assert_nothing_lost(whole, content, WORDS, records, ReadReport())
        assert [record.path for record in RecordFiles([path])] == [record.path for record in records]

    tally = fuzz(path, mutations(whole, fuzz_times), attempt, r":\d+: ")
    assert tally.read
    assert tally.refused


def test_a_check_of_damaged_records_counts_every_line(tmp_path: Path, fuzz_times: int) -> None:
    path = tmp_path / "a.jsonl"
    write_records(path, make_records(tmp_path))

    def attempt(content: bytes) -> None:
        check = checked(path)
        lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        assert check.images == sum(bool(line.strip()) for line in lines)

    assert fuzz(path, mutations(path.read_bytes(), fuzz_times), attempt).refused == 0


@pytest.mark.parametrize("name", ["lines", "check"])
def test_kept_results(tmp_path: Path, fuzz_times: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_STEP_OF_TIMES", -(10**12))  # an index holds at once
    path = tmp_path / "a.jsonl"
    write_records(path, make_records(tmp_path))
    expected = checked(path)
    kept = results_folder(path, None) / name

    def attempt(content: bytes) -> None:
        assert checked(path).images <= expected.images * 10**6

    assert fuzz(kept, mutations(kept.read_bytes(), fuzz_times), attempt).refused == 0


def checked(path: Path) -> RecordsCheck:
    return checked_records(path, records_index(path, None, pytest.fail))


def test_tar_shards(tmp_path: Path, fuzz_times: int) -> None:
    folder = tmp_path / "shards"
    write_shards(make_records(tmp_path), folder, 4, 0, ReadReport())
    (path,) = folder.glob("*.tar")
    found = 0

    def attempt(content: bytes) -> None:
        nonlocal found
        report = ReadReport()
        records = list(READERS["tar-shards"].read({"shards": folder}, report))
        assert_valid(records, tmp_path)
        dropped = sum(finding.count for finding in report.dropped.values())
        assert len(records) + dropped >= 4
        found += len(records) == 4

    whole = path.read_bytes()
    tally = fuzz(path, flips(whole, fuzz_times), attempt)
    assert found
    assert tally.refused


def test_shards_of_any_damage(tmp_path: Path, fuzz_times: int) -> None:
    folder = tmp_path / "shards"
    write_shards(make_records(tmp_path), folder, 4, 0, ReadReport())
    (path,) = folder.glob("*.tar")

    def attempt(content: bytes) -> None:
        assert_valid(list(READERS["tar-shards"].read({"shards": folder}, ReadReport())), tmp_path)

    assert fuzz(path, mutations(path.read_bytes(), fuzz_times), attempt).refused


def test_matlab_cells_lose_no_more_than_was_damaged(tmp_path: Path, fuzz_times: int) -> None:
    path = tmp_path / "gt.mat"
    cells = np.empty((1, 30), dtype=object)
    for number in range(30):
        cells[0, number] = np.full((2, 4), number / 7) if number % 2 else np.array([f"word {number}", "second"])
    savemat(path, {"cells": cells})
    whole = [repr(cell) for cell in CellArray(path, "cells")]

    def attempt(content: bytes) -> None:
        found = [repr(cell) for cell in CellArray(path, "cells")]
        assert len(found) == len(whole)
        assert sum(one != other for one, other in zip(found, whole, strict=True)) <= 1

    tally = fuzz(path, flips(path.read_bytes(), fuzz_times), attempt)
    assert tally.read
    assert tally.refused


@pytest.mark.parametrize("compress", [False, True])
def test_matlab_files_of_any_damage(tmp_path: Path, fuzz_times: int, compress: bool) -> None:
    path = tmp_path / "gt.mat"
    cells = np.empty((1, 3), dtype=object)
    cells[0, :] = [np.zeros((2, 4)), np.array(["word", "seco"]), "name.jpg"]
    savemat(path, {"other": np.arange(5), "cells": cells}, do_compression=compress)
    assert fuzz(path, mutations(path.read_bytes(), fuzz_times), lambda _: list(CellArray(path, "cells"))).refused


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_pickled_dictionaries(tmp_path: Path, fuzz_times: int, protocol: int) -> None:
    path = tmp_path / "char_dict"
    path.write_bytes(pickle.dumps([*range(97, 120), 0x4E2D, 0x1F600], protocol))
    tally = fuzz(
        path, mutations(path.read_bytes(), fuzz_times), lambda _: assert_dictionary(read_pickled_dictionary(path))
    )
    assert tally.read
    assert tally.refused


def test_plain_dictionaries(tmp_path: Path, fuzz_times: int) -> None:
    path = tmp_path / "characters.txt"
    CharacterSet("abcdefgh中😀é!").write(path)
    tally = fuzz(
        path, mutations(path.read_bytes(), fuzz_times), lambda _: assert_dictionary(CharacterSet.from_file(path))
    )
    assert tally.read
    assert tally.refused


def assert_dictionary(characters: CharacterSet) -> None:
    assert len(set(characters.characters)) == len(characters) > 0
    assert all(len(character) == 1 for character in characters.characters)
    "".join(characters.characters).encode("utf-8")


@pytest.mark.parametrize("words", ["dbnet scenes tiny", "oclip words tiny"])
def test_configs(tmp_path: Path, fuzz_times: int, words: str) -> None:
    path = tmp_path / "run.yaml"
    content = combine(words.split()).values
    content["with"] = {"detection": content["loader"], "tiny": {"with": {"scenes": content["training"]}}}
    path.write_text(yaml.safe_dump(content))
    pieces = (
        "&a",
        "*a",
        "<<: *a",
        "!!python/object:os.system",
        "!!binary a",
        "2020-13-45",
        "2020-01-01",
        "? [a]",
        "- ",
    )
    more = ("|", ">", "%", "@", "`", "---", "...", "0o17", "1:60", ".inf", ".nan", "~", "{a: b}", "[1, 2]", "base: x")
    tally = fuzz(
        path,
        mutations(path.read_bytes(), fuzz_times, (*pieces, *more, "9" * 5000, "\t", "\0", "é")),
        lambda _: load_run([str(path)]),
    )
    assert tally.read
    assert tally.refused


def test_safetensors(tmp_path: Path, fuzz_times: int) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}, {"kind": "test"})
    assert_weights(path, fuzz_times)


def test_torch_files(tmp_path: Path, fuzz_times: int) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model": {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}, "epoch": 3}, path)
    assert_weights(path, fuzz_times)


def test_torchscript_archives(tmp_path: Path, fuzz_times: int) -> None:
    path = tmp_path / "a.pt"
    torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)).save(str(path))
    assert_weights(path, fuzz_times)


def assert_weights(path: Path, times: int) -> None:
    def attempt(content: bytes) -> None:
        assert all(isinstance(tensor, torch.Tensor) for tensor in read_weights(path).tensors.values())

    assert fuzz(path, mutations(path.read_bytes(), times), attempt).refused


def test_checkpoints(tmp_path: Path, fuzz_times: int) -> None:
    path = tmp_path / "best.pt"
    save_checkpoint(path, {"kind": "detection", "config": {"a": 1}, "model": {"a": torch.ones(3)}, "step": 4})
    assert fuzz(path, mutations(path.read_bytes(), fuzz_times), lambda _: load_checkpoint(path)).refused


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tiff"])
def test_images(tmp_path: Path, fuzz_times: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)

    def attempt(content: bytes) -> None:
        height, width = image_size(path)
        assert height > 0 < width
        image = decode_image(content, path)
        assert image.ndim == 3
        assert image.dtype == np.uint8

    assert fuzz(path, mutations(path.read_bytes(), fuzz_times), attempt).refused


FLAT = [5, 5, 25, 5, 25, 15, 5, 15]


def predictions_json(folder: Path) -> Path:
    polygon = np.array(FLAT, dtype=np.float32).reshape(4, 2)
    write_detections(folder / "found.json", {Path(f"{w}.jpg"): [Detection(polygon, 0.5, w)] for w in WORDS[:3]})
    return folder / "found.json"


def predictions_jsonl(folder: Path) -> Path:
    images = json.loads(predictions_json(folder).read_text(encoding="utf-8"))["images"]
    (folder / "found.jsonl").write_text("".join(json.dumps(image) + "\n" for image in images))
    return folder / "found.jsonl"


def predictions_text(folder: Path) -> Path:
    for number in (1, 2):
        path = folder / f"res_img_{number}.txt"
        path.write_text("".join(f"{','.join(map(str, FLAT))},0.5,{word}\n" for word in WORDS[:3]), encoding="utf-8")
    return path


def predictions_zip(folder: Path) -> Path:
    path = folder / "found.zip"
    with ZipFile(path, "w") as archive:
        for number in (1, 2):
            archive.writestr(f"res_img_{number}.txt", f"{','.join(map(str, FLAT))},0.5,word\n" * 3)
    return path


def predictions_mmocr(folder: Path) -> Path:
    content = {"det_polygons": [FLAT, FLAT[:6]], "det_scores": [0.9, 0.25], "rec_texts": ["A", "B"]}
    (folder / "img_1.json").write_text(json.dumps(content))
    return folder / "img_1.json"


@pytest.mark.parametrize(
    ("build", "in_folder"),
    [
        (predictions_json, False),
        (predictions_jsonl, False),
        (predictions_text, True),
        (predictions_zip, False),
        (predictions_mmocr, True),
    ],
)
def test_predictions(tmp_path: Path, fuzz_times: int, build: Callable[[Path], Path], in_folder: bool) -> None:
    path = build(tmp_path)

    def attempt(content: bytes) -> None:
        columns: Any = "polygon,score,text" if path.suffix in (".txt", ".zip") else None
        for found in read_predictions(tmp_path if in_folder else path, columns).values():
            for one in found:
                assert one.polygon.shape[0] >= 3
                assert np.isfinite(one.polygon).all()
                assert 0 <= one.score <= 1

    tally = fuzz(path, mutations(path.read_bytes(), fuzz_times), attempt, place=tmp_path)
    assert tally.read
    assert tally.refused
