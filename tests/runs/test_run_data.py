"""A run's datasets as its config names them: shares, repeats and weights reach the trainer, and are reported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from scenetext.config import dump_yaml
from scenetext.data.loading.combination import Part
from scenetext.data.loading.loader import LoaderSettings, training_loader
from scenetext.errors import ConfigError, DataError
from scenetext.runs import shared_images
from scenetext.runs.build import build_trainer
from scenetext.runs.data import read_run_records
from scenetext.runs.settings import load_run
from scenetext.text.charset import CharacterSet
from small_runs import make_run, make_set


@pytest.mark.parametrize("kind", ["pretraining", "detection"])
def test_a_run_learns_from_what_its_datasets_say(tmp_path: Path, kind: str) -> None:
    first, second = make_set(tmp_path, "a", 10), make_set(tmp_path, "b", 3)
    train = [{"records": str(first), "share": 0.2, "share_seed": 4}, {"records": str(second), "repeat": 3}]
    trainer, remarks = build_trainer(make_run(kind, tmp_path, train), tmp_path / "run")
    data = trainer.training_data
    assert (len(data), data.epoch_images) == (5, 11)
    assert trainer.total_steps == -(-3 * 11 // 4)
    batches = training_loader(data, LoaderSettings(batch_size=11, workers=0), 0, 0, 2)
    for batch in batches:
        seen = Counter(meta.path.name for meta in batch.metas)
        assert len(seen) == 5
        assert [seen[f"b_{number}.png"] for number in range(3)] == [3, 3, 3]
    assert f"training: 2 images of {first} (share 0.2, seed 4), once" in remarks
    assert f"training: 3 images of {second}, 3 times" in remarks
    assert "training: an epoch shows 11 images" in remarks


@pytest.mark.parametrize("kind", ["pretraining", "detection"])
def test_weights_divide_an_epoch_of_the_length_asked_for(tmp_path: Path, kind: str) -> None:
    paths = make_set(tmp_path, "a", 10), make_set(tmp_path, "b", 3)
    train = [{"records": str(path), "weight": weight} for path, weight in zip(paths, (3, 1), strict=True)]
    run = make_run(kind, tmp_path, train, epoch_images=8)
    data = read_run_records(run, CharacterSet.english() if kind == "pretraining" else None)
    assert data.parts == (Part(10, 6), Part(3, 2))
    assert f"training: 10 images of {paths[0]} (weight 3), 6 of an epoch's 8 images (0.6 times each)" in data.remarks


def test_one_dataset_alone_needs_no_remark(tmp_path: Path) -> None:
    data = read_run_records(make_run("detection", tmp_path, [str(make_set(tmp_path, "a", 2))]), None)
    assert data.remarks == ()
    assert data.parts == (Part(2, 2),)


def test_images_without_usable_words_do_not_count_in_their_dataset(tmp_path: Path) -> None:
    first, second = make_set(tmp_path, "a", 4), make_set(tmp_path, "b", 3, "Ä")
    third = make_set(tmp_path, "c", 1)
    second.write_bytes(second.read_bytes() + third.read_bytes())
    run = make_run("pretraining", tmp_path, [str(first), {"records": str(second), "repeat": 2}])
    data = read_run_records(run, CharacterSet.english())
    assert data.parts == (Part(4, 4), Part(1, 2))
    assert [record.path.name for record in data.training][-1] == "c_0.png"
    assert any(
        remark.startswith(f"training: {second}: 1 words in 1 images; dropped: 3 words") for remark in data.remarks
    )


def test_a_dataset_with_nothing_to_learn_from_is_named(tmp_path: Path) -> None:
    good, ignored = make_set(tmp_path, "a", 2), make_set(tmp_path, "b", 2, ignore=True)
    foreign, empty = make_set(tmp_path, "c", 2, "Ä"), make_set(tmp_path, "d", 0)
    with pytest.raises(
        DataError, match=r"every one of the 2 instances for training in .*b\.jsonl is marked as ignored"
    ):
        read_run_records(make_run("detection", tmp_path, [str(good), str(ignored)]), None)
    with pytest.raises(DataError, match=r"no image for training: .*c\.jsonl has a word"):
        read_run_records(make_run("pretraining", tmp_path, [str(good), str(foreign)]), CharacterSet.english())
    with pytest.raises(DataError, match=r"no images for training in: .*d\.jsonl"):
        read_run_records(make_run("detection", tmp_path, [str(good), str(empty)]), None)
    with pytest.raises(DataError, match=r"data\.train names no dataset"):
        read_run_records(make_run("detection", tmp_path, []), None)


def test_overfit_takes_the_first_images_once_whatever_the_settings(tmp_path: Path) -> None:
    train = [{"records": str(make_set(tmp_path, name, 3)), "repeat": 2} for name in ("a", "b")]
    trainer, _ = build_trainer(make_run("detection", tmp_path, train), tmp_path / "run", overfit=4)
    assert (len(trainer.training_data), trainer.training_data.epoch_images) == (4, 4)
    assert [record.path.stem for record in trainer.validation_data.records] == ["a_0", "a_1", "a_2", "b_0"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train": [{"records": "a.jsonl", "shar": 0.1}]}, r"data\.train\.0\.shar is unknown; did you mean share\?"),
        ({"train": [{"records": "a.jsonl", "share": 0}]}, r"data\.train\.0\.share: Input should be greater than 0"),
        ({"train": [{"records": "a.jsonl", "repeat": 0.5}]}, r"data\.train\.0\.repeat"),
        ({"train": [{"share": 0.1}]}, r"data\.train\.0\.records: Field required"),
        (
            {"train": [{"records": "a.jsonl", "weight": 0.5}, "b.jsonl"]},
            r"all datasets have a weight or none; .*b\.jsonl",
        ),
        ({"train": ["a.jsonl"], "epoch_images": 100}, "epoch_images is for datasets with a weight"),
        ({"train": [{"records": "a.jsonl", "weight": 1, "repeat": 2}]}, "either repeat or weight"),
        ({"train": [7]}, r"data\.train\.0"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_key(tmp_path: Path, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_run("detection", tmp_path, data.pop("train"), **data)


def test_a_config_is_written_as_short_as_it_can_be_and_read_back(tmp_path: Path) -> None:
    train = ["a.jsonl", {"records": "b.jsonl", "share": 0.1, "repeat": 3}]
    run = make_run("detection", tmp_path, train)
    written = yaml.safe_load(dump_yaml(run))
    assert written["data"]["train"] == train
    (tmp_path / "run.yaml").write_text(dump_yaml(run))
    assert load_run([str(tmp_path / "run.yaml")]) == run
    changed = load_run([str(tmp_path / "run.yaml"), "data.train=[{records: c.jsonl, weight: 0.5}]"])
    assert changed.data.train[0].weight == 0.5


@pytest.mark.parametrize("kind", ["pretraining", "detection"])
def test_images_that_are_learnt_from_and_measured_on_are_warned_of(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where links lead to them; without a look at any image, and at a later start without a look at any record."""
    first, second = make_set(tmp_path / "one", "a", 5), make_set(tmp_path / "two", "b", 3)
    link = tmp_path / "two" / "b_1.png"
    link.unlink()
    link.symlink_to(tmp_path / "one" / "a_2.png")
    characters = CharacterSet.english() if kind == "pretraining" else None
    run = make_run(kind, tmp_path, [str(first)], validation=[str(second)])
    warning = (
        f"warning: 1 of 3 images of {second}, such as b_1.png, are also learnt from, in {first}: values measured on "
        "them say nothing about other images"
    )
    assert warning in read_run_records(run, characters).remarks
    monkeypatch.setattr(shared_images, "_files", None)
    assert warning in read_run_records(run, characters).remarks, "kept in the index"


def test_of_large_collections_a_part_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = make_set(tmp_path, "a", 20)
    monkeypatch.setattr(shared_images, "LOOKED_AT", 15)
    run = make_run("detection", tmp_path, [str(records)], validation=[str(records)])
    (warning,) = read_run_records(run, None).remarks
    assert warning.startswith(f"warning: 15 of 15 images of {records}")
