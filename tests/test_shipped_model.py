"""The model that is shipped: small, without anything of the machine that trained it, and it reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from scenetext.commands import run_words
from scenetext.errors import DataError
from scenetext.inference import TextDetector
from scenetext.resources import shipped_model
from scenetext.runs.build import build_task
from scenetext.runs.granularity import measure_granularity
from scenetext.runs.initial_weights import initialise_detector
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.training.checkpoint import load_checkpoint

LARGEST = 5e6
"""Bytes that a wheel may grow by."""
THRESHOLD = 0.5
WORDS = ("COFFEE", "daily")


def sign() -> Image.Image:
    """Two words on a board."""
    image = Image.new("RGB", (640, 400), (70, 90, 80))
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 60, 580, 300), fill=(235, 230, 215))
    font = ImageFont.load_default(56)
    draw.text((100, 80), WORDS[0], fill=(30, 30, 60), font=font)
    draw.text((330, 200), WORDS[1], fill=(120, 20, 20), font=font)
    return image


def test_weights_are_small_and_their_settings_name_no_other_machine() -> None:
    assert shipped_model().stat().st_size <= LARGEST
    content = load_checkpoint(shipped_model())
    paths = [path for path in _strings(content["config"]) if Path(path).is_absolute()]
    assert paths == []
    card = (shipped_model().parent / "README.md").read_text(encoding="utf-8")
    assert f"{content['step']:,} steps" in card


def test_load_without_a_file_detects_and_reads() -> None:
    found = [one for one in TextDetector.load(device="cpu")(np.asarray(sign())) if one.score >= THRESHOLD]
    assert sorted(one.text or "" for one in found) == ["coffee", "daily"]
    centres = {one.text: one.polygon.mean(axis=0) for one in found}
    assert centres["coffee"][1] < 160 < centres["daily"][1]


def test_a_training_starts_from_it() -> None:
    words = ["dbnet", "td500", "small", "initial_weights=shipped", "initial_weights_except=[head.later.*]"]
    run = load_run(words, DetectionRun)
    task = build_task(run)
    initialise_detector(task, run, measure_granularity([]))
    stored = load_checkpoint(shipped_model())["model"]
    own = task.state_dict()
    assert own
    assert all(torch.equal(value, stored[name]) for name, value in own.items())


def test_detect_without_a_model_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sign().save(tmp_path / "sign.png")
    folder = tmp_path / "found"
    assert run_words(["detect", str(tmp_path / "sign.png"), "--output", str(folder), "--device", "cpu"]) == 0
    assert "model: street.safetensors, the one that is shipped" in capsys.readouterr().out
    (texts,) = json.loads((folder / "detections.json").read_text(encoding="utf-8"))["images"]
    assert {one["text"] for one in texts["detections"]} >= {"coffee", "daily"}


def test_a_model_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a model; name images"):
        run_words(["detect", str(shipped_model()), "--output", str(tmp_path)])


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _strings(one)]
    if isinstance(value, list | tuple):
        return [text for one in value for text in _strings(one)]
    return [value] if isinstance(value, str) else []
