"""The stream of training images: fixed by the seed, entered at any step, the same for any number of workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenetext.data.loading.combination import Epochs, Part
from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import (
    LoaderSettings,
    StepSampler,
    default_workers,
    evaluation_loader,
    training_loader,
)
from scenetext.data.records.images import write_image
from scenetext.errors import CharacterError, ConfigError, LoaderError
from scenetext.structures import Batch, ImageRecord, PreparedSample, Sample

sizes = st.integers(1, 12)


def sampler(
    length: int, batch: int, seed: int, first: int, last: int, rank: int = 0, world_size: int = 1
) -> StepSampler:
    return StepSampler(Epochs([Part(length, length)], seed), batch, first, last, rank, world_size)


@given(sizes, sizes, st.integers(0, 5), st.integers(0, 15))
def test_the_stream_from_any_step_is_the_tail_of_the_stream(length: int, batch: int, seed: int, first: int) -> None:
    whole = list(sampler(length, batch, seed, 0, 20))
    assert list(sampler(length, batch, seed, first, 20)) == whole[first:]
    assert len(sampler(length, batch, seed, first, 20)) == 20 - first


@given(sizes, sizes, st.integers(0, 5))
def test_every_epoch_shows_every_image_once(length: int, batch: int, seed: int) -> None:
    keys = [key for step in sampler(length, batch, seed, 0, 3 * length) for key in step]
    assert len(keys) == 3 * length * batch
    for epoch in range(3):
        assert [e for e, _ in keys[epoch * length : (epoch + 1) * length]] == [epoch] * length
        assert sorted(i for e, i in keys if e == epoch) == list(range(length))


def test_the_order_changes_with_epoch_and_seed() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [index for _, index in list(sampler(50, 50, seed, 0, 3))[epoch]]

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) != list(range(50))


@given(sizes, st.integers(1, 4), st.integers(1, 4))
def test_ranks_share_every_step_of_one_process(length: int, share: int, ranks: int) -> None:
    alone = list(sampler(length, share * ranks, 3, 2, 8))
    slices = [list(sampler(length, share * ranks, 3, 2, 8, rank, ranks)) for rank in range(ranks)]
    assert [[key for part in step for key in part] for step in zip(*slices, strict=True)] == alone


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loader\.batch_size: 10 .* 4 processes"):
        sampler(100, 10, 0, 0, 5, 1, 4)


def test_default_number_of_workers_leaves_a_core_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (2, 1), (8, 7), (128, 16)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False)
        assert default_workers() == workers


def make_records(folder: Path, count: int, damaged: tuple[int, ...] = ()) -> list[ImageRecord]:
    records = []
    for i in range(count):
        path = folder / f"{i}.png"
        write_image(path, np.full((32, 32, 3), i, dtype=np.uint8))
        if i in damaged:
            path.write_bytes(b"")
        records.append(ImageRecord(path, 32, 32, ()))
    return records


def prepare(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    """The targets tell the draw and how many threads the libraries may use."""
    threads = np.array([cv2.getNumThreads(), torch.get_num_threads()])
    return PreparedSample(sample, {"draw": generator.random(2), "threads": threads})


def refuse_two(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    if sample.image[0, 0, 0] == 2:
        raise CharacterError("has the character 'Ä'", sample.meta.path)
    return prepare(sample, generator)


def content(batches: list[Batch]) -> list[tuple[list[str], list[list[float]], list[str]]]:
    return [
        ([m.path.name for m in b.metas], b.targets["draw"].tolist(), [s.path.name for s in b.skipped]) for b in batches
    ]


def test_the_data_do_not_depend_on_the_workers(tmp_path: Path) -> None:
    dataset = RecordDataset(make_records(tmp_path, 7, damaged=(4,)), prepare, seed=5)
    streams = [
        content(list(training_loader(dataset, LoaderSettings(batch_size=3, workers=workers), 5, 0, 6)))
        for workers in (0, 1, 2)
    ]
    assert streams[0] == streams[1] == streams[2]
    assert Counter(name for _, _, skipped in streams[0] for name in skipped)["4.png"] >= 2
    late = training_loader(dataset, LoaderSettings(batch_size=3, workers=1), 5, 4, 6)
    assert len(late) == 2
    assert content(list(late)) == streams[0][4:]


def test_a_loader_after_the_last_step_is_empty(tmp_path: Path) -> None:
    dataset = RecordDataset(make_records(tmp_path, 2), prepare, seed=5)
    assert list(training_loader(dataset, LoaderSettings(batch_size=1, workers=1), 5, 6, 6)) == []


@pytest.mark.parametrize(
    ("count", "batch_size", "expected"),
    [(9, 4, [3, 3, 3]), (8, 4, [4, 4]), (5, 4, [3, 2]), (1, 4, [1]), (3, 1, [1, 1, 1]), (3, 2, [2, 1])],
)
def test_evaluation_shows_every_image_once_in_even_batches(
    tmp_path: Path, count: int, batch_size: int, expected: list[int]
) -> None:
    damaged = (0,)
    dataset = RecordDataset(make_records(tmp_path, count, damaged), prepare, seed=0)
    batches = list(evaluation_loader(dataset, batch_size, workers=0))
    assert [len(batch.metas) for batch in batches] == expected
    assert [meta.path.name for batch in batches for meta in batch.metas] == [f"{i}.png" for i in range(count)]
    assert [image.path.name for batch in batches for image in batch.skipped] == ["0.png"]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_arrives_with_its_own_message(tmp_path: Path, workers: int) -> None:
    dataset = RecordDataset(make_records(tmp_path, 4), refuse_two, seed=0)
    with pytest.raises(CharacterError) as caught:
        list(evaluation_loader(dataset, 2, workers))
    assert str(caught.value) == f"{tmp_path / '2.png'}: has the character 'Ä'"


def test_evaluation_batches_hold_images_of_similar_shape(tmp_path: Path) -> None:
    """Portraits with portraits: every image once, and hardly any padding where there would be much."""
    sizes = [(64, 96), (96, 64), (64, 64)] * 4
    paths = [tmp_path / f"{index}.png" for index in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        write_image(path, np.zeros((*size, 3), dtype=np.uint8))
    records = [ImageRecord(path, size[1], size[0], ()) for path, size in zip(paths, sizes, strict=True)]
    batches = list(evaluation_loader(RecordDataset(records, prepare, seed=0), 4, workers=0))
    assert sorted(meta.path for batch in batches for meta in batch.metas) == sorted(paths)
    for batch in batches:
        assert {meta.original_size for meta in batch.metas} == {tuple(batch.images.shape[2:])}


def signal_parent_group(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    """Sends a worker the signals that a Ctrl-C and a scheduler send to the whole process group."""
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    return prepare(sample, generator)


def test_workers_use_one_thread_and_outlive_signals_to_the_group(tmp_path: Path) -> None:
    dataset = RecordDataset(make_records(tmp_path, 4), signal_parent_group, seed=0)
    batches = list(training_loader(dataset, LoaderSettings(batch_size=2, workers=2), 0, 0, 4))
    assert len(batches) == 4
    assert all(threads == [1, 1] for batch in batches for threads in batch.targets["threads"].tolist())


def prepare_or_die(sample: Sample, generator: np.random.Generator) -> PreparedSample:
    """Dies as under the system's out-of-memory killer, where there is a file "deadly"."""
    if sample.meta.path.name == "3.png" and (sample.meta.path.parent / "deadly").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return prepare(sample, generator)


