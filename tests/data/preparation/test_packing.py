"""Packed data sets: images made smaller with their polygons, under the same names every time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scenetext.data.preparation.packing import (
    PackedSet,
    PackSettings,
    pack_records,
    packed_folders,
    packed_image,
    packed_size,
    scaled_record,
)
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.records.files import read_records, write_records
from scenetext.data.records.format import format_record, parse_record
from scenetext.data.records.images import decode_image, write_image
from scenetext.data.records.samples import load_sample
from scenetext.data.records.shards import record_content
from scenetext.errors import DataError
from scenetext.structures import ImageRecord, TextInstance

SETTINGS = PackSettings(longer_side=100, quality=60)
SIDES = st.integers(1, 5000)
COORDINATES = st.floats(-500, 5500, width=32)


def corner_image(height: int, width: int) -> np.ndarray:
    """Grey noise with a white square of a fifth of the shorter side at the top left."""
    image = np.random.default_rng(height * width).integers(60, 120, (height, width, 3), dtype=np.uint8)
    side = min(height, width) // 5
    image[side : 2 * side, side : 2 * side] = 255
    return image


def corner(height: int, width: int) -> np.ndarray:
    side = min(height, width) // 5
    return np.array([[1, 1], [2, 1], [2, 2], [1, 2]], dtype=np.float32) * side


def make_set(path: Path, sizes: list[tuple[int, int]], suffix: str = ".jpg") -> Path:
    """A records file with images of the given (height, width), named alike in every set."""
    records = []
    for number, (height, width) in enumerate(sizes):
        image = path.parent / path.stem / f"img_{number}{suffix}"
        write_image(image, corner_image(height, width), 95)
        words = (
            TextInstance(corner(height, width), f"词{number}"),
            TextInstance(None, "nowhere"),
            TextInstance(corner(height, width) + 0.25, None, True),
        )
        records.append(ImageRecord(image, width, height, words))
    write_records(path, records)
    return path


def pack(path: Path, folder: Path, workers: int = 1, maximum_faulty_share: float = 0.5) -> PackedSet:
    return pack_records(path, folder, SETTINGS, 3, workers, maximum_faulty_share)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(SIDES, SIDES, st.integers(32, 3000))
def test_sizes_are_within_the_limit_in_proportion_and_never_larger(height: int, width: int, longer: int) -> None:
    packed = packed_size((height, width), longer)
    assert all(1 <= new <= old for new, old in zip(packed, (height, width), strict=True))
    assert max(packed) == min(longer, max(height, width))
    if max(height, width) <= longer:
        assert packed == (height, width)
    scale = max(packed) / max(height, width)
    assert all(abs(new - old * scale) <= 0.5 or new == 1 for new, old in zip(packed, (height, width), strict=True))


@given(SIDES, SIDES, st.integers(64, 3000), st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=16))
def test_polygons_come_back_within_half_a_pixel(
    height: int, width: int, longer: int, points: list[tuple[float, float]]
) -> None:
    polygon = np.array(points, dtype=np.float32)
    words = (TextInstance(polygon, "a", characters=polygon[[[0, 1, 2, 0]]]), TextInstance(None, "b", True))
    size = packed_size((height, width), longer)
    smaller = scaled_record(ImageRecord(Path("a.png"), width, height, words), size)
    read = parse_record(format_record(smaller, "a.jpg").encode(), Path())
    assert (read.height, read.width) == size
    first, second = read.instances
    assert first.polygon is not None
    assert first.polygon.dtype == np.float32
    back = first.polygon.astype(np.float64) * [width / size[1], height / size[0]]
    assert np.abs(back - polygon).max() < 0.5
    np.testing.assert_array_equal(first.characters, first.polygon[[[0, 1, 2, 0]]])
    assert (first.text, first.ignore, second.polygon, second.text, second.ignore) == ("a", False, None, "b", True)


def test_packed_sets_show_the_same_images_and_words(tmp_path: Path) -> None:
    sizes = [(240, 320), (400, 90), (60, 80), (1000, 1001)]
    path = make_set(tmp_path / "data" / "train.jsonl", sizes)
    done = pack(path, tmp_path / "packed")
    assert (done.images, done.report.dropped) == (4, {})
    assert done.size == sum(len(content) for content in contents(tmp_path / "packed").values())
    packed = read_records(done.records)
    assert {(record.height, record.width) for record in packed} == {(75, 100), (100, 22), (60, 80), (100, 100)}
    originals = {record.instances[0].text: record for record in read_records(path)}
    for record in packed:
        original = originals.pop(record.instances[0].text)
        image = load_sample(record).image.astype(float)
        stretch = [original.width / record.width, original.height / record.height]
        for one, other in zip(record.instances, original.instances, strict=True):
            assert (one.text, one.ignore) == (other.text, other.ignore)
            assert (one.polygon is None) == (other.polygon is None)
            if one.polygon is not None and other.polygon is not None:
                assert np.abs(one.polygon * stretch - other.polygon).max() < 0.5
        assert record.instances[0].polygon is not None
        (left, top), (right, bottom) = record.instances[0].polygon[[0, 2]].round().astype(int)
        assert image[top + 1 : bottom - 1, left + 1 : right - 1].mean() > 225, "the white square is in its polygon"
        assert image[bottom + 2 :].mean() < 130
    assert not originals


def test_the_same_shards_every_time_alone_or_with_others(tmp_path: Path) -> None:
    sizes = [(240, 320), (50, 40), (300, 100), (120, 130)]
    paths = [make_set(tmp_path / name / "train.jsonl", sizes) for name in ("one", "other")]
    paths.append(make_set(tmp_path / "one" / "val.jsonl", sizes[:2]))
    folders = packed_folders(paths, tmp_path / "packed")
    assert [folder.name for folder in folders.values()] == ["one_train", "other_train", "one_val"]
    assert packed_folders(paths[2:], tmp_path / "packed")[paths[2]] == folders[paths[2]]
    for workers, output in ((1, "packed"), (2, "again")):
        for path, folder in folders.items():
            pack(path, tmp_path / output / folder.name, workers)
    for folder in folders.values():
        assert contents(folder) == contents(tmp_path / "again" / folder.name)
    assert sorted(contents(folders[paths[0]])) == ["records.jsonl", "shard_000000.tar", "shard_000001.tar"]
    (tmp_path / "packed").rename(tmp_path / "moved")
    assert all(load_sample(one) for one in read_records(tmp_path / "moved" / "one_train" / "records.jsonl"))
    repacked = pack(tmp_path / "moved" / "one_train" / "records.jsonl", tmp_path / "third")
    assert repacked.images == 4, "shards are packed as loose files are"


def test_places_in_use_or_meant_twice_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = make_set(tmp_path / "one" / "train.jsonl", [(240, 320)])
    twin = make_set(tmp_path / "two" / "one" / "train.jsonl", [(240, 320)])
    with pytest.raises(DataError, match=rf"{twin}: would be packed to .*/one_train, as {path} is; pack one"):
        packed_folders([path, twin], tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
    pack(path, tmp_path / "packed" / "one_train")
    before = contents(tmp_path / "packed" / "one_train")
    with pytest.raises(DataError, match=r"one_train: holds records\.jsonl already; choose another folder"):
        packed_folders([path], tmp_path / "packed")
    assert contents(tmp_path / "packed" / "one_train") == before


def test_what_cannot_be_read_is_counted_and_too_much_stops(tmp_path: Path) -> None:
    path = make_set(tmp_path / "data" / "train.jsonl", [(120, 130)] * 6)
    images = [record.path for record in read_records(path)]
    images[1].write_bytes(images[1].read_bytes()[:-300])
    images[4].unlink()
    done = pack(path, tmp_path / "packed", maximum_faulty_share=0.34)
    assert done.images == 4
    assert done.report.dropped[UNREADABLE].count == 2
    reported = str(done.report.dropped[UNREADABLE])
    assert "img_1.jpg: image is truncated" in reported
    assert "img_4.jpg: image cannot be read (No such file" in reported
    images[3].write_text("<html>")
    message = r"of 6 images, more cannot be read than maximum_faulty_share = 0\.34 allows: 3 \(.*img_"
    for workers in (1, 2):
        with pytest.raises(DataError, match=message):
            pack(path, tmp_path / "stopped", workers, maximum_faulty_share=0.34)
        assert list((tmp_path / "stopped").iterdir()) == []


def test_an_image_of_another_size_than_its_record_is_not_packed(tmp_path: Path) -> None:
    path = make_set(tmp_path / "train.jsonl", [(120, 130), (120, 130)])
    first, second = read_records(path)
    write_records(path, [first, replace(second, width=260)])
    done = pack(path, tmp_path / "packed")
    assert "image is 130 x 120 pixels" in str(done.report.dropped[UNREADABLE])
    assert done.images == 1


def test_small_images_are_copied_where_that_is_smaller(tmp_path: Path) -> None:
    write_image(tmp_path / "low.jpg", corner_image(60, 80), 30)
    write_image(tmp_path / "high.jpg", corner_image(60, 80), 100)
    write_image(tmp_path / "noise.png", corner_image(60, 80))
    write_image(tmp_path / "flat.png", np.full((60, 80, 3), 90, dtype=np.uint8))
    for name, suffix in (("low.jpg", None), ("high.jpg", ".jpg"), ("noise.png", ".jpg"), ("flat.png", None)):
        record = ImageRecord(tmp_path / name, 80, 60, ())
        packed, content = packed_image(SETTINGS, record)
        assert (packed.width, packed.height) == (80, 60)
        if suffix is None:
            assert packed is record
            assert content == record.path.read_bytes()
        else:
            assert packed.path.suffix == suffix
            assert len(content) < len(record.path.read_bytes())


@pytest.mark.parametrize("size", [(150, 300), (40, 80)], ids=["scaled", "copied"])
def test_exif_orientation_is_not_applied(tmp_path: Path, size: tuple[int, int]) -> None:
    """The white square stays where the annotation has it: at the top left of the stored pixels."""
    tags = Image.Exif()
    tags[0x0112] = 6  # turned by 90 degrees
    image = tmp_path / "data" / "turned.jpg"
    image.parent.mkdir()
    Image.fromarray(corner_image(*size)).save(image, exif=tags, quality=20)
    words = (TextInstance(corner(*size), "square"),)
    write_records(tmp_path / "data" / "train.jsonl", [ImageRecord(image, size[1], size[0], words)])
    (record,) = read_records(pack(tmp_path / "data" / "train.jsonl", tmp_path / "packed").records)
    assert record.width == 2 * record.height
    (left, top), (right, bottom) = record.instances[0].polygon[[0, 2]].round().astype(int)  # type: ignore[index]
    packed = load_sample(record).image
    assert packed.shape[:2] == (record.height, record.width)
    assert packed[top + 1 : bottom - 1, left + 1 : right - 1].mean() > 225
    assert (record_content(record) == image.read_bytes()) == (size == (40, 80))


@pytest.mark.parametrize(("side", "quality", "message"), [(31, 70, "at least 32 pixels"), (64, 0, "1 to 100, got 0")])
def test_settings_out_of_range_are_refused(side: int, quality: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        PackSettings(side, quality)


def test_command_packs_several_sets(repository: Path, tmp_path: Path) -> None:
    train = make_set(tmp_path / "signs" / "train.jsonl", [(240, 320), (200, 100), (50, 60)], ".png")
    val = make_set(tmp_path / "signs" / "val.jsonl", [(240, 320)] * 20)
    read_records(val)[3].path.write_bytes(b"")
    command = [sys.executable, repository / "tools" / "prepare.py", "pack", train, val, "--output", tmp_path / "packed"]
    options = ["--longer-side", "64", "--quality", "50", "--workers", "2"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{tmp_path}/packed/signs_train/records.jsonl: 3 images, 0.0 MB")
    assert lines[1].startswith(f"{tmp_path}/packed/signs_val/records.jsonl: 19 images")
    assert "images that cannot be read: 1 (" in lines[2]
    assert "image file is empty" in lines[2]
    assert lines[3].startswith(f"{tmp_path}/packed: 22 images, 0.")
    sizes = {(one.width, one.height) for one in read_records(tmp_path / "packed" / "signs_train" / "records.jsonl")}
    assert sizes == {(64, 48), (32, 64), (60, 50)}
    again = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stderr.startswith(f"error: {tmp_path}/packed/signs_train: holds records.jsonl already")


def test_scaling_moves_image_and_polygon_alike(tmp_path: Path) -> None:
    """The centre of a white square on grey lies where its polygon's does."""
    grey = np.full((400, 700, 3), 90, dtype=np.uint8)
    grey[80:160, 80:160] = 255
    write_image(tmp_path / "a.png", grey)
    record = ImageRecord(tmp_path / "a.png", 700, 400, (TextInstance(corner(400, 700), None),))
    packed, content = packed_image(SETTINGS, record)
    weights = np.clip(decode_image(content, packed.path)[..., 1].astype(float) - 110, 0, None)  # JPEG changes the grey
    rows, columns = np.indices(weights.shape) + 0.5
    assert packed.instances[0].polygon is not None
    centre = [(weights * columns).sum() / weights.sum(), (weights * rows).sum() / weights.sum()]
    assert np.abs(packed.instances[0].polygon.mean(axis=0) - centre).max() < 0.1
