"""Parameters and operations of a run's model, counted: neither its data nor its weights are needed."""

from __future__ import annotations

import torch

from scenetext.benchmark.figures import Figure, counted, operations
from scenetext.errors import ConfigError
from scenetext.runs.build import build_task
from scenetext.runs.settings import PretrainingRun, Run
from scenetext.tasks.detection import DetectionTask
from scenetext.training.parameter_groups import freeze


def count_detector(run: Run, height: int, width: int) -> list[Figure]:
    """Parameters, those of them that are trained, and floating-point operations of one image (2 per multiply-add).

    What a model computes once and keeps, such as the text feature of FastTCM, is not among the operations of an image:
    those of a second one are counted.

    Args:
        height, width: of the image, in pixels; multiples of 32.

    Raises:
        ConfigError: the run is a pre-training, or the size does not fit.
    """
    if height < 32 or width < 32 or height % 32 or width % 32:
        raise ConfigError(f"an image of {height} x {width} pixels: give sides that are multiples of 32")
    task = build_task(run)
    if isinstance(run, PretrainingRun) or not isinstance(task, DetectionTask):
        raise ConfigError("operations of an image are counted of detectors, and this run is a pre-training")
    freeze(task, run.optimizer.groups)
    task.eval()
    images = torch.zeros(1, 3, height, width, dtype=torch.uint8)
    with torch.no_grad():
        task.maps(images)
        inference = operations(lambda: task.maps(images))
    parameters = [(parameter.numel() / 1e6, parameter.requires_grad) for parameter in task.parameters()]
    return [
        counted("parameters", sum(count for count, _ in parameters), "M"),
        counted("trainable parameters", sum(count for count, trained in parameters if trained), "M"),
        counted("inference operations per image", inference, "GFLOP"),
    ]
