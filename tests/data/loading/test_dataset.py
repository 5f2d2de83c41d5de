"""Records to batches: one key, one sample; damaged images are replaced and reported; nothing is lost in a batch."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from scenetext.data.loading.dataset import RecordDataset, collate
from scenetext.data.records.images import write_image
from scenetext.data.records.samples import load_sample, whole_sample
from scenetext.errors import CharacterError, DataError, ImageError
from scenetext.structures import ImageRecord, PreparedSample, Sample, SkippedImage, TextInstance

POLYGON = np.array([[1, 1], [9, 1], [9, 6], [1, 6]], dtype=np.float32)


def make_records(folder: Path, count: int, damaged: tuple[int, ...] = ()) -> list[ImageRecord]:
    """Image i is filled with the value i; damaged ones are cut off."""
    records = []
    for i in range(count):
        path = folder / f"{i}.png"
        write_image(path, np.full((20 + i, 30, 3), i, dtype=np.uint8))
        if i in damaged:
            path.write_bytes(path.read_bytes()[:-20])
        records.append(ImageRecord(path, 30, 20 + i, (TextInstance(POLYGON, f"word{i}"),)))
    return records


def prepare(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    return PreparedSample(sample, {"draw": generator.random(3), "value": np.int64(sample.image[0, 0, 0])})


def refuse(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    raise CharacterError("word 'Ä' has the character 'Ä'", sample.meta.path)


def test_a_sample_is_the_image_as_stored(tmp_path: Path) -> None:
    sample = load_sample(make_records(tmp_path, 3)[2])
    assert sample.image.shape == (22, 30, 3)
    assert (sample.image == 2).all()
    assert sample.meta.original_size == sample.meta.content_size == (22, 30)
    np.testing.assert_array_equal(sample.meta.to_original, np.eye(3))
    assert sample.instances[0].text == "word2"


def test_an_image_of_another_size_than_its_record_is_refused_with_both(tmp_path: Path) -> None:
    record = make_records(tmp_path, 1)[0]
    with pytest.raises(ImageError, match=r"0\.png: image is 30 x 20 pixels .* its record says 20 x 30"):
        load_sample(ImageRecord(record.path, 20, 30, ()))


def test_a_key_and_the_seed_decide_everything(tmp_path: Path) -> None:
    records = make_records(tmp_path, 4)
    dataset = RecordDataset(records, prepare, seed=7)
    again = pickle.loads(pickle.dumps(dataset))
    draws = {}
    for key in [(0, 1), (0, 2), (1, 1)]:
        first, second = dataset[key].prepared, again[key].prepared
        assert first.sample.meta.path == records[key[1]].path
        np.testing.assert_array_equal(first.targets["draw"], second.targets["draw"])
        draws[key] = first.targets["draw"]
    draws["other seed"] = RecordDataset(records, prepare, seed=8)[0, 1].prepared.targets["draw"]
    assert len({tuple(draw) for draw in draws.values()}) == 4


def test_a_damaged_image_is_replaced_by_the_next_whole_one_and_reported(tmp_path: Path) -> None:
    records = make_records(tmp_path, 5, damaged=(3, 4))
    dataset = RecordDataset(records, prepare, seed=0)
    loaded = dataset[0, 3]
    assert loaded.prepared.sample.meta.path == records[0].path
    assert [image.path for image in loaded.skipped] == [records[3].path, records[4].path]
    assert "truncated" in loaded.skipped[0].reason
    assert not np.array_equal(loaded.prepared.targets["draw"], dataset[0, 0].prepared.targets["draw"])


def test_nothing_but_damaged_images_stops(tmp_path: Path) -> None:
    dataset = RecordDataset(make_records(tmp_path, 12, damaged=tuple(range(12))), prepare, seed=0)
    with pytest.raises(ImageError, match=r"none of 10 images in a row .*\n.*11\.png: image is truncated"):
        dataset[0, 11]


def test_evaluation_shows_black_for_a_damaged_image_under_its_own_name(tmp_path: Path) -> None:
    records = make_records(tmp_path, 3, damaged=(1,))
    loaded = RecordDataset(records, prepare, seed=0).evaluation_item(1)
    assert loaded.prepared.sample.meta.path == records[1].path
    assert loaded.prepared.sample.instances == ()
    assert not loaded.prepared.sample.image.any()
    assert [image.path for image in loaded.skipped] == [records[1].path]


def test_errors_of_the_preparation_are_not_taken_for_damaged_images(tmp_path: Path) -> None:
    with pytest.raises(CharacterError, match=r"0\.png: word 'Ä'"):
        RecordDataset(make_records(tmp_path, 2), refuse, seed=0)[0, 0]


def test_a_dataset_without_images_is_refused() -> None:
    with pytest.raises(DataError, match="at least one image"):
        RecordDataset([], prepare, seed=0)


def prepared(size: tuple[int, int], value: int, **targets: np.ndarray) -> PreparedSample:
    image = np.full((*size, 3), value, dtype=np.uint8)
    return PreparedSample(whole_sample(image, Path(f"{value}"), ()), targets)


def test_a_batch_is_channels_last_and_shares_nothing_across_images() -> None:
    items = [prepared((4, 6), value, words=np.arange(3) + value, flag=np.bool_(value > 1)) for value in (1, 2)]
    batch = collate(items, [SkippedImage(Path("x"), "why")])
    assert batch.images.shape == (2, 3, 4, 6)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.images[:, 0, 0, 0].tolist() == [1, 2]
    assert batch.targets["words"].tolist() == [[1, 2, 3], [2, 3, 4]]
    assert batch.targets["flag"].tolist() == [False, True]
    assert [meta.path for meta in batch.metas] == [Path("1"), Path("2")]
    assert batch.skipped == (SkippedImage(Path("x"), "why"),)


def test_images_and_targets_of_different_sizes_are_padded_with_zeros() -> None:
    items = [
        prepared((4, 6), 1, map=np.ones((2, 4, 6), dtype=np.float32)),
        prepared((5, 3), 2, map=np.ones((2, 5, 3), dtype=np.float32)),
    ]
    batch = collate(items)
    assert batch.images.shape == (2, 3, 5, 6)
    assert batch.images.sum(dim=(1, 2, 3)).tolist() == [4 * 6 * 3, 5 * 3 * 3 * 2]
    assert (batch.images[1, :, :5, :3] == 2).all()
    assert batch.targets["map"].shape == (2, 2, 5, 6)
    assert batch.targets["map"].dtype == torch.float32
    assert batch.targets["map"].sum(dim=(1, 2, 3)).tolist() == [48, 30]
    assert batch.metas[1].content_size == (5, 3)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "at least one"),
        ([prepared((2, 2), 1, a=np.ones(1)), prepared((2, 2), 2, b=np.ones(1))], r"\['b'\] beside \['a'\]"),
        ([prepared((2, 2), 1, a=np.ones(1)), prepared((2, 2), 2, a=np.ones((1, 1)))], "a: arrays of the shapes"),
    ],
    ids=["empty", "other names", "other axes"],
)
def test_what_makes_no_batch_is_refused(items: list[PreparedSample], message: str) -> None:
    with pytest.raises(DataError, match=message):
        collate(items)


def pair(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    assert sample.unlabelled is not None
    own, other = sample.image[0, 0], sample.unlabelled.image[0, 0]
    return PreparedSample(sample, {"own": own, "other": other, "draw": generator.random(2)})


def test_an_unlabelled_image_is_drawn_for_every_sample(tmp_path: Path) -> None:
    """By key and seed alone; the labelled ones keep their fourth channel, damaged ones of both are replaced."""
    (tmp_path / "layers").mkdir()
    records = make_records(tmp_path / "layers", 3, damaged=(1,))
    write_image(records[0].path, np.full((20, 30, 4), 77, dtype=np.uint8))
    (tmp_path / "other").mkdir()
    others = make_records(tmp_path / "other", 5, damaged=(2,))
    dataset, again = (RecordDataset(records, pair, 7, unlabelled=others) for _ in range(2))
    seen, skipped = set(), set()
    for number in range(40):
        item, same = dataset[number, 0], again[number, 0]
        assert item.prepared.targets["own"].tolist() == [77] * 4
        assert item.prepared.targets["other"].tolist() == same.prepared.targets["other"].tolist()
        assert item.prepared.targets["draw"].tolist() == same.prepared.targets["draw"].tolist()
        seen.add(int(item.prepared.targets["other"][0]))
        skipped |= {image.path for image in item.skipped}
    assert seen == {0, 1, 3, 4}
    assert skipped == {others[2].path}
    assert dataset[0, 1].skipped[0].path == records[1].path
    assert dataset[0, 1].prepared.targets["own"].tolist() == [2, 2, 2], "without a fourth channel as it is"
