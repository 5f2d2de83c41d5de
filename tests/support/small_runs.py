"""Runs so small that building one costs nothing, on datasets of a few plain images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.runs.settings import Run, check_run
from scenetext.structures import ImageRecord, TextInstance

ENCODER = {"layers": [1, 1, 1, 1], "width": 8}
WORD = np.array([[10, 10], [50, 10], [50, 40], [10, 40]], dtype=np.float32)


def make_set(folder: Path, name: str, images: int, text: str = "word", ignore: bool = False) -> Path:
    """A records file of so many images, `<name>_0.png` and so on, with one word each."""
    records = []
    for number in range(images):
        path = folder / f"{name}_{number}.png"
        write_image(path, np.full((64, 64, 3), number, dtype=np.uint8))
        records.append(ImageRecord(path, 64, 64, (TextInstance(WORD, text, ignore),)))
    write_records(folder / f"{name}.jsonl", records)
    return folder / f"{name}.jsonl"


def make_run(kind: str, folder: Path, train: list[Any], **data: Any) -> Run:
    """A run over these datasets, with validation images of its own in the folder."""
    validation = folder / "validation.jsonl"
    if not validation.exists():
        make_set(folder, "validation", 2)
    values: dict[str, Any] = {
        "kind": kind,
        "data": {"train": train, "validation": [str(validation)], **data},
        "loader": {"batch_size": 4, "workers": 0},
        "training": {"epochs": 3, "evaluate_every": 5, "device": "cpu"},
    }
    if kind == "pretraining":
        method = {"encoder": ENCODER, "input_size": 64, "embed_dim": 32, "text_width": 16, "text_heads": 2}
        layers = {"text_layers": 1, "decoder_layers": 1, "decoder_heads": 2, "maximum_words": 2}
        values |= {"method": {**method, **layers}, "transform": {"size": 64}}
    else:
        detector = {"name": "dbnet", "inner_channels": 16, "level_channels": 8}
        values |= {"encoder": {"name": "clip_resnet", **ENCODER}, "detector": detector, "transform": {"size": [64, 64]}}
        values["evaluation_transform"] = {"long_side": 64, "short_side": 64}
    return check_run(values, "run.yaml")
