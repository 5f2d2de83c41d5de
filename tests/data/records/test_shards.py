"""Images in tar shards: as good as loose files to everything else, and safe to read when damaged or hostile."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import webdataset

from damage import data_error, with_other_bytes
from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import LoaderSettings, training_loader
from scenetext.data.preparation.shard_writing import write_shards
from scenetext.data.readers import ReadReport
from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.tar_shards import EMPTY, NO_FILE, OTHER, UNPAIRED, read_tar_shards
from scenetext.data.records.files import read_records, write_records
from scenetext.data.records.images import read_image, write_image
from scenetext.data.records.samples import load_sample
from scenetext.data.records.shards import read_record_image, record_content
from scenetext.errors import DataError, ImageError
from scenetext.structures import Batch, ImageRecord, PreparedSample, Sample, TextInstance

POLYGON = np.array([[1, 1], [9, 1], [9, 6], [1, 6]], dtype=np.float32)


def make_records(folder: Path, count: int) -> list[ImageRecord]:
    """Image i is filled with the value i, and of a size of its own."""
    records = []
    for i in range(count):
        path = folder / "images" / f"sign.{i}{'.JPG' if i % 2 else '.png'}"
        write_image(path.with_suffix(path.suffix.lower()), np.full((20 + i, 30, 3), i, dtype=np.uint8))
        path.with_suffix(path.suffix.lower()).rename(path)
        records.append(ImageRecord(path, 30, 20 + i, (TextInstance(POLYGON, f"词{i}"), TextInstance(None, None, True))))
    return records


def make_shards(folder: Path, records: list[ImageRecord], images: int = 3, seed: int = 0) -> list[ImageRecord]:
    report = ReadReport()
    assert write_shards(records, folder, images, seed, report) == len(records)
    assert not report.dropped
    return read_records(folder / "records.jsonl")


def texts(records: list[ImageRecord]) -> list[str | None]:
    return [record.instances[0].text for record in records]


def same(first: ImageRecord, second: ImageRecord) -> bool:
    return (
        (first.path, first.width, first.height, first.span) == (second.path, second.width, second.height, second.span)
        and [(i.text, i.ignore) for i in first.instances] == [(i.text, i.ignore) for i in second.instances]
        and all(
            np.array_equal(i.polygon, j.polygon) if i.polygon is not None else j.polygon is None
            for i, j in zip(first.instances, second.instances, strict=True)
        )
    )


def test_images_in_shards_are_those_of_the_loose_files(tmp_path: Path) -> None:
    loose = make_records(tmp_path, 8)
    packed = make_shards(tmp_path / "shards", loose)
    assert [path.name for path in sorted((tmp_path / "shards").iterdir())] == [
        "records.jsonl",
        *(f"shard_{number:06d}.tar" for number in range(3)),
    ]
    assert sorted(map(str, texts(packed))) == sorted(map(str, texts(loose)))
    assert texts(packed) != texts(loose), "put in a random order"
    by_text = {record.instances[0].text: record for record in loose}
    for record in packed:
        original = by_text[record.instances[0].text]
        assert record_content(record) == original.path.read_bytes()
        np.testing.assert_array_equal(read_record_image(record), read_image(original.path))
        sample = load_sample(record)
        assert sample.meta.path == record.path
        assert same(replace(original, path=record.path, span=record.span), record)
    assert len({record.path for record in packed}) == 8


def test_shards_can_be_moved_and_are_the_same_byte_by_byte(tmp_path: Path) -> None:
    loose = make_records(tmp_path, 5)
    make_shards(tmp_path / "a", loose)
    make_shards(tmp_path / "b", loose)
    make_shards(tmp_path / "c", loose, seed=1)
    (tmp_path / "a").rename(tmp_path / "moved")
    for path in (tmp_path / "moved").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert texts(read_records(tmp_path / "moved" / "records.jsonl")) != texts(
        read_records(tmp_path / "c" / "records.jsonl")
    )
    assert all(load_sample(record) for record in read_records(tmp_path / "moved" / "records.jsonl"))


def prepare(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    image = cv2.resize(sample.image, (8, 8))
    return PreparedSample(replace(sample, image=image), {"draw": generator.random(2)})


def content(batches: list[Batch]) -> list[tuple[list[int], list[list[float]]]]:
    return [(b.images[:, 0, 0, 0].tolist(), b.targets["draw"].tolist()) for b in batches]


def test_the_stream_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    packed = make_shards(tmp_path / "shards", make_records(tmp_path, 10))
    dataset = RecordDataset(packed, prepare, seed=5)
    streams = [
        content(list(training_loader(dataset, LoaderSettings(batch_size=4, workers=workers), 5, 0, 6)))
        for workers in (0, 1, 2)
    ]
    assert streams[0] == streams[1] == streams[2]
    late = training_loader(dataset, LoaderSettings(batch_size=4, workers=2), 5, 4, 6)
    assert content(list(late)) == streams[0][4:]


def test_webdataset_reads_the_shards(tmp_path: Path) -> None:
    packed = make_shards(tmp_path / "shards", make_records(tmp_path, 5))
    paths = sorted(str(path) for path in (tmp_path / "shards").glob("*.tar"))
    found = list(webdataset.WebDataset(paths, shardshuffle=False))
    assert len(found) == 5
    for sample, record in zip(found, packed, strict=True):
        described = json.loads(sample["json"])
        assert described["path"] == record.path.name
        assert described["instances"][0]["text"] == record.instances[0].text
        assert sample[record.path.suffix[1:]] == record_content(record)


def test_shards_that_webdataset_wrote_are_indexed(tmp_path: Path) -> None:
    loose = make_records(tmp_path, 5)
    (tmp_path / "shards").mkdir()
    with webdataset.ShardWriter(str(tmp_path / "shards" / "part-%04d.tar"), maxcount=2, verbose=0) as writer:
        for number, record in enumerate(loose):
            instances = [{"text": record.instances[0].text}]
            described = {"path": "any.jpg", "width": record.width, "height": record.height, "instances": instances}
            suffix = record.path.suffix[1:].lower()
            writer.write(
                {"__key__": f"{'long' * 40}/词{number:03d}", suffix: record.path.read_bytes(), "json": described}
            )
    report = ReadReport()
    found = list(read_tar_shards(tmp_path / "shards", report))
    assert texts(found) == texts(loose)
    assert not report.dropped
    for record, original in zip(found, loose, strict=True):
        assert record_content(record) == original.path.read_bytes()


def test_a_lost_records_file_is_made_again_from_the_shards(tmp_path: Path) -> None:
    packed = make_shards(tmp_path / "shards", make_records(tmp_path, 7))
    found = list(read_tar_shards(tmp_path / "shards", ReadReport()))
    assert all(same(one, other) for one, other in zip(found, packed, strict=True))
    (tmp_path / "shards" / "records.jsonl").unlink()
    write_records(tmp_path / "shards" / "records.jsonl", found)
    assert all(
        same(one, other) for one, other in zip(read_records(tmp_path / "shards" / "records.jsonl"), packed, strict=True)
    )


def test_shards_can_be_packed_again(tmp_path: Path) -> None:
    packed = make_shards(tmp_path / "shards", make_records(tmp_path, 5))
    again = make_shards(tmp_path / "again", packed, images=2)
    assert {text: len(content) for text, content in zip(texts(packed), map(record_content, packed), strict=True)} == {
        text: len(content) for text, content in zip(texts(again), map(record_content, again), strict=True)
    }


def test_what_cannot_be_packed_is_dropped_and_reported(tmp_path: Path) -> None:
    records = make_records(tmp_path, 5)
    records[1].path.unlink()
    records[2] = replace(records[2], width=31)
    records[3].path.write_text("<html>")
    report = ReadReport()
    assert write_shards(records, tmp_path / "shards", 10, 0, report) == 2
    assert report.dropped[UNREADABLE].count == 3
    assert any("30 x 22 pixels, not as its record says" in example for example in report.dropped[UNREADABLE].examples)


def test_a_folder_in_use_is_left_alone_and_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = make_records(tmp_path, 5)
    make_shards(tmp_path / "shards", records)
    before = {path: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    with pytest.raises(DataError, match=r"shards: holds .* already; choose another folder"):
        write_shards(records, tmp_path / "shards", 3, 0, ReadReport())
    assert {path: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == before
    broken = [*records, replace(records[0], instances=(TextInstance(None, ""),))]
    with pytest.raises(DataError, match=r"sign\.0\.png: text is empty"):
        write_shards(broken, tmp_path / "other", 2, 0, ReadReport())
    assert list((tmp_path / "other").iterdir()) == []
    with pytest.raises(DataError, match="none of 1 images can be read"):
        write_shards([replace(records[0], width=1)], tmp_path / "other", 2, 0, ReadReport())
    assert list((tmp_path / "other").iterdir()) == []
    with pytest.raises(DataError, match="at least 1 image, got 0"):
        write_shards(records, tmp_path / "other", 0, 0, ReadReport())


def test_a_shard_cut_short_costs_the_images_behind_the_cut(tmp_path: Path) -> None:
    packed = make_shards(tmp_path / "shards", make_records(tmp_path, 6), images=6)
    shard = packed[0].path.parent
    start, length = packed[3].span or (0, 0)
    shard.write_bytes(shard.read_bytes()[: start + length // 2])
    for record in packed[:3]:
        load_sample(record)
    with pytest.raises(
        ImageError, match=r"the shard is cut short: \d+ of \d+ bytes of the image are missing"
    ) as caught:
        load_sample(packed[3])
    assert str(caught.value).startswith(str(shard / packed[3].path.name))
    loaded = RecordDataset(packed, prepare, seed=0)[0, 3]
    assert [image.path for image in loaded.skipped] == [record.path for record in packed[3:]]
    with pytest.raises(DataError, match=r"shard_000000\.tar: is (no tar, or damaged|cut short or damaged)"):
        list(read_tar_shards(tmp_path / "shards", ReadReport()))


def test_a_cut_between_members_is_seen_too(tmp_path: Path) -> None:
    packed = make_shards(tmp_path / "shards", make_records(tmp_path, 3))
    shard, (start, _) = packed[0].path.parent, packed[2].span or (0, 0)
    shard.write_bytes(shard.read_bytes()[: start - 512])
    with pytest.raises(DataError, match=rf"shard_000000\.tar: is cut short or damaged at byte {start - 512}"):
        list(read_tar_shards(tmp_path / "shards", ReadReport()))


def test_a_records_file_of_other_shards_is_noticed(tmp_path: Path) -> None:
    loose = make_records(tmp_path, 5)
    packed = make_shards(tmp_path / "shards", loose, images=5)
    other = make_shards(tmp_path / "other", loose, images=5, seed=1)
    packed[0].path.parent.write_bytes(other[0].path.parent.read_bytes())
    refused = 0
    for record in packed:
        error = data_error(lambda record=record: record_content(record))
        refused += error is not None
        assert error is None or "is not where the records file says" in str(error)
    assert refused >= 4
    moved = replace(packed[0], path=tmp_path / "none.tar" / packed[0].path.name)
    with pytest.raises(ImageError, match=r"none\.tar/0+_sign_\d\.\w+: the shard none\.tar cannot be read \(No such"):
        load_sample(moved)
    with pytest.raises(ImageError, match=r"0+_sign_\d\.\w+: the shard shard_000000\.tar cannot be read"):
        load_sample(replace(packed[0], span=(100, 10)))


def noise_image(path: Path, seed: int) -> ImageRecord:
    write_image(path, np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    return ImageRecord(path, 30, 20, (TextInstance(None, "word"),))


def test_bytes_damaged_inside_a_member_cost_that_image_alone(tmp_path: Path) -> None:
    """PNG's checksums show damage anywhere; a JPEG has none, so what still decodes to the right size is taken."""
    loose = [noise_image(tmp_path / f"{number}.{kind}", number) for number, kind in enumerate(["png", "jpg", "png"])]
    packed = make_shards(tmp_path / "shards", loose)
    shard = packed[0].path.parent
    whole = shard.read_bytes()
    intact = [load_sample(record).image for record in packed]
    for number, record in enumerate(packed):
        start, length = record.span or (0, 0)
        damaged = bytearray(whole)
        damaged[start + length // 2 : start + length // 2 + 40] = bytes(40)
        shard.write_bytes(damaged)
        for other, kept in zip(packed, intact, strict=True):
            if other is not record:
                np.testing.assert_array_equal(load_sample(other).image, kept)
        loaded = RecordDataset(packed, prepare, seed=0)[0, number]
        if record.path.suffix == ".png":
            assert [image.path for image in loaded.skipped] == [record.path]
        else:
            assert not loaded.skipped
            assert not np.array_equal(load_sample(record).image, intact[number])


def test_a_damaged_header_costs_that_image_alone(tmp_path: Path) -> None:
    packed = make_shards(tmp_path / "shards", make_records(tmp_path, 3))
    shard = packed[0].path.parent
    start, _ = packed[1].span or (0, 0)
    damaged = bytearray(shard.read_bytes())
    damaged[start - 512 + 150] ^= 1  # in the header's checksum
    shard.write_bytes(damaged)
    loaded = RecordDataset(packed, prepare, seed=0)[0, 1]
    assert [image.path for image in loaded.skipped] == [packed[1].path]
    assert "is not where the records file says" in loaded.skipped[0].reason


def test_a_missing_shard_costs_its_images_and_is_named(tmp_path: Path) -> None:
    packed = make_shards(tmp_path / "shards", make_records(tmp_path, 6), images=2)
    packed[2].path.parent.unlink()
    loaded = RecordDataset(packed, prepare, seed=0)[0, 2]
    assert [image.path for image in loaded.skipped] == [packed[2].path, packed[3].path]
    assert all("the shard shard_000001.tar cannot be read (No such file" in image.reason for image in loaded.skipped)
    assert loaded.prepared.sample.meta.path == packed[4].path


SPANS = {
    "a number": 5,
    "one number": [512],
    "a text": ["512", 3],
    "a fraction": [512.0, 3],
    "true": [True, 3],
    "before the start": [-1, 3],
    "nothing": [512, 0],
    "a gigabyte more": [512, (1 << 30) + 1],
    "null": None,
}


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS.keys())
def test_a_broken_span_is_named_by_line(tmp_path: Path, span: object) -> None:
    line = {"path": "a.tar/0.jpg", "width": 1, "height": 1, "instances": [], "span": span}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match=r"a\.jsonl:1: span"):
        read_records(tmp_path / "a.jsonl")