def test_a_lost_worker_ends_the_stream_and_the_next_one_goes_on_with_the_same(tmp_path: Path) -> None:
    dataset = RecordDataset(make_records(tmp_path, 6), prepare_or_die, seed=5)
    settings = LoaderSettings(batch_size=2, workers=2)
    expected = content(list(training_loader(dataset, settings, 5, 0, 6)))
    (tmp_path / "deadly").touch()
    given: list[Batch] = []
    batches = iter(training_loader(dataset, settings, 5, 0, 6))
    with pytest.raises(LoaderError, match=r"a loader process was lost .* lower loader\.workers"):
        given.extend(batches)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL, "nothing may raise in the middle of a step"
    (tmp_path / "deadly").unlink()
    rest = training_loader(dataset, settings, 5, len(given), 6)
    assert content([*given, *rest]) == expected


FAILING = """
import sys
from pathlib import Path
from test_loader import LoaderSettings, RecordDataset, make_records, prepare, training_loader

def train():
    dataset = RecordDataset(make_records(Path(sys.argv[1]), 6), prepare, seed=5)
    batches = iter(training_loader(dataset, LoaderSettings(batch_size=2, workers=3), 5, 0, 1000))
    next(batches)  # the error's trace refers to the iterator, by this frame
    raise ValueError("what went wrong")

train()
"""


def test_a_training_that_fails_ends_with_its_loader_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FAILING, str(tmp_path)]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert done.returncode == 1
    assert "what went wrong" in done.stderr


@pytest.mark.slow
def test_spawned_workers_give_the_same(tmp_path: Path) -> None:
    dataset = RecordDataset(make_records(tmp_path, 4), prepare, seed=5)
    settings = LoaderSettings(batch_size=2, workers=1)
    forked = content(list(training_loader(dataset, settings, 5, 0, 2)))
    before = torch.multiprocessing.get_start_method()
    torch.multiprocessing.set_start_method("spawn", force=True)
    try:
        assert content(list(training_loader(dataset, settings, 5, 0, 2))) == forked
    finally:
        torch.multiprocessing.set_start_method(before, force=True)
