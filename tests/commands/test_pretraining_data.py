"""From what publishers hand out to a trained step, in the commands that a person types."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from scipy.io import savemat

from command_process import run_tool
from scenetext.data.preparation.shard_writing import write_shards
from scenetext.data.readers import ReadReport
from scenetext.data.records.files import read_records, write_records
from scenetext.data.records.images import write_image
from scenetext.errors import ConfigError
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.runs.build import build_trainer, prepare_run_folder
from scenetext.runs.kinds import PRETRAINING
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import PretrainingRun, load_run
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet
from scenetext.training.checkpoint import checkpoints_of, load_latest_checkpoint
from scenetext.training.outcome import Outcome


def run(tool: str, *arguments: object) -> str:
    done = run_tool(tool, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def write_config(folder: Path, train: Path, validation: Path, method: dict[str, Any], data: dict[str, Any]) -> Path:
    """A pre-training of two steps at the smallest size."""
    content = {
        "kind": "pretraining",
        "method": {
            "encoder": {"layers": [1, 1, 1, 1], "width": 8},
            **{"input_size": 64, "embed_dim": 32, "text_width": 16, "text_heads": 2, "text_layers": 1},
            **{"decoder_layers": 1, "decoder_heads": 2, "maximum_words": 4},
            **method,
        },
        "transform": {"size": 64},
        "data": {"train": [str(train)], "validation": [str(validation)], **data},
        "loader": {"batch_size": 4, "evaluation_batch_size": 4, "workers": 1},
        "training": {"steps": 2, "evaluate_every": 2, "log_every": 1, "device": "cpu"},
    }
    path = folder / "pretrain.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def draw(path: Path, shade: int) -> None:
    image = np.full((64, 96, 3), shade, dtype=np.uint8)
    cv2.putText(image, "WORD", (3, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.75, (0, 0, 0), 2)
    write_image(path, image)


@pytest.mark.slow
def test_synthtext_from_its_ground_truth_to_a_trained_step_and_an_evaluation(tmp_path: Path) -> None:
    texts = [["Lines:\nI lost", "Kevin"], ["word"], ["out side"], ["NA\n2020"], ["three words here"], ["last"]]
    texts.append(["missing"])
    cells = {name: np.empty((1, len(texts)), dtype=object) for name in ("imnames", "wordBB", "txt")}
    square = np.array([[5, 5], [25, 5], [25, 15], [5, 15]], dtype=np.float64)
    for number, text in enumerate(texts):
        name = f"{number + 1}/sign_{number}.jpg"
        if text != ["missing"]:
            draw(tmp_path / "SynthText" / name, 100 + 20 * number)
        count = len(" ".join(text).split())
        boxes = np.stack([(square - (40 if word == 1 and number == 2 else 0)).T for word in range(count)], axis=2)
        cells["imnames"][0, number] = name
        cells["wordBB"][0, number] = boxes[:, :, 0] if count == 1 else boxes
        cells["txt"][0, number] = np.array(text)
    savemat(tmp_path / "SynthText" / "gt.mat", cells, do_compression=True)

    printed = run(
        *("prepare", "synthtext", "--images", tmp_path / "SynthText"),
        *("--ground-truths", tmp_path / "SynthText" / "gt.mat", "--output", tmp_path / "all.jsonl"),
        *("--characters", "data/characters/english.txt"),
    )
    assert "6 images, 13 words" in printed
    assert "to learn from: 12 with a polygon, 13 with a text" in printed
    assert "dropped: images that cannot be read: 1 (7/sign_6.jpg)" in printed
    assert "words kept without polygon, which has no area inside the image: 1 (side in 3/sign_2.jpg)" in printed
    assert "lacks 0 of them" in printed
    train, validation = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"
    run(
        *("prepare", "split", tmp_path / "all.jsonl", "--validation-images", 2),
        *("--output", train, "--validation-output", validation),
    )
    assert [record.path.name for record in read_records(validation)] == ["sign_4.jpg", "sign_5.jpg"]
    assert len(read_records(train)) == 4
    config = write_config(tmp_path, train, validation, method={}, data={"word_share": 0.5})
    printed = run("pretrain", config, "--output", tmp_path / "run")
    assert "training: 9 words in 4 images" in printed
    assert "training: 50 % of each image's words, at least one (data.word_share_seed 0)" in printed
    assert "validation: 4 words in 2 images" in printed
    assert "vision_gain" in printed
    assert (tmp_path / "run" / "best.pt").is_file()


@pytest.mark.slow
def test_chinese_and_mixed_words_from_weak_labels_through_shards_to_a_trained_step(tmp_path: Path) -> None:
    labels = {
        "gt_0": ["北京 烤鸭店"],
        "gt_1": ["OPEN 24 小时"],
        "gt_2": ["中国银行", "BANK"],
        "gt_3": ["店"],
        "gt_4": ["咖啡Café", "😀笑"],
    }
    for number, name in enumerate(labels):
        draw(tmp_path / "images" / f"{name}.jpg", 100 + 20 * number)
    content = {name: [{"transcription": text} for text in words] for name, words in labels.items()}
    (tmp_path / "labels.json").write_text(json.dumps(content), encoding="utf-8")

    characters = tmp_path / "characters.txt"
    printed = run(
        *("prepare", "lsvt-weak", "--images", tmp_path / "images"),
        *("--ground-truths", tmp_path / "labels.json", "--output", tmp_path / "all.jsonl"),
        *("--characters-output", characters),
    )
    assert "4 images, 6 words" in printed
    known = CharacterSet.from_file(characters)
    assert all(map(known.knows, ("北京烤鸭店", "OPEN24小时", "咖啡Café", "😀笑")))

    printed = run(
        *("prepare", "shards", tmp_path / "all.jsonl", "--output", tmp_path / "shards"),
        *("--images-per-shard", 2),
    )
    assert "4 images in shards of 2" in printed
    packed = tmp_path / "shards" / "records.jsonl"
    assert [path.name for path in sorted((tmp_path / "shards").glob("*.tar"))] == [
        "shard_000000.tar",
        "shard_000001.tar",
    ]
    for record in read_records(tmp_path / "all.jsonl"):
        record.path.unlink()  # the shards are enough

    config = write_config(tmp_path, packed, packed, method={"characters": str(characters)}, data={})
    printed = run("pretrain", config, "--output", tmp_path / "run")
    assert "training: 6 words in 4 images; dropped: 0 words with unknown characters" in printed
    assert "could not be used" not in printed
    draw(tmp_path / "page.jpg", 180)
    pictures = tmp_path / "pictures"
    printed = run(*("attention", tmp_path / "run" / "best.pt", tmp_path / "page.jpg", "中国 行", "--output", pictures))
    assert '"中国 行": ' in printed
    printed = run("prepare", "tar-shards", "--shards", tmp_path / "shards", "--output", tmp_path / "again.jsonl")
    assert "4 images, 6 words" in printed


STEPS = 6


def words_of(number: int) -> tuple[str, ...]:
    return tuple(f"{word}{number}" for word in ("stop", "OPEN", "bank", "taxi"))[: 1 + number % 4]


def pack(folder: Path, images: int) -> tuple[Path, Path]:
    """Records of the same images in the same order: in shards, and as loose files."""
    loose = []
    for number in range(images):
        path = folder / "images" / f"sign_{number}.jpg"
        draw(path, 60 + 15 * number)
        loose.append(ImageRecord(path, 96, 64, tuple(TextInstance(None, word) for word in words_of(number))))
    write_shards(loose, folder / "shards", 4, 0, ReadReport())
    packed = folder / "shards" / "records.jsonl"
    by_text = {record.instances[0].text: record for record in loose}
    write_records(folder / "loose.jsonl", [by_text[record.instances[0].text] for record in read_records(packed)])
    return packed, folder / "loose.jsonl"


def train(config: Path, folder: Path, resume: bool = False) -> Outcome:
    settings = [f"training.steps={STEPS}", "training.checkpoint_every=2", "training.keep_checkpoints=9"]
    settings += ["training.evaluate_every=3", "schedule.warmup_steps=2", "optimizer.clip_gradient_norm=1.0"]
    settings.append("optimizer.learning_rate=3e-3")
    run_settings = load_run([str(config), *settings], PretrainingRun)
    trainer, _ = build_trainer(run_settings, folder)
    prepare_run_folder(folder, run_settings, trainer.description["characters"], resume)
    if resume:
        trainer.resume()
    return trainer.fit()


def log_of(folder: Path) -> list[dict[str, Any]]:
    """What was logged, without what depends on the machine's clock and memory."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in MACHINE} for line in lines]