@pytest.mark.parametrize("name", ["a.jpg", "a.tar", "images/a.jpg", "a.tar/b/c.jpg", "a.tar.gz/b.jpg"])
def test_only_an_image_in_a_shard_has_a_span(tmp_path: Path, name: str) -> None:
    line = {"path": name, "width": 1, "height": 1, "instances": [], "span": [512, 3]}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match=r"a\.jsonl:1: span is only for an image in a shard"):
        read_records(tmp_path / "a.jsonl")


def make_tar(path: Path, members: list[tuple[str, bytes] | tarfile.TarInfo]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))


LINE = b'{"path":"x","width":30,"height":20,"instances":[{"text":"word"}]}'


@pytest.mark.parametrize("name", ["../0.json", "/etc/0.json", "a/../../0.jpg", "..", "0\udcff.jpg"])
def test_names_that_lead_out_are_refused_with_shard_and_member(tmp_path: Path, name: str) -> None:
    make_tar(tmp_path / "shards" / "a.tar", [("0.jpg", b"image"), ("0.json", LINE), (name, LINE)])
    with pytest.raises(DataError) as caught:
        list(read_tar_shards(tmp_path / "shards", ReadReport()))
    assert (
        str(caught.value)
        == f"{tmp_path / 'shards' / 'a.tar'}: the member {name!a} has a name that no shard should have"
    )


