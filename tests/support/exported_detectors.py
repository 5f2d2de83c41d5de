"""Small detectors that are exported, with random weights or with weights that find bright rectangles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from scenetext.detectors import find_examples
from scenetext.export.forms import FORMS
from scenetext.export.network import write_network
from scenetext.runs.build import build_task, describe_run
from scenetext.runs.kinds import read_characters
from scenetext.runs.settings import DetectionRun, check_run
from scenetext.tasks.detection import DetectionTask

ENCODER = {"name": "clip_resnet", "layers": [1, 1, 1, 1], "width": 8}
RECTANGLES = ((32, 40, 192, 104), (64, 192, 224, 256))
"""(left, top, right, bottom) of what is bright in `bright_image`."""


def make_run(
    detector: str, encoder: dict[str, Any] = ENCODER, decoding: dict[str, Any] | None = None, **others: Any
) -> DetectionRun[Any, Any]:
    run = check_run(
        {
            "kind": "detection",
            "data": {"train": ["gone.jsonl"], "validation": ["gone.jsonl"]},
            "encoder": encoder,
            "detector": {
                "name": detector,
                **find_examples(detector).small,
                **({"decoding": decoding} if decoding else {}),
            },
            "transform": {"size": [64, 64]},
            "training": {"epochs": 1, "evaluate_every": 1, "device": "cpu"},
            "evaluation_transform": {"long_side": 96, "short_side": 96},
            **others,
        },
        "run.yaml",
    )
    assert isinstance(run, DetectionRun)
    return run


def make_task(run: DetectionRun[Any, Any]) -> DetectionTask:
    """With random weights and with statistics unlike those of a new norm."""
    task = build_task(run)
    assert isinstance(task, DetectionTask)
    generator = torch.Generator().manual_seed(0)
    for name, value in task.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return task.eval()


def export(
    run: DetectionRun[Any, Any],
    task: DetectionTask,
    path: Path,
    form: str = "scenetext",
    size: tuple[int, int] = (64, 96),
) -> list[str]:
    content = {**describe_run(run, read_characters(run)), "step": 7}
    return write_network(task, run, content, FORMS[form], size, path)


def bright_image() -> np.ndarray:
    """(288, 256, 3) uint8 RGB, two bright rectangles on black."""
    image = np.zeros((288, 256, 3), np.uint8)
    for left, top, right, bottom in RECTANGLES:
        image[top:bottom, left:right] = 255
    return image


@torch.no_grad()
def finds_bright_places(task: DetectionTask) -> DetectionTask:
    """The DBNet with other weights: every layer takes means, and the last one asks whether they are high."""
    for part in task.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.constant_(part.weight, 1 / part.weight[0].numel())
        elif isinstance(part, nn.ConvTranspose2d):
            nn.init.constant_(part.weight, 1 / part.in_channels)
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            nn.init.ones_(part.weight)
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d) and part.bias is not None:
            nn.init.zeros_(part.bias)
    image = torch.from_numpy(bright_image()).permute(2, 0, 1)[None]
    (values,) = task.maps(image)["probability"]
    left, top, right, bottom = RECTANGLES[0]
    bright = float(values[(top + bottom) // 2, (left + right) // 2])
    dark = float(values[(bottom + RECTANGLES[1][1]) // 2, (left + right) // 2])
    last: nn.ConvTranspose2d = task.head.probability.predict  # type: ignore[union-attr, assignment]
    last.weight.mul_(12 / (bright - dark))
    nn.init.constant_(last.bias, -6 * (bright + dark) / (bright - dark))  # type: ignore[arg-type]
    return task
