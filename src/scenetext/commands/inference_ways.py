"""One detector, made ready to be used in every way that there is, for `scenetext benchmark inference`."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from scenetext.export.forms import FORMS
from scenetext.export.network import write_network
from scenetext.export.quantization import quantize
from scenetext.runs.build import describe_run
from scenetext.runs.exported import OWN_FORM, load_exported_task, stages_file
from scenetext.runs.kinds import build_detection_task, read_characters
from scenetext.runs.settings import DetectionRun
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.inference import InferencePrecision, cpu_multiplies_bf16, prepare_for_inference

_CALIBRATION_SIZE = (320, 320)


def ways_of(run: DetectionRun[Any, Any], folder: Path) -> dict[str, DetectionTask]:
    """The detector of a run with random weights, by way of computing.

    Args:
        folder: for the ONNX files.
    """
    torch.manual_seed(run.training.seed)
    cpu = torch.device("cpu")
    task = build_detection_task(run).eval()
    trained = deepcopy(task).to(memory_format=torch.channels_last)
    ways = {"PyTorch, as trained": trained}
    precisions: dict[str, InferencePrecision] = {"PyTorch, folded": "fp32"}
    if cpu_multiplies_bf16():
        precisions["PyTorch, folded, bf16"] = "bf16"
    for way, precision in precisions.items():
        ways[way] = deepcopy(task)
        prepare_for_inference(ways[way], cpu, precision)
    content = {**describe_run(run, read_characters(run)), "step": 0}
    plain, integers = folder / "fp32.onnx", folder / "int8.onnx"
    write_network(task, run, content, FORMS[OWN_FORM], _CALIBRATION_SIZE, plain)
    image = torch.randint(256, (1, 3, *_CALIBRATION_SIZE), generator=torch.Generator().manual_seed(0))
    quantize(plain, integers, [task.normalization(image.to(torch.uint8))])
    if stages_file(plain).exists():
        shutil.copy(stages_file(plain), stages_file(integers))
    ways["ONNX Runtime"] = load_exported_task(plain)[0]
    ways["ONNX Runtime, int8"] = load_exported_task(integers)[0]
    return ways
