"""Datasets combined: every image as often as its dataset's settings say, in an order that the seed alone decides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scenetext.data.loading.combination import Epochs, Part, TrainingSet, parts_of
from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import LoaderSettings, StepSampler, training_loader
from scenetext.data.loading.orders import chosen_images
from scenetext.data.records.files import JoinedRecords, RecordFiles, RecordView, write_records
from scenetext.errors import ConfigError, DataError
from scenetext.structures import ImageRecord, PreparedSample, Sample

repeated = st.lists(
    st.builds(lambda n, r: Part(n, n * r), st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=4
)
weighted = st.lists(st.builds(Part, st.integers(1, 9), st.integers(1, 30)), min_size=1, max_size=4)
seeds = st.integers(0, 2**70)


def place(parts: list[Part], index: int) -> int:
    """The part that an index belongs to."""
    return int(np.searchsorted(np.cumsum([part.images for part in parts]), index, side="right"))


@given(repeated, seeds, st.integers(0, 5))
def test_every_epoch_shows_every_image_as_often_as_it_is_repeated(parts: list[Part], seed: int, epoch: int) -> None:
    counts = Counter(Epochs(parts, seed).keys(epoch)[:, 1].tolist())
    expected = [part.shown // part.images for part in parts for _ in range(part.images)]
    assert [counts[index] for index in range(len(expected))] == expected
    assert sum(counts.values()) == len(Epochs(parts, seed))


@given(weighted, seeds, st.integers(1, 5))
def test_every_epoch_takes_its_number_of_every_dataset_and_no_image_much_oftener_than_another(
    parts: list[Part], seed: int, epochs: int
) -> None:
    keys = [Epochs(parts, seed).keys(epoch).tolist() for epoch in range(epochs)]
    for epoch in keys:
        assert Counter(place(parts, index) for _, index in epoch) == {i: part.shown for i, part in enumerate(parts)}
    everything = [tuple(key) for epoch in keys for key in epoch]
    assert len(set(everything)) == len(everything), "a repeated image has another round, so it is transformed again"
    counts = Counter(index for _, index in everything)
    for number, part in enumerate(parts):
        own = [counts[index] for index in range(sum(p.images for p in parts)) if place(parts, index) == number]
        assert len(own) == part.images
        assert max(own) - min(own) <= 1


@given(weighted, seeds, st.integers(1, 6), st.integers(0, 9))
def test_ranks_share_the_steps_of_one_process_and_training_goes_on_from_any_step(
    parts: list[Part], seed: int, share: int, first: int
) -> None:
    def stream(start: int, rank: int = 0, ranks: int = 1) -> list[list[tuple[int, int]]]:
        return list(StepSampler(Epochs(parts, seed), 4 * share, start, 12, rank, ranks))

    whole = stream(0)
    assert stream(first) == whole[first:]
    for ranks in (2, 4):
        slices = [stream(0, rank, ranks) for rank in range(ranks)]
        assert [[key for part in step for key in part] for step in zip(*slices, strict=True)] == whole


def test_a_single_dataset_is_shown_in_the_order_that_it_always_had() -> None:
    """Runs of before datasets could be combined go on with the same images."""
    for epoch in (0, 1, 7):
        order = np.random.default_rng([3, epoch]).permutation(50)
        assert Epochs([Part(50, 50)], 3).keys(epoch).tolist() == [[epoch, index] for index in order.tolist()]


def test_orders_differ_between_epochs_seeds_and_datasets() -> None:
    first, second = Epochs([Part(100, 50), Part(100, 50)], 0), Epochs([Part(100, 50), Part(100, 50)], 1)
    assert first.keys(0).tolist() != second.keys(0).tolist()
    shown = [sorted(index for _, index in epochs.keys(0).tolist()) for epochs in (first, second)]
    assert shown[0] != shown[1]
    assert [index for index in shown[0] if index < 100] != [index - 100 for index in shown[0] if index >= 100]


@given(st.integers(1, 300), st.floats(0.001, 1), st.floats(0.001, 1), seeds)
def test_shares_are_nested_and_in_order(count: int, one: float, other: float, seed: int) -> None:
    smaller, larger = (chosen_images(count, share, seed).tolist() for share in sorted([one, other]))
    assert set(smaller) <= set(larger) <= set(range(count))
    assert smaller == sorted(set(smaller))
    assert len(larger) == max(1, int(count * max(one, other) + 0.5))
    assert chosen_images(count, 1.0, seed).tolist() == list(range(count))


def split_mix(state: int) -> int:
    """SplitMix64's output function, in Python's own whole numbers."""
    whole = (1 << 64) - 1
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & whole
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & whole
    return state ^ (state >> 31)


@given(st.integers(1, 50), st.integers(0, 2**64 - 1))
def test_shares_are_drawn_by_split_mix(count: int, seed: int) -> None:
    whole = 1 << 64
    hashes = [split_mix((split_mix(seed) + place * 0x9E3779B97F4A7C15) % whole) for place in range(count)]
    order = sorted(range(count), key=lambda place: hashes[place])
    assert chosen_images(count, 0.5, seed).tolist() == sorted(order[: max(1, (count + 1) // 2)])


def test_shares_are_the_same_for_ever_and_spread_evenly() -> None:
    assert chosen_images(20, 0.25, 0).tolist() == [0, 3, 5, 7, 19]
    assert chosen_images(20, 0.25, 1).tolist() == [5, 8, 14, 15, 17]
    drawn = np.bincount(np.concatenate([chosen_images(50, 0.1, seed) for seed in range(2000)]), minlength=50)
    assert drawn.sum() == 2000 * 5
    # Binomial: 200 expected, a deviation of 13.4; six of them leave one failure in ten million runs.
    assert np.abs(drawn - 200).max() < 6 * 13.4


def test_weights_divide_an_epoch_exactly() -> None:
    def shown(weights: list[float], images: list[int], epoch_images: int | None) -> list[int]:
        sets = [TrainingSet(records=Path(f"{i}.jsonl"), weight=weight) for i, weight in enumerate(weights)]
        return [part.shown for part in parts_of(sets, images, epoch_images)]

    assert shown([1, 1, 1], [9, 9, 9], 10) == [4, 3, 3]
    assert shown([0.5, 0.25, 0.25], [1, 2, 3], 100) == [50, 25, 25]
    assert shown([3, 1], [10, 30], None) == [30, 10]
    with pytest.raises(ConfigError, match=r"the weight 0\.001 of 1\.jsonl gives it none of an epoch's 40 images"):
        shown([1, 0.001], [10, 30], None)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=5), st.integers(1000, 9999))
def test_weights_are_kept_within_one_image(weights: list[float], total: int) -> None:
    sets = [TrainingSet(records=Path("a.jsonl"), weight=weight) for weight in weights]
    shown = [part.shown for part in parts_of(sets, [1] * len(sets), total)]
    assert sum(shown) == total
    assert all(abs(one - total * w / sum(weights)) < 1 for one, w in zip(shown, weights, strict=True))


def test_a_path_alone_is_a_whole_dataset_shown_once() -> None:
    one = TrainingSet.model_validate("data/a.jsonl")
    assert one == TrainingSet(records=Path("data/a.jsonl"))
    assert parts_of([one], [7], None) == (Part(7, 7),)
    assert one.model_dump(mode="json") == "data/a.jsonl"
    more = TrainingSet(records=Path("data/a.jsonl"), share=0.1, repeat=3)
    assert more.model_dump(mode="json") == {"records": "data/a.jsonl", "share": 0.1, "repeat": 3}
    assert TrainingSet.model_validate(more.model_dump(mode="json")) == more
    with pytest.raises(ValidationError, match="either repeat or weight"):
        TrainingSet(records=Path("a.jsonl"), repeat=2, weight=0.5)


def make_file(path: Path, count: int) -> Path:
    write_records(path, (ImageRecord(path.parent / f"{path.stem}_{i}.jpg", 5, 4, ()) for i in range(count)))
    return path


def test_joined_records_follow_each_other(tmp_path: Path) -> None:
    first = RecordFiles([make_file(tmp_path / "a.jsonl", 3)])
    second = RecordView(RecordFiles([make_file(tmp_path / "b.jsonl", 4)]), np.array([3, 1]))
    joined = JoinedRecords([first, second, first[:0]])
    expected = ["a_0.jpg", "a_1.jpg", "a_2.jpg", "b_3.jpg", "b_1.jpg"]
    assert [record.path.name for record in joined] == expected
    assert [record.path.name for record in joined[-1:0:-2]] == expected[-1:0:-2]
    assert joined[-2].path.name == "b_3.jpg"
    with pytest.raises(IndexError):
        joined[5]


def prepare(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    return PreparedSample(sample, {"draw": generator.random(2)})


def test_batches_do_not_depend_on_the_workers_and_repeats_are_transformed_again(tmp_path: Path) -> None:
    from scenetext.data.records.images import write_image

    for name in ("a_0", "a_1", "b_0"):
        write_image(tmp_path / f"{name}.png", np.zeros((8, 8, 3), dtype=np.uint8))
    records = [ImageRecord(tmp_path / f"{name}.png", 8, 8, ()) for name in ("a_0", "a_1", "b_0")]
    dataset = RecordDataset(records, prepare, 5, [Part(2, 1), Part(1, 3)])
    assert dataset.epoch_images == 4
    streams = []
    for workers in (0, 2):
        batches = training_loader(dataset, LoaderSettings(batch_size=4, workers=workers), 5, 0, 4)
        streams.append([([m.path.name for m in b.metas], b.targets["draw"].tolist()) for b in batches])
    assert streams[0] == streams[1]
    for names, _ in streams[0]:
        assert Counter(names)["b_0.png"] == 3
    draws = [tuple(draw) for _, drawn in streams[0] for draw in drawn]
    assert len(set(draws)) == len(draws) == 16
    with pytest.raises(DataError, match="3 records are not those of the parts"):
        RecordDataset(records, prepare, 5, [Part(2, 1)])