def test_odd_members_are_dropped_and_counted(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    folder = tarfile.TarInfo("./")
    folder.type = tarfile.DIRTYPE
    members = [
        folder,
        ("./0.jpg", b"image"),
        ("./0.json", LINE),
        ("1.jpg", b"image"),
        ("2.json", LINE),
        ("3.cls", b"7"),
        ("4.jpg", b""),
        link,
    ]
    make_tar(tmp_path / "shards" / "a.tar", members)
    report = ReadReport()
    (record,) = read_tar_shards(tmp_path / "shards", report)
    assert (record.path, record.width, record.height) == (tmp_path / "shards" / "a.tar" / "0.jpg", 30, 20)
    assert {reason: finding.examples for reason, finding in report.dropped.items()} == {
        OTHER: ["a.tar/3.cls"],
        EMPTY: ["a.tar/4.jpg"],
        NO_FILE: ["a.tar/link.jpg"],
        UNPAIRED: ["a.tar/1", "a.tar/2"],
    }


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("0.jpg", b"a"), ("0.png", b"a"), ("0.json", LINE)], "has two members of the key '0'"),
        ([("0.jpg", b"a"), ("0.json", b"{")], r"the member '0'\.json: is not valid JSON"),
        ([("0.jpg", b"a"), ("0.json", b'{"caption": "a"}')], r"the member '0'\.json: the key 'caption' is unknown"),
        ([("0.json", bytes((1 << 24) + 1))], r"the member '0\.json' is too large"),
    ],
)
def test_broken_members_are_named(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    make_tar(tmp_path / "shards" / "a.tar", members)
    with pytest.raises(DataError, match=rf"a\.tar: {message}"):
        list(read_tar_shards(tmp_path / "shards", ReadReport()))


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no shards \(\*\.tar\)"):
        list(read_tar_shards(tmp_path, ReadReport()))
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.tar: is no tar"):
        list(read_tar_shards(tmp_path, ReadReport()))


def test_damage_is_a_data_error_or_gives_valid_records(tmp_path: Path) -> None:
    make_shards(tmp_path / "shards", make_records(tmp_path, 2))
    shard = tmp_path / "shards" / "shard_000000.tar"
    whole = shard.read_bytes()[: 6 * 512 + 1024 + 3 * 512]  # without most of the padding, in which damage is no damage
    for damaged in with_other_bytes(whole, 400):
        shard.write_bytes(damaged)
        found: list[ImageRecord] = []
        error = data_error(lambda found=found: found.extend(read_tar_shards(tmp_path / "shards", ReadReport())))
        assert error is None or str(error).startswith(str(shard))
        for record in found:
            problem = data_error(lambda record=record: read_record_image(record))
            assert problem is None or isinstance(problem, ImageError)