MACHINE = {"images_per_second", "waiting_share", "seconds_per_step", "memory_gib"}


def same_content(first: Any, second: Any) -> bool:
    """Whether two checkpoints hold the same numbers, bit for bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same_content(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same_content, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else bool(np.all(first == second))


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_shards_train_as_loose_files_do(tmp_path: Path, share: float) -> None:
    packed, loose = pack(tmp_path, 10)
    for name, records in (("packed", packed), ("loose", loose)):
        config = write_config(tmp_path, records, records, method={}, data={"word_share": share})
        assert train(config, tmp_path / name).step == STEPS
    assert log_of(tmp_path / "packed") == log_of(tmp_path / "loose")
    losses = [line["loss"] for line in log_of(tmp_path / "packed") if line["kind"] == "train"]
    assert len(losses) == len(set(losses)) == STEPS
    ends = [load_latest_checkpoint(tmp_path / name)[1] for name in ("packed", "loose")]
    assert same_content(ends[0]["model"], ends[1]["model"])


@pytest.mark.parametrize("step", [2, 4])
def test_a_resumed_pretraining_is_the_uninterrupted_one(tmp_path: Path, step: int) -> None:
    """From shards and with a part of the words, killed after the checkpoint of a step: epochs end in between."""
    packed, _ = pack(tmp_path, 10)
    config = write_config(tmp_path, packed, packed, method={}, data={"word_share": 0.5})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(config, whole)
    shutil.copytree(whole, killed)
    for path in checkpoints_of(killed):
        if int(path.stem.removeprefix("step_")) > step:
            path.unlink()
    (killed / "best.pt").unlink()
    lines = (killed / "log.jsonl").read_text().splitlines()
    (killed / "log.jsonl").write_text("".join(f"{line}\n" for line in lines if json.loads(line)["step"] <= step))
    outcome = train(config, killed, resume=True)
    assert outcome.step == STEPS
    assert log_of(killed) == log_of(whole)
    ends = [load_latest_checkpoint(folder)[1] for folder in (killed, whole)]
    for key in ("model", "optimizer", "scaler", "random", "outcome"):
        assert same_content(ends[0][key], ends[1][key]), key


@pytest.mark.parametrize("characters", ["abcdE", "abc", "acb"], ids=["more", "fewer", "another order"])
def test_another_dictionary_than_that_of_the_model(tmp_path: Path, characters: str) -> None:
    """The model keeps its own; a training does not go on with another one."""
    draw(tmp_path / "a.jpg", 150)
    word = "ab" if "d" not in characters else "abcd"
    records = [ImageRecord(tmp_path / "a.jpg", 96, 64, (TextInstance(None, word[:2]), TextInstance(None, "c")))] * 4
    write_records(tmp_path / "a.jsonl", records)
    dictionary = tmp_path / "characters.txt"
    CharacterSet("abcd").write(dictionary)
    method = {"characters": str(dictionary)}
    config = write_config(tmp_path, tmp_path / "a.jsonl", tmp_path / "a.jsonl", method=method, data={})
    train(config, tmp_path / "run")
    CharacterSet(characters).write(dictionary)
    with pytest.raises(ConfigError, match=r"started with another dictionary \((.|\n)*characters\.txt, 4 characters\)"):
        train(config, tmp_path / "run", resume=True)
    for change in (lambda: None, dictionary.unlink):
        change()
        task, _, _ = load_trained_task(tmp_path / "run" / "best.pt", PRETRAINING)
        assert isinstance(task, OclipTask)
        assert task.characters == CharacterSet("abcd")


def test_captions_of_unknown_characters_and_empty_ones_are_dropped_and_counted(tmp_path: Path) -> None:
    for name in ("good", "blank", "foreign", "mixed"):
        draw(tmp_path / f"{name}.jpg", 150)
    rows = ["good.jpg\tWORD other", "blank.jpg\t  ", "foreign.jpg\t中国 银行", "mixed.jpg\tBANK 银行", "gone.jpg\tword"]
    (tmp_path / "table.csv").write_text("\n".join(["filepath\ttitle", *rows]) + "\n", encoding="utf-8")
    printed = run(
        *("prepare", "oclip-table", "--images", tmp_path, "--table", tmp_path / "table.csv"),
        *("--output", tmp_path / "all.jsonl"),
    )
    assert "3 images, 6 words" in printed
    assert "dropped: images with an empty caption: 1 (blank.jpg)" in printed
    assert "dropped: images that cannot be read: 1 (gone.jpg)" in printed
    config = write_config(tmp_path, tmp_path / "all.jsonl", tmp_path / "all.jsonl", method={}, data={})
    printed = run("pretrain", config, "--output", tmp_path / "run")
    assert (
        "training: 3 words in 2 images; dropped: 3 words with unknown characters, 0 empty texts, "
        "0 instances without text, 1 images without a usable word" in printed
    )


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_table_3_is_four_runs_that_differ_in_the_share_alone(share: float) -> None:
    words = ["oclip", "rn50", "synthtext"]
    runs = [load_run([*words, *more], PretrainingRun) for more in ([f"data.word_share={share}"], [])]
    own, base = (one for one in runs if isinstance(one, PretrainingRun))
    assert own.data.word_share == share
    assert own.model_copy(update={"data": own.data.model_copy(update={"word_share": 1.0})}) == base
