"""From what publishers hand out to a trained step, in the commands that a person types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from scipy.io import savemat

from conftest import REPOSITORY
from scenetext.data.images import write_image
from scenetext.data.records import read_records
from scenetext.runs import PretrainingRun, load_run
from scenetext.text.charset import CharacterSet


def run(tool: str, *arguments: object) -> str:
    command = [sys.executable, f"tools/{tool}.py", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, env=environment, check=False
    )
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
    cells = {name: np.empty((1, len(texts)), dtype=object) for name in ("imnames", "wordBB", "txt")}
    square = np.array([[5, 5], [25, 5], [25, 15], [5, 15]], dtype=np.float64)
    for number, text in enumerate(texts):
        name = f"{number + 1}/sign_{number}.jpg"
        draw(tmp_path / "SynthText" / name, 100 + 20 * number)
        count = len(" ".join(text).split())
        boxes = np.stack([(square - (40 if word == 1 and number == 2 else 0)).T for word in range(count)], axis=2)
        cells["imnames"][0, number] = name
        cells["wordBB"][0, number] = boxes[:, :, 0] if count == 1 else boxes
        cells["txt"][0, number] = np.array(text)
    savemat(tmp_path / "SynthText" / "gt.mat", cells, do_compression=True)

    told = run(
        *("prepare_dataset", "synthtext", "--images", tmp_path / "SynthText"),
        *("--ground-truths", tmp_path / "SynthText" / "gt.mat", "--output", tmp_path / "all.jsonl"),
        *("--characters", "data/characters/english.txt"),
    )
    assert "6 images, 13 words" in told
    assert "words kept without polygon, which has no area inside the image: 1 (side in 3/sign_2.jpg)" in told
    assert "lacks 0 of them" in told
    train, validation = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"
    run(
        *("prepare_dataset", "split", tmp_path / "all.jsonl", "--validation-images", 2),
        *("--output", train, "--validation-output", validation),
    )
    assert [record.path.name for record in read_records(validation)] == ["sign_4.jpg", "sign_5.jpg"]
    assert len(read_records(train)) == 4
    config = write_config(tmp_path, train, validation, method={}, data={"word_share": 0.5})
    told = run("pretrain", config, "--output", tmp_path / "run")
    assert "training: 9 words in 4 images" in told
    assert "training: 50 % of each image's words, at least one (data.word_share_seed 0)" in told
    assert "validation: 4 words in 2 images" in told
    assert "vision_gain" in told
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
    told = run(
        *("prepare_dataset", "lsvt-weak", "--images", tmp_path / "images"),
        *("--ground-truths", tmp_path / "labels.json", "--output", tmp_path / "all.jsonl"),
        *("--characters-output", characters),
    )
    assert "4 images, 6 words" in told
    known = CharacterSet.from_file(characters)
    assert all(map(known.knows, ("北京烤鸭店", "OPEN24小时", "咖啡Café", "😀笑")))

    told = run(
        *("prepare_dataset", "shards", tmp_path / "all.jsonl", "--output", tmp_path / "shards"),
        *("--images-per-shard", 2),
    )
    assert "4 images in shards of 2" in told
    packed = tmp_path / "shards" / "records.jsonl"
    assert [path.name for path in sorted((tmp_path / "shards").glob("*.tar"))] == [
        "shard_000000.tar",
        "shard_000001.tar",
    ]
    for record in read_records(tmp_path / "all.jsonl"):
        record.path.unlink()  # the shards are enough

    config = write_config(tmp_path, packed, packed, method={"characters": str(characters)}, data={})
    told = run("pretrain", config, "--output", tmp_path / "run")
    assert "training: 6 words in 4 images; left out: 0 words with unknown characters" in told
    assert "could not be used" not in told
    draw(tmp_path / "page.jpg", 180)
    told = run("visualize_attention", tmp_path / "run" / "best.pt", tmp_path / "page.jpg", "中国 行")
    assert '"中国 行" -> ' in told
    told = run("prepare_dataset", "tar-shards", "--shards", tmp_path / "shards", "--output", tmp_path / "again.jsonl")
    assert "4 images, 6 words" in told


@pytest.mark.parametrize(("name", "share"), [("25", 0.25), ("50", 0.5), ("75", 0.75), ("100", 1.0)])
def test_table_3_is_four_configs_that_differ_in_the_share_alone(name: str, share: float) -> None:
    runs = [
        load_run(REPOSITORY / "configs" / "oclip" / f"{file}.yaml", [], "pretraining")
        for file in (f"rn50_words_{name}", "rn50")
    ]
    own, base = (one for one in runs if isinstance(one, PretrainingRun))
    assert own.data.word_share == share
    assert own.model_copy(update={"data": own.data.model_copy(update={"word_share": 1.0})}) == base
